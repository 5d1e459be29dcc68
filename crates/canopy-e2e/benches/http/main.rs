//! The figures of the service over HTTP, beside what they are measured against in the same run.
//!
//! `cargo bench -p canopy-e2e --bench http [-- WHAT… [smoke]]`, where WHAT is one of
//!
//! - `evaluate`: checks on SQLite beside a handler that does nothing; needs `wrk` on the PATH;
//! - `evaluate-postgres`: strong and eventual checks on PostgreSQL, likewise;
//! - `many`: many checks in a call; needs `wrk`;
//! - `write-then-check`: a write and the check that sees it, on both stores;
//! - `bulk`: bulk-create on SQLite beside the raw insert;
//! - `bulk-postgres`: bulk-create on PostgreSQL, likewise;
//! - `writers`: bulk-create on PostgreSQL by 1, 4 and 16 writers, each in an environment of its own;
//! - `tenants`: checks over a thousand environments, and a burst of cold ones; needs `wrk`;
//! - `import`: 100,000 nodes, time and memory, on both stores;
//! - `lists`: first and deep pages, filters and searches of assignments and people, on both stores;
//! - `index`: time and memory to load an index from PostgreSQL.
//!
//! `smoke` makes everything small and short, to see that it works. Server, database and load share the machine, so compare
//! lines of one run with each other.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may stop, and prints"
)]

mod bulk;
mod evaluate;
mod import;
mod index;
mod lists;
mod load;
mod many;
mod tenants;
mod write_then_check;
mod writers;

use canopy_testkit::workload::Size;
use std::time::Duration;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENV: &str = "/portal/v1/accounts/acme/applications/notes/environments/development";
const RUNS: usize = 5;

/// The extent of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Full,
    /// Just enough to see that it works.
    Smoke,
}

impl Scale {
    fn runs(self) -> usize {
        if self == Self::Full { RUNS } else { 1 }
    }

    /// The duration of one measurement.
    fn seconds(self) -> u64 {
        if self == Self::Full { 4 } else { 1 }
    }

    fn duration(self) -> Duration {
        Duration::from_secs(self.seconds())
    }

    fn sizes(self, full: &[Size]) -> Vec<Size> {
        if self == Self::Full {
            full.to_vec()
        } else {
            vec![Size::S]
        }
    }
}

#[tokio::main]
async fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [what, url, environment] = wanted.as_slice()
        && what == index::IN_A_PROCESS_OF_ITS_OWN
    {
        return index::load(url, environment).await;
    }
    let named = wanted.len();
    wanted.retain(|word| word != "smoke");
    let scale = if wanted.len() < named {
        Scale::Smoke
    } else {
        Scale::Full
    };
    let wants = |what: &str| wanted.is_empty() || wanted.iter().any(|word| word == what);
    if wants("evaluate") {
        evaluate::on_sqlite(scale).await;
    }
    if wants("evaluate-postgres") {
        evaluate::on_postgres(scale).await;
    }
    if wants("many") {
        many::many(scale).await;
    }
    if wants("write-then-check") {
        write_then_check::write_then_check(scale).await;
    }
    if wants("bulk") && scale == Scale::Full {
        bulk::on_sqlite().await;
    }
    if wants("bulk-postgres") && scale == Scale::Full {
        bulk::on_postgres().await;
    }
    if wants("writers") {
        writers::writers(scale).await;
    }
    if wants("tenants") {
        tenants::tenants(scale).await;
    }
    if wants("import") {
        import::import(scale).await;
    }
    if wants("lists") {
        lists::lists(scale).await;
    }
    if wants("index") {
        index::index(scale).await;
    }
}

fn print_row(label: &str, unit: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let median = figures.get(figures.len() / 2).unwrap();
    println!(
        "{label}: {median:.2} {unit} (min {:.2}, max {:.2})",
        figures.first().unwrap(),
        figures.last().unwrap()
    );
}
