//! Bulk-create through the port beside the raw `INSERT … SELECT FROM unnest` of the same rows: same table, same server, one
//! transaction each, interleaved. The port's side does all that the use case asks of the store: reads the facts, judges
//! them, writes the rows, the change record and the audit event, and commits. The server is one of its own that does not
//! wait for the disk, which is hardest on the port: both sides would wait once.
//!
//! `cargo bench -p canopy-storage-postgres --bench bulk_insert [-- EXISTING ROWS]`

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
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_testkit::fixture::{Maker, window_from};
use canopy_testkit::postgres::Server;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

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

async fn build(store: &PgStore) -> Company {
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

const INSERT: &str = "INSERT INTO assignments (environment_id, id, identity_id, role_id, node_id, effective_from, \
                      created_at, updated_at) \
                      SELECT n.*, now(), now(), now() FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], \
                      $5::uuid[]) AS n";

/// The raw insert: one prepared statement for all rows, in one transaction.
async fn raw(client: &mut Client, insert: &Statement, rows: &[Assignment]) -> Duration {
    let column = |id: fn(&Assignment) -> Uuid| rows.iter().map(id).collect::<Vec<_>>();
    let begun = Instant::now();
    let columns = [
        column(|one| one.environment_id.as_uuid()),
        column(|one| one.id.as_uuid()),
        column(|one| one.key.identity.as_uuid()),
        column(|one| one.key.role.as_uuid()),
        column(|one| one.key.node.as_uuid()),
    ];
    let [environments, ids, identities, roles, nodes] = &columns;
    let transaction = client.transaction().await.unwrap();
    transaction
        .execute(insert, &[environments, ids, identities, roles, nodes])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    begun.elapsed()
}

/// How long each step through the port took: facts, plan, insert, commit.
async fn through_the_port(store: &PgStore, company: &Company, keys: &[AssignmentKey]) -> [Duration; 4] {
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

fn show(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let median = *times.get(times.len() / 2).unwrap();
    let (first, last) = (times.first().unwrap(), times.last().unwrap());
    println!("  {name:<24} median {median:>10.2?}   min {first:>10.2?}   max {last:>10.2?}");
    median
}

async fn compare(store: &PgStore, client: &mut Client, company: &mut Company, count: usize, rounds: usize) {
    let insert = client.prepare(INSERT).await.unwrap();
    let mut raw_times = vec![];
    let mut steps = [const { Vec::new() }; 4];
    let mut our_times = vec![];
    for round in 0..=rounds {
        let (keys, others) = (company.keys(count), company.keys(count));
        let rows: Vec<_> = others.iter().map(|key| company.assignment(*key)).collect();
        let raw_took = raw(client, &insert, &rows).await;
        let took = through_the_port(store, company, &keys).await;
        if round > 0 {
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
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let existing = numbers.next().unwrap_or(1_000_000);
    let server = Server::start();
    let store = PgStore::open(&PgOptions::new(server.url("postgres"))).await.unwrap();
    let mut company = build(&store).await;
    let (mut client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    for (count, rounds) in [(1_000, 15), (10_000, 7)] {
        client.batch_execute("TRUNCATE assignments").await.unwrap();
        println!("{count} rows, empty table");
        compare(&store, &mut client, &mut company, count, rounds).await;
    }
    let insert = client.prepare(INSERT).await.unwrap();
    for _ in 0..existing.div_ceil(50_000) {
        let keys = company.keys(50_000);
        let rows: Vec<_> = keys.iter().map(|key| company.assignment(*key)).collect();
        raw(&mut client, &insert, &rows).await;
    }
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    for (count, rounds) in [(1_000, 15), (10_000, 7)] {
        println!("{count} rows, after {existing}");
        compare(&store, &mut client, &mut company, count, rounds).await;
    }
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
    one_by_one(&store, &mut company).await;
}

/// What one row costs, and the question that a fence asks.
async fn one_by_one(store: &PgStore, company: &mut Company) {
    let mut writes = vec![];
    let mut heads = vec![];
    for _ in 0..300 {
        let keys = company.keys(1);
        writes.push(through_the_port(store, company, &keys).await.iter().sum());
        let begun = Instant::now();
        let answer = store.shared().unwrap().heads(&[company.place.environment]).await;
        heads.push(begun.elapsed());
        assert_eq!(answer.unwrap().len(), 1);
    }
    println!("one at a time");
    show("one assignment", writes);
    show("heads", heads);
}
