//! Load over HTTP, the same for every server: no more of a client than it takes to tell the server's time from our own.

use crate::engine::{Ask, Load, Run};
use crate::facts::Facts;
use crate::{Outcome, Scale};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

/// Callers that ask as fast as they are answered.
const CALLERS: usize = 32;
/// Connections that ask at a fixed rate, together.
const PACED_CALLERS: usize = 8;
/// Questions a second, together.
const RATE: u32 = 500;

/// A server with a workload in it. It ends with this value.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub process: Child,
    /// The address.
    pub address: String,
    /// The questions, each as a whole request.
    pub requests: Vec<Vec<u8>>,
    /// A text that the body of a response contains if and only if the decision is yes.
    pub yes: &'static str,
    /// Its files.
    pub folder: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do where it has ended by itself.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

impl Ask for Server {
    fn run(&mut self, facts: &Facts, scale: Scale) -> Outcome<Run> {
        let (flat_out, crowd) = self.load(facts, CALLERS, None, scale)?;
        let (paced, few) = self.load(facts, PACED_CALLERS, Some(RATE), scale)?;
        Ok(Run {
            nanoseconds: None,
            flat_out: Some(flat_out),
            paced: Some(paced),
            asked: crowd.times.len() + few.times.len(),
            wrong: crowd.wrong + few.wrong,
        })
    }
}

/// The decisions that callers received.
#[derive(Debug, Default)]
struct Answers {
    times: Vec<Duration>,
    wrong: usize,
}

impl Server {
    fn load(&self, facts: &Facts, callers: usize, rate: Option<u32>, scale: Scale) -> Outcome<(Load, Answers)> {
        let each = u32::try_from(callers)?;
        let gap = rate.map(|rate| Duration::from_secs(1) * each / rate);
        let begun = Instant::now();
        let until = begun + scale.over_http();
        let mut together = Answers::default();
        std::thread::scope(|scope| -> Outcome<()> {
            let start = |caller: usize| {
                let first = begun + gap.unwrap_or_default() * u32::try_from(caller)? / each;
                let skipped = caller * self.requests.len() / callers;
                Ok(scope.spawn(move || self.keep_asking(facts, skipped, first, gap, until)))
            };
            for caller in (0..callers).map(start).collect::<Outcome<Vec<_>>>()? {
                let answers = caller.join().map_err(|_| "a caller panicked")??;
                together.times.extend(answers.times);
                together.wrong += answers.wrong;
            }
            Ok(())
        })?;
        Ok((Load::of(together.times.clone(), begun.elapsed()), together))
    }

    /// Asks in turn. At a fixed rate, the time of an answer is from when its question was due, where an answer before it was
    /// late.
    fn keep_asking(
        &self,
        facts: &Facts,
        skipped: usize,
        mut due: Instant,
        gap: Option<Duration>,
        until: Instant,
    ) -> Outcome<Answers> {
        let mut connection = Connection::open(&self.address)?;
        let mut answers = Answers::default();
        let mut free = Instant::now();
        for (request, expected) in self.requests.iter().zip(&facts.expected).cycle().skip(skipped) {
            if Instant::now() >= until {
                break;
            }
            let mut from = Instant::now();
            if let Some(gap) = gap {
                pause(due.saturating_duration_since(from));
                from = if free > due { due } else { Instant::now() };
                due += gap;
            }
            let body = connection.exchange(request)?;
            free = Instant::now();
            answers.times.push(free - from);
            answers.wrong += usize::from(body.contains(self.yes) != *expected);
        }
        Ok(answers)
    }
}

/// Waits.
#[expect(
    clippy::disallowed_methods,
    reason = "threads of load, which have nothing else to do"
)]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A POST of a JSON body.
pub fn post(path: &str, header: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            line: String::new(),
            body: Vec::new(),
        })
    }

    /// Sends a request and gives the body of its answer; any status but 200 and 201 is an error.
    pub fn exchange(&mut self, request: &[u8]) -> Outcome<&str> {
        self.stream.get_mut().write_all(request)?;
        let status = self.line()?.to_owned();
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= line == "transfer-encoding: chunked";
        }
        self.body.clear();
        if chunked {
            loop {
                let size = u64::from_str_radix(self.line()?, 16)?;
                self.append(size)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.append(length)?;
        }
        let body = std::str::from_utf8(&self.body)?;
        if status.starts_with("HTTP/1.1 200") || status.starts_with("HTTP/1.1 201") {
            Ok(body)
        } else {
            Err(format!("{status}: {body}").into())
        }
    }

    fn append(&mut self, length: u64) -> Outcome<()> {
        let read = self.stream.by_ref().take(length).read_to_end(&mut self.body)?;
        if u64::try_from(read)? < length {
            return Err("the server hung up".into());
        }
        Ok(())
    }

    fn line(&mut self) -> Outcome<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(self.line.trim_end())
    }
}
