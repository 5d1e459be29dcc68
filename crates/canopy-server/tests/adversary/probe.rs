//! Asks for another tenant, on a thread of its own, and writes down how long each answer took.

use crate::stage::Stage;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One answer, or none, after so long.
type Sample = (Duration, bool);

#[derive(Default)]
struct Samples {
    checks: Vec<Sample>,
    health: Vec<Sample>,
    writes: Vec<Sample>,
    first_failure: Option<String>,
}

/// Answers of one kind.
pub struct Line {
    pub count: usize,
    /// Answers that were none, or not the right one.
    pub failed: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Line {
    fn of(samples: &[Sample]) -> Self {
        let mut times: Vec<Duration> = samples.iter().map(|(time, _)| *time).collect();
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        Self {
            count: times.len(),
            failed: samples.iter().filter(|(_, is_right)| !is_right).count(),
            p50: at(50),
            p99: at(99),
            max: times.last().copied().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        write!(
            f,
            "{:>4} answers, {} failed, p50 {:.1}, p99 {:.1}, max {:.1} ms",
            self.count,
            self.failed,
            millis(self.p50),
            millis(self.p99),
            millis(self.max)
        )
    }
}

/// Measurements taken while something ran.
pub struct Report {
    pub checks: Line,
    pub health: Line,
    pub writes: Line,
    /// The largest resident size of the server meanwhile.
    pub memory_mib: u64,
    took: Duration,
    first_failure: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5.1} s | checks {} | health {} | writes {} | {} MiB",
            self.took.as_secs_f64(),
            self.checks,
            self.health,
            self.writes,
            self.memory_mib
        )?;
        match &self.first_failure {
            Some(failure) => write!(f, " | {failure}"),
            None => Ok(()),
        }
    }
}

/// Checks of one tenant, ten milliseconds apart on each of two connections; beside them `/health/live` and writes.
pub struct Probe {
    samples: Arc<Mutex<Samples>>,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    server: u32,
}

impl Probe {
    pub async fn start(stage: &Stage, server: u32) -> Self {
        let samples = Arc::new(Mutex::new(Samples::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let asked = stage.question().await;
        let thread = std::thread::spawn({
            let (samples, ends) = (Arc::clone(&samples), Arc::clone(&ends));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    tokio::join!(
                        ask(&asked, Kind::Check, &samples, &ends),
                        ask(&asked, Kind::Check, &samples, &ends),
                        ask(&asked, Kind::Health, &samples, &ends),
                        ask(&asked, Kind::Write, &samples, &ends),
                    )
                });
            }
        });
        Self {
            samples,
            ends,
            thread,
            server,
        }
    }

    /// Runs something, and tells how the tenant fared meanwhile.
    pub async fn observe(&self, work: impl Future<Output = ()>) -> Report {
        reset_peak(self.server);
        *self.samples.lock().unwrap() = Samples::default();
        let begun = Instant::now();
        work.await;
        let took = begun.elapsed();
        // Questions that are still open count: they wait because of what ran.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let samples = std::mem::take(&mut *self.samples.lock().unwrap());
        Report {
            checks: Line::of(&samples.checks),
            health: Line::of(&samples.health),
            writes: Line::of(&samples.writes),
            memory_mib: peak_mib(self.server),
            took,
            first_failure: samples.first_failure,
        }
    }

    pub fn stop(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Check,
    Health,
    Write,
}

/// A check whose right answer is yes.
#[derive(Clone)]
pub struct Asked {
    pub base: String,
    pub path: String,
    pub token: String,
    pub body: String,
    /// The path of an assignment whose end is moved to and fro.
    pub changed: String,
    pub role: String,
}

async fn ask(asked: &Asked, kind: Kind, samples: &Mutex<Samples>, ends: &AtomicBool) {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let mut pace = tokio::time::interval(match kind {
        Kind::Check => Duration::from_millis(10),
        Kind::Health => Duration::from_millis(25),
        Kind::Write => Duration::from_millis(100),
    });
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in 0.. {
        if ends.load(Ordering::Relaxed) {
            return;
        }
        pace.tick().await;
        let begun = Instant::now();
        let answer = match kind {
            Kind::Check => check(&http, asked).await,
            Kind::Health => health(&http, asked).await,
            Kind::Write => write(&http, asked, turn).await,
        };
        let sample = (begun.elapsed(), answer.is_ok());
        let mut samples = samples.lock().unwrap();
        match kind {
            Kind::Check => samples.checks.push(sample),
            Kind::Health => samples.health.push(sample),
            Kind::Write => samples.writes.push(sample),
        }
        if let Err(failure) = answer {
            samples.first_failure.get_or_insert(failure);
        }
    }
}

async fn check(http: &reqwest::Client, asked: &Asked) -> Result<(), String> {
    let request = http
        .post(format!("{}{}", asked.base, asked.path))
        .bearer_auth(&asked.token)
        .header("Content-Type", "application/json")
        .body(asked.body.clone());
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    if status == 200 && text.contains("\"allowed\":true") {
        Ok(())
    } else {
        Err(format!("{status} {text}"))
    }
}

async fn health(http: &reqwest::Client, asked: &Asked) -> Result<(), String> {
    let answer = http.get(format!("{}/health/live", asked.base)).send().await;
    match answer {
        Ok(answer) if answer.status() == 200 => Ok(()),
        Ok(answer) => Err(format!("health: {}", answer.status())),
        Err(error) => Err(format!("health: {error:?}")),
    }
}

async fn write(http: &reqwest::Client, asked: &Asked, turn: u32) -> Result<(), String> {
    let body = format!(
        r#"{{"role_id":"{}","effective_to":"{}-01-01T00:00:00Z"}}"#,
        asked.role,
        2_100 + turn % 2
    );
    let request = http
        .patch(format!("{}{}", asked.base, asked.changed))
        .bearer_auth(&asked.token)
        .header("Content-Type", "application/json")
        .body(body);
    match request.send().await {
        Ok(answer) if answer.status() == 200 => Ok(()),
        Ok(answer) => Err(format!(
            "write: {} {}",
            answer.status(),
            answer.text().await.unwrap_or_default()
        )),
        Err(error) => Err(format!("write: {error:?}")),
    }
}

/// Forgets the largest resident size that a process had. Only Linux tells it.
fn reset_peak(process: u32) {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").ok();
}

fn peak_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() / 1_024
}
