//! The figures as a table in Markdown.

use crate::engine::{Engine, Load, Run};
use canopy_testkit::workload::Size;
use std::time::Duration;

/// The head of the table.
pub fn head() {
    println!(
        "| engine | size | a decision | requests/s | p50 / p99 | p50 / p99 at 500/s | load | memory | how it was asked |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
}

/// The row of an engine: medians, with minimum and maximum.
pub fn row(size: Size, engine: &Engine, runs: &[Run]) {
    let decision = spread(runs.iter().filter_map(|run| run.nanoseconds).collect(), time);
    let flat_out: Vec<Load> = runs.iter().filter_map(|run| run.flat_out).collect();
    let paced: Vec<Load> = runs.iter().filter_map(|run| run.paced).collect();
    let rate = spread(flat_out.iter().map(|load| load.each_second).collect(), whole);
    println!(
        "| {} | {} | {decision} | {rate} | {} | {} | {} | {} | {} |",
        engine.name,
        size.name,
        latency(&flat_out),
        latency(&paced),
        time(nanoseconds(engine.load)),
        bytes(engine.memory),
        engine.remark,
    );
}

fn latency(loads: &[Load]) -> String {
    let milliseconds = |figure: fn(&Load) -> f64| median(loads.iter().map(figure).collect()).map(|ms| time(ms * 1e6));
    match (milliseconds(|load| load.p50), milliseconds(|load| load.p99)) {
        (Some(p50), Some(p99)) => format!("{p50} / {p99}"),
        _ => "–".to_owned(),
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn spread(figures: Vec<f64>, show: fn(f64) -> String) -> String {
    let least = figures.iter().copied().reduce(f64::min);
    let most = figures.iter().copied().reduce(f64::max);
    match (median(figures), least, most) {
        (Some(median), Some(least), Some(most)) => format!("{} ({}–{})", show(median), show(least), show(most)),
        _ => "–".to_owned(),
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Nanoseconds in a unit that suits them.
fn time(nanoseconds: f64) -> String {
    let (figure, unit) = match nanoseconds {
        below if below < 1e3 => (below, "ns"),
        below if below < 1e6 => (below / 1e3, "µs"),
        below if below < 1e9 => (below / 1e6, "ms"),
        long => (long / 1e9, "s"),
    };
    let places = if figure < 10.0 { 2 } else { usize::from(figure < 100.0) };
    format!("{figure:.places$} {unit}")
}

fn whole(figure: f64) -> String {
    format!("{figure:.0}")
}

fn bytes(bytes: u64) -> String {
    let kilobytes = bytes / 1024;
    if kilobytes < 10 * 1024 {
        format!("{kilobytes} kB")
    } else {
        format!("{} MB", kilobytes / 1024)
    }
}
