//! One tenant does its worst within its rights and strangers do theirs, while another tenant asks.
//!
//! Each attack is one way to take the service from everybody else: a bound in items where the cost is in bytes,
//! products or seconds. Held while each of them runs: every strong check of the other tenant is answered, its 99th
//! percentile and that of `/health/live` stay below their bounds, and the process stays below its memory bound.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod attacks;
mod probe;
#[expect(dead_code, reason = "the tests of the server use all of it")]
#[path = "../server/process.rs"]
mod process;
mod stage;
mod strangers;

use attacks::Attack;
use canopy_testkit::postgres::Database;
use probe::{Probe, Report};
use process::Home;
use stage::Stage;
use std::time::Duration;

/// The bounds of an optimised build on a machine that answers a check in [`REFERENCE`].
const CHECK_P99: Duration = Duration::from_millis(50);
const HEALTH_P99: Duration = Duration::from_millis(250);
/// Writes share one writer on SQLite: each waits for what is being written, and then for its tenant's turn.
const WRITE_P99: Duration = Duration::from_secs(1);

/// The 99th percentile of a check on a quiet release build of two cores. Slower machines get more time in proportion, at most
/// [`SLOWEST`] times as much.
const REFERENCE: Duration = Duration::from_millis(2);
const SLOWEST: f64 = 8.0;

/// The factor by which an unoptimised build is slower, at the least.
const UNOPTIMISED: f64 = 6.0;

/// The resident memory that the process may reach: the default budgets of bodies and of answers in flight (256 MiB each), the
/// indexes of these environments (under 100 MiB), and 300 MiB for everything that has no budget of its own.
const MEMORY_MIB: u64 = 900;

/// Held by the test that attacks: two servers under attack at once would measure each other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn scaled(bound: Duration, quiet: &Report) -> Duration {
    let least = if cfg!(debug_assertions) { UNOPTIMISED } else { 1.0 };
    let factor = quiet.checks.p99.as_secs_f64() / REFERENCE.as_secs_f64();
    bound.mul_f64(factor.clamp(least, SLOWEST))
}

async fn withstand(home: Home) {
    let _alone = ALONE.lock().await;
    let server = home.serve(&[]);
    let stage = Stage::set(&home, &server).await;
    let probe = Probe::start(&stage, server.id()).await;
    let quiet = probe
        .observe(async { tokio::time::sleep(Duration::from_secs(2)).await })
        .await;
    println!("{:<36} {quiet}", "quiet");
    assert_eq!(quiet.checks.failed, 0, "{quiet}");
    let [check, health, write] = [CHECK_P99, HEALTH_P99, WRITE_P99].map(|bound| scaled(bound, &quiet));

    let mut broken = Vec::new();
    for attack in Attack::ALL {
        let name = attack.name();
        let report = probe.observe(attack.run(&stage)).await;
        println!("{name:<36} {report}");
        if report.checks.failed + report.health.failed + report.writes.failed > 0
            || report.checks.p99 > check
            || report.health.p99 > health
            || report.writes.p99 > write
            || report.memory_mib > MEMORY_MIB
        {
            broken.push(format!("{name}: {report}"));
        }
    }
    assert!(
        broken.is_empty(),
        "bounds: checks {check:?}, health {health:?}, writes {write:?}, memory {MEMORY_MIB} MiB\n{}",
        broken.join("\n")
    );
    probe.stop();
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_at_its_worst_leaves_others_their_checks_on_sqlite() {
    withstand(Home::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_at_its_worst_leaves_others_their_checks_on_postgres() {
    let database = Database::bare().await;
    withstand(Home::on_postgres(database.url())).await;
}
