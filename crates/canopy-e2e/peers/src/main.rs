//! Canopy's decisions beside those of other engines: `just bench-peers [smoke] [S] [M] [L]`.
//!
//! All are given the facts of [`canopy_testkit::workload`] and asked its questions; every answer is compared with that of
//! `AccessIndex`, and one wrong answer fails the run. Runs are interleaved, so that all share the good and bad moments of the
//! machine. The table goes to standard output.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints a table, and how far it is"
)]

mod engine;
mod facts;
mod libraries;
mod load;
mod servers;
mod spicedb;
mod table;

use canopy_testkit::workload::Size;
use engine::{Engine, Run};
use facts::Facts;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Nothing here can go on after a failure.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The extent of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Medians of five runs.
    Full,
    /// Just enough to see that it works.
    Smoke,
}

impl Scale {
    const fn runs(self) -> usize {
        match self {
            Self::Full => 5,
            Self::Smoke => 1,
        }
    }

    /// The time for which an engine of this process is measured.
    pub const fn in_process(self) -> Duration {
        match self {
            Self::Full => Duration::from_millis(500),
            Self::Smoke => Duration::from_millis(100),
        }
    }

    /// The time for which another process is measured.
    pub const fn over_http(self) -> Duration {
        match self {
            Self::Full => Duration::from_secs(3),
            Self::Smoke => Duration::from_secs(1),
        }
    }
}

fn main() -> ExitCode {
    match measure() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("{wrong} answers are wrong");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what the command line asks for; gives the number of wrong answers.
fn measure() -> Outcome<usize> {
    let mut arguments = std::env::args().skip(1);
    let mut path = || {
        arguments
            .next()
            .map(PathBuf::from)
            .ok_or("canopy-peers TOOLS CANOPY [smoke] [S] [M] [L]")
    };
    let (tools, canopy) = (path()?, path()?);
    let (mut scale, mut sizes) = (Scale::Full, vec![]);
    for word in arguments {
        if word == "smoke" {
            scale = Scale::Smoke;
        } else {
            let size = Size::ALL.into_iter().find(|size| size.name == word.to_uppercase());
            sizes.push(size.ok_or_else(|| format!("no size is called {word}"))?);
        }
    }
    if sizes.is_empty() {
        sizes = if scale == Scale::Full {
            vec![Size::S, Size::M]
        } else {
            vec![Size::S]
        };
    }
    let mut wrong = 0;
    table::head();
    for size in sizes {
        eprintln!("{}: loading", size.name);
        let facts = Facts::new(size)?;
        let mut engines = vec![libraries::ours(&facts)?, libraries::cedar(&facts)?];
        if size != Size::L {
            // SpiceDB had not loaded size L after seven minutes. Casbin judges all assignments of an identity in a walk
            // over all policies, so L would say no more of it than M does.
            engines.push(libraries::casbin(&facts)?);
            engines.push(spicedb::spicedb(&tools, &facts)?);
        }
        engines.push(servers::canopy(&canopy, &facts)?);
        let cerbos = tools.join("node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64");
        engines.push(servers::cerbos(&cerbos, &facts)?);
        wrong += side_by_side(size, engines, &facts, scale)?;
    }
    Ok(wrong)
}

/// Measures the engines in turn, several times, and prints a row for each.
fn side_by_side(size: Size, engines: Vec<Engine>, facts: &Facts, scale: Scale) -> Outcome<usize> {
    let mut all: Vec<(Engine, Vec<Run>)> = engines.into_iter().map(|engine| (engine, vec![])).collect();
    for number in 1..=scale.runs() {
        eprintln!("{}: run {number} of {}", size.name, scale.runs());
        for (engine, runs) in &mut all {
            runs.push(engine.asked.run(facts, scale)?);
        }
    }
    let mut wrong = 0;
    for (engine, runs) in &all {
        table::row(size, engine, runs);
        let asked: usize = runs.iter().map(|run| run.asked).sum();
        let mistakes: usize = runs.iter().map(|run| run.wrong).sum();
        eprintln!(
            "{}, {}: {asked} answers compared, {mistakes} wrong",
            size.name, engine.name
        );
        wrong += mistakes;
    }
    Ok(wrong)
}
