//! The engines that are measured: they answer the questions of a workload, in this process or behind a socket.

use crate::facts::Facts;
use crate::{Outcome, Scale};
use std::time::{Duration, Instant};

/// An engine with a workload in it.
#[derive(Debug)]
pub struct Engine {
    /// The name, with the version.
    pub name: String,
    /// From the facts as we have them to the first question.
    pub load: Duration,
    /// Resident memory: what this process grew by, which is too little where it used again what had been freed, or the
    /// whole of the other one. Our own engine tells its size.
    pub memory: u64,
    /// The method of measurement, with its advantages and handicaps.
    pub remark: &'static str,
    /// The engine.
    pub asked: Box<dyn Ask>,
}

/// Questions put to an engine.
pub trait Ask: std::fmt::Debug {
    /// Asks all questions in turn, again and again, for as long as a measurement lasts.
    fn run(&mut self, facts: &Facts, scale: Scale) -> Outcome<Run>;
}

/// The result of one measurement.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Nanoseconds a question, for engines without a socket.
    pub nanoseconds: Option<f64>,
    /// Callers that ask as fast as they are answered.
    pub flat_out: Option<Load>,
    /// Questions at a fixed rate.
    pub paced: Option<Load>,
    /// Questions asked.
    pub asked: usize,
    /// Wrong answers among them.
    pub wrong: usize,
}

/// Many questions one by one.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Answers a second.
    pub each_second: f64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
}

impl Load {
    /// From the time that each answer took and that they took together.
    pub fn of(mut times: Vec<Duration>, took: Duration) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        Self {
            each_second: count(times.len()) / took.as_secs_f64(),
            p50: at(50).as_secs_f64() * 1_000.0,
            p99: at(99).as_secs_f64() * 1_000.0,
        }
    }
}

/// A number of things, to calculate with.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn count(things: usize) -> f64 {
    things as f64
}

/// An engine of this process: answers the question of a number.
pub trait Decide: std::fmt::Debug {
    /// True if it is allowed.
    fn decide(&self, question: usize) -> Outcome<bool>;

    /// Its bytes, where it can tell.
    fn memory(&self) -> Option<u64> {
        None
    }
}

#[derive(Debug)]
struct InProcess<D>(D);

impl<D: Decide> Ask for InProcess<D> {
    fn run(&mut self, facts: &Facts, scale: Scale) -> Outcome<Run> {
        let mut run = Run::default();
        let begun = Instant::now();
        let mut questions = facts.expected.iter().enumerate().cycle();
        while begun.elapsed() < scale.in_process() {
            // Few enough for the slowest, enough for the clock not to be felt by the fastest.
            for (number, expected) in questions.by_ref().take(100) {
                run.asked += 1;
                run.wrong += usize::from(self.0.decide(number)? != *expected);
            }
        }
        run.nanoseconds = Some(begun.elapsed().as_secs_f64() * 1e9 / count(run.asked));
        Ok(run)
    }
}

/// Loads an engine into this process, measured.
pub fn in_process<D: Decide + 'static>(
    name: &str,
    remark: &'static str,
    load: impl FnOnce() -> Outcome<D>,
) -> Outcome<Engine> {
    let before = resident("self")?;
    let begun = Instant::now();
    let engine = load()?;
    let load = begun.elapsed();
    let grown = resident("self")?.saturating_sub(before);
    Ok(Engine {
        name: name.to_owned(),
        load,
        memory: engine.memory().unwrap_or(grown),
        remark,
        asked: Box::new(InProcess(engine)),
    })
}

/// The bytes of a process, by number or `self`, that are in memory.
pub fn resident(process: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}
