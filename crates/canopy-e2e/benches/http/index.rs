//! Time and memory to load an index from PostgreSQL, each time in a process of its own.

use crate::{Scale, print_row};
use canopy_domain::EnvironmentId;
use canopy_domain::access::AccessIndex;
use canopy_domain::port::Store;
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_testkit::fixture::store_workload;
use canopy_testkit::postgres::Server;
use canopy_testkit::workload::{Size, Workload};
use std::process::Command;
use std::time::Instant;

/// The word by which this program calls itself.
pub const IN_A_PROCESS_OF_ITS_OWN: &str = "load-index";

pub async fn index(scale: Scale) {
    for size in scale.sizes(&[Size::M, Size::L]) {
        let cluster = Server::start();
        let url = cluster.url("postgres");
        let store = PgStore::open(&PgOptions::new(&url)).await.unwrap();
        let place = store_workload(&store, &Workload::new(size, 1)).await.unwrap();
        drop(store);
        let mut figures: [Vec<f64>; 4] = Default::default();
        for _ in 0..scale.runs() {
            let output = Command::new(std::env::current_exe().unwrap())
                .args([IN_A_PROCESS_OF_ITS_OWN, &url, &place.environment.to_string()])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let words: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
            assert_eq!(
                words.len(),
                figures.len(),
                "{text} {}",
                String::from_utf8_lossy(&output.stderr)
            );
            for (column, figure) in figures.iter_mut().zip(words) {
                column.push(figure);
            }
        }
        let what = format!("{} assignments", size.assignments);
        let [read, build, memory, peak] = figures;
        print_row(&format!("{what}: read from the database"), "ms", read);
        print_row(&format!("{what}: made an index of"), "ms", build);
        print_row(&format!("{what}: memory of the index"), "MiB", memory);
        print_row(&format!("{what}: resident memory at the most"), "MiB", peak);
    }
}

/// Loads one index and prints milliseconds to read and to build, and MiB of the index and of the process at its peak.
pub async fn load(url: &str, environment: &str) {
    let store = PgStore::open(&PgOptions::new(url)).await.unwrap();
    let environment = EnvironmentId::new(environment.parse().unwrap());
    let mut tx = store.read().await.unwrap();
    let begun = Instant::now();
    let snapshot = tx.snapshot(environment).await.unwrap().unwrap();
    let read = begun.elapsed();
    let begun = Instant::now();
    let index = AccessIndex::build(&snapshot).unwrap();
    let built = begun.elapsed();
    let bytes = u32::try_from(index.memory_bytes()).unwrap();
    println!(
        "{:.2} {:.2} {:.2} {:.2}",
        read.as_secs_f64() * 1_000.0,
        built.as_secs_f64() * 1_000.0,
        f64::from(bytes) / 1_048_576.0,
        peak_kib() / 1_024.0
    );
}

/// The most memory this process has had, as Linux counts it.
fn peak_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
