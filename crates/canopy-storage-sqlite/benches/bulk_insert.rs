//! Bulk-create through the port beside the raw insert of the same rows: same schema, same pragmas, same file system, one
//! transaction each, interleaved. The port's side does all that the use case asks of the store: reads the facts, judges
//! them, writes the rows, the change record and the audit event, and commits.
//!
//! `cargo bench -p canopy-storage-sqlite --bench bulk_insert [-- PAGES [EXISTING ROWS]]`; PAGES is `wal_autocheckpoint`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may stop, and prints"
)]

use canopy_domain::access::{AccessIndex, Change, GrantFact};
use canopy_domain::assignment::bulk_create::{NewAssignment, plan};
use canopy_domain::audit::Detail;
use canopy_domain::bulk::Verdict;
use canopy_domain::port::{EnvironmentChanges, LockScope, RowStore, Store};
use canopy_domain::{
    Account, Assignment, AssignmentId, AssignmentKey, EnvironmentId, EnvironmentRef, IdentityId, MembershipStatus,
    Node, NodeId, RoleId,
};
use canopy_storage_sqlite::{SqliteOptions, SqliteStore};
use canopy_testkit::fixture::{Maker, window_from};
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

const IDENTITIES: usize = 100_000;
const NODES: usize = 100_000;
const ROLES: usize = 100;

/// What there is to be assigned.
struct Company {
    maker: Maker,
    account: Account,
    place: EnvironmentRef,
    identities: Vec<IdentityId>,
    roles: Vec<RoleId>,
    nodes: Vec<NodeId>,
    seed: u64,
    seen: HashSet<AssignmentKey>,
}

impl Company {
    fn pick(&mut self, below: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        usize::try_from(self.seed % u64::try_from(below).unwrap()).unwrap()
    }

    /// A triple that was not given before.
    fn key(&mut self) -> AssignmentKey {
        loop {
            let key = self.any_key();
            if self.seen.insert(key) {
                return key;
            }
        }
    }

    fn any_key(&mut self) -> AssignmentKey {
        let (identity, role, node) = (self.pick(IDENTITIES), self.pick(ROLES), self.pick(NODES));
        AssignmentKey {
            identity: *self.identities.get(identity).unwrap(),
            role: *self.roles.get(role).unwrap(),
            node: *self.nodes.get(node).unwrap(),
        }
    }

    fn keys(&mut self, count: usize) -> Vec<AssignmentKey> {
        (0..count).map(|_| self.key()).collect()
    }

    fn assignment(&self, key: AssignmentKey) -> Assignment {
        Assignment {
            id: self.maker.id::<AssignmentId>(),
            environment_id: self.place.environment,
            key,
            window: window_from(self.maker.now()),
            created_at: self.maker.now(),
            updated_at: self.maker.now(),
        }
    }
}

async fn build(store: &SqliteStore) -> Company {
    let maker = Maker::default();
    let account = maker.account("acme");
    let application = maker.application(account.id, "notes");
    let made = maker.environment(&account, application.id, "development");
    let environment: EnvironmentId = made.environment.id;
    let mut tx = store.write_rows(LockScope::Installation).await.unwrap();
    tx.insert_account(&account).await.unwrap();
    tx.insert_application(&application).await.unwrap();
    tx.insert_environment(&made.environment, &made.schema).await.unwrap();
    tx.insert_nodes(std::slice::from_ref(&made.root)).await.unwrap();
    let roles: Vec<_> = (0..ROLES)
        .map(|n| maker.role(environment, &format!("Role {n}")))
        .collect();
    tx.insert_roles(&roles).await.unwrap();
    let mut nodes: Vec<Node> = Vec::with_capacity(NODES);
    for n in 0..NODES {
        let parent = if n < 10 {
            made.root.id
        } else {
            nodes.get(n / 10 - 1).unwrap().id
        };
        nodes.push(maker.node(environment, parent, "root", &format!("n{n}")));
    }
    for some in nodes.chunks(10_000) {
        tx.insert_nodes(some).await.unwrap();
    }
    let identities: Vec<_> = (0..IDENTITIES)
        .map(|n| maker.identity(account.id, &format!("First{n} Last")))
        .collect();
    let memberships: Vec<_> = identities
        .iter()
        .map(|one| maker.membership(one.id, application.id, MembershipStatus::Active))
        .collect();
    for (some, of_them) in identities.chunks(10_000).zip(memberships.chunks(10_000)) {
        tx.insert_identities(some).await.unwrap();
        tx.insert_memberships(of_them).await.unwrap();
    }
    tx.commit(maker.record(account.id, &[environment])).await.unwrap();
    Company {
        place: EnvironmentRef {
            account: account.id,
            application: application.id,
            environment,
        },
        identities: identities.iter().map(|one| one.id).collect(),
        roles: roles.iter().map(|one| one.id).collect(),
        nodes: nodes.iter().map(|one| one.id).collect(),
        maker,
        account,
        seed: 0x2545_f491_4f6c_dd1d,
        seen: HashSet::new(),
    }
}

/// The raw insert: one prepared statement, once for each row, in one transaction.
fn raw(connection: &mut rusqlite::Connection, rows: &[Assignment]) -> Duration {
    const INSERT: &str = "INSERT INTO assignments (environment_id, id, identity_id, role_id, node_id, effective_from, \
                          effective_to, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let begun = Instant::now();
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    {
        let mut insert = transaction.prepare(INSERT).unwrap();
        for one in rows {
            insert
                .execute(rusqlite::params![
                    one.environment_id.as_bytes(),
                    one.id.as_bytes(),
                    one.key.identity.as_bytes(),
                    one.key.role.as_bytes(),
                    one.key.node.as_bytes(),
                    one.window.from().as_micros(),
                    one.window.to().map(canopy_domain::Timestamp::as_micros),
                    one.created_at.as_micros(),
                    one.updated_at.as_micros(),
                ])
                .unwrap();
        }
    }
    transaction.commit().unwrap();
    begun.elapsed()
}

/// How long each step through the port took: facts, plan, insert, commit.
async fn through_the_port(store: &SqliteStore, company: &Company, keys: &[AssignmentKey]) -> [Duration; 4] {
    let mut begun = Instant::now();
    let mut lap = || {
        let took = begun.elapsed();
        begun = Instant::now();
        took
    };
    let environment = company.place.environment;
    let mut tx = store.write_rows(LockScope::Environment(environment)).await.unwrap();
    let facts = tx.assignment_facts(&company.place, keys).await.unwrap();
    let facts_took = lap();
    let items: Vec<_> = keys
        .iter()
        .map(|key| NewAssignment {
            key: *key,
            from: None,
            to: None,
        })
        .collect();
    let verdicts = plan(&items, &facts, company.maker.now());
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Accepted(_))));
    let rows: Vec<_> = keys.iter().map(|key| company.assignment(*key)).collect();
    let plan_took = lap();
    tx.insert_assignments(&rows).await.unwrap();
    let insert_took = lap();
    let mut record = company.maker.record(company.account.id, &[]);
    record.audit.metadata = Detail::Map(vec![("ids", Detail::texts(rows.iter().map(|row| row.id)))]);
    record.changes = vec![EnvironmentChanges {
        environment,
        changes: rows.iter().map(|row| Change::GrantPut(GrantFact::from(row))).collect(),
    }];
    tx.commit(record).await.unwrap();
    [facts_took, plan_took, insert_took, lap()]
}

/// How long the process has computed, on all of its threads: on a machine that has other things to do, this tells more
/// than the clock. Linux alone knows.
fn computed() -> Duration {
    let of_thread = |folder: std::fs::DirEntry| {
        let text = std::fs::read_to_string(folder.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads.filter_map(of_thread).sum()
}

fn open_raw(path: &Path, pages: u32) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    for (name, value) in [
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("temp_store", 2),
        ("cache_size", -65_536),
    ] {
        connection.pragma_update(None, name, value).unwrap();
    }
    connection.pragma_update(None, "wal_autocheckpoint", pages).unwrap();
    connection
}

fn show(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let median = *times.get(times.len() / 2).unwrap();
    let (first, last) = (times.first().unwrap(), times.last().unwrap());
    println!("  {name:<24} median {median:>10.2?}   min {first:>10.2?}   max {last:>10.2?}");
    median
}

async fn compare(folder: &Path, template: &Path, company: &mut Company, count: usize, rounds: usize, pages: u32) {
    let (raw_file, our_file) = (folder.join("raw.sqlite"), folder.join("ours.sqlite"));
    for file in [&raw_file, &our_file] {
        std::fs::copy(template, file).unwrap();
    }
    let options = SqliteOptions {
        wal_autocheckpoint: pages,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(our_file.to_str().unwrap(), options).unwrap();
    let mut connection = open_raw(&raw_file, pages);
    let mut raw_times = vec![];
    let mut steps = [const { Vec::new() }; 4];
    let mut our_times = vec![];
    let (mut raw_computed, mut our_computed) = (vec![], vec![]);
    for round in 0..=rounds {
        let keys = company.keys(count);
        let rows: Vec<_> = keys.iter().map(|key| company.assignment(*key)).collect();
        let begun = computed();
        let raw_took = raw(&mut connection, &rows);
        let between = computed();
        let took = through_the_port(&store, company, &keys).await;
        let ended = computed();
        if round > 0 {
            raw_computed.push(between.saturating_sub(begun));
            our_computed.push(ended.saturating_sub(between));
            raw_times.push(raw_took);
            our_times.push(took.iter().sum());
            for (all, one) in steps.iter_mut().zip(took) {
                all.push(one);
            }
        }
    }
    let raw_median = show("raw", raw_times);
    let our_median = show("through the port", our_times);
    for (name, times) in ["- begin, facts", "- plan", "- insert", "- history, commit"]
        .into_iter()
        .zip(steps)
    {
        show(name, times);
    }
    println!("  ratio {:.2}", our_median.as_secs_f64() / raw_median.as_secs_f64());
    let raw_median = show("raw, computing", raw_computed);
    let our_median = show("port, computing", our_computed);
    println!(
        "  ratio {:.2} of computing",
        our_median.as_secs_f64() / raw_median.as_secs_f64()
    );
    drop((store, connection));
    for file in [
        "raw.sqlite",
        "raw.sqlite-wal",
        "raw.sqlite-shm",
        "ours.sqlite",
        "ours.sqlite-wal",
        "ours.sqlite-shm",
    ] {
        let _ = std::fs::remove_file(folder.join(file));
    }
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let pages = numbers.next().map_or(SqliteOptions::default().wal_autocheckpoint, |n| {
        u32::try_from(n).unwrap()
    });
    let existing = numbers.next().unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.sqlite");
    let store = SqliteStore::open(template.to_str().unwrap(), SqliteOptions::default()).unwrap();
    let mut company = build(&store).await;
    drop(store);
    println!("wal_autocheckpoint = {pages}");
    for (count, rounds) in [(1_000, 15), (10_000, 7)] {
        println!("{count} rows, empty table");
        compare(folder.path(), &template, &mut company, count, rounds, pages).await;
    }
    let mut connection = open_raw(&template, 100_000);
    for _ in 0..existing.div_ceil(50_000) {
        let keys = company.keys(50_000);
        let rows: Vec<_> = keys.iter().map(|key| company.assignment(*key)).collect();
        raw(&mut connection, &rows);
    }
    drop(connection);
    for (count, rounds) in [(1_000, 15), (10_000, 7)] {
        println!("{count} rows, after {existing}");
        compare(folder.path(), &template, &mut company, count, rounds, pages).await;
    }
    let store = SqliteStore::open(template.to_str().unwrap(), SqliteOptions::default()).unwrap();
    let mut tx = store.read().await.unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        let snapshot = tx.snapshot(company.place.environment).await.unwrap().unwrap();
        let read = begun.elapsed();
        let index = AccessIndex::build(&snapshot).unwrap();
        println!(
            "snapshot of {} assignments {read:.2?}, with index {:.2?}",
            snapshot.grants.len(),
            begun.elapsed()
        );
        drop(index);
    }
}
