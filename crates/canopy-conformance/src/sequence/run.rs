//! Runs the same operations on several stores.

use super::dump::dump_all;
use super::operation::{Number, Operation, Unit};
use super::rows::{
    Kind, account, all, api_key, application, assignment, environment, id, identity, membership, name_of, node,
    number_within, permission, role, version,
};
use canopy_domain::port::{CommitRecord, LockScope, RowStore, RowTx, StoreError};
use canopy_domain::{
    AccessModel, Assignment, Description, EnvironmentId, Identity, Membership, MembershipStatus, Node, NodeStatus,
    Permission, Role,
};
use canopy_testkit::CountingIds;
use canopy_testkit::clock::noon;
use canopy_testkit::fixture::{Maker, key_digest};
use std::fmt;

/// The first difference between stores.
#[derive(Debug)]
pub struct Difference {
    /// The unit of work after which they differed.
    pub unit: usize,
    /// The difference.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after unit {}: {}", self.unit, self.what)
    }
}

/// Fills empty stores with the same small installation, runs these units of work on all of them, and compares the
/// result of every call and, after each commit and at the end, all readable contents.
///
/// A call that breaks a unique rule and names an unknown row may be refused for either.
///
/// # Errors
/// The first [`Difference`].
pub async fn same_outcome(stores: &[&dyn RowStore], units: &[Unit]) -> Result<(), Difference> {
    let start = start();
    for (index, unit) in std::iter::once(&start).chain(units).enumerate() {
        let differ = |what| Difference { unit: index, what };
        let ids = CountingIds::series(0xfff - u16::try_from(index).expect("fewer units"));
        let maker = Maker::new(ids, noon());
        let end = run_unit(stores, unit, &maker).await.map_err(differ)?;
        assert!(end == End::Whole || index > 0, "the start is valid");
        // The next comparison would show what a dropped unit of work left behind.
        if end == End::Dropped && index < units.len() {
            continue;
        }
        let mut dumps = vec![];
        for (number, store) in stores.iter().enumerate() {
            let read = dump_all(*store).await;
            dumps.push(read.map_err(|error| differ(format!("store {number} cannot be read: {error:?}")))?);
        }
        let Some((first, others)) = dumps.split_first() else {
            return Ok(());
        };
        for (number, other) in (1..).zip(others) {
            if first != other {
                let differences = first.differences(other).join("\n");
                return Err(differ(format!("stores 0 and {number}: {differences}")));
            }
        }
    }
    Ok(())
}

/// The end of a unit of work on all stores.
#[derive(PartialEq, Eq)]
enum End {
    /// All calls took effect.
    Whole,
    /// The calls before a refusal were discarded.
    Part,
    /// No call took effect.
    Dropped,
}

/// Runs one unit of work on all stores, call by call.
///
/// After a refusal other than a duplicate, a unit of work is unusable: all stores drop it and continue with a new one.
async fn run_unit(stores: &[&dyn RowStore], unit: &Unit, maker: &Maker) -> Result<End, String> {
    let mut open = open_all(stores).await?;
    let mut end = End::Whole;
    for operation in &unit.operations {
        let mut outcomes = vec![];
        for tx in &mut open {
            outcomes.push(Outcome::of(apply(tx.as_mut(), operation).await)?);
        }
        let is_bug = outcomes.contains(&Outcome::Bug);
        let agree = outcomes.windows(2).all(|pair| pair.first() == pair.last());
        // Stores may check rules in different orders if several are broken.
        let all_refuse = is_bug && outcomes.iter().all(Outcome::refuses);
        if !(agree || all_refuse) {
            return Err(format!("{operation:?}\n   {outcomes:?}"));
        }
        if is_bug {
            end = End::Part;
            drop(open);
            open = open_all(stores).await?;
        }
    }
    let Some(touched) = &unit.commit else {
        return Ok(End::Dropped);
    };
    let record = record(maker, touched);
    let mut commits = vec![];
    for tx in open {
        commits.push(tx.commit(record.clone()).await);
    }
    if commits
        .iter()
        .all(|commit| matches!(commit, Err(StoreError::Internal(_))))
    {
        return Ok(End::Dropped);
    }
    let taken: Option<Vec<_>> = commits.iter().map(|commit| commit.as_ref().ok()).collect();
    match taken {
        Some(taken) if taken.windows(2).all(|pair| pair.first() == pair.last()) => Ok(end),
        _ => Err(format!("commit: {commits:?}")),
    }
}

async fn open_all(stores: &[&dyn RowStore]) -> Result<Vec<Box<dyn RowTx>>, String> {
    let mut all = vec![];
    for store in stores {
        all.push(open(*store).await?);
    }
    Ok(all)
}

async fn open(store: &dyn RowStore) -> Result<Box<dyn RowTx>, String> {
    let opened = store.write_rows(LockScope::Installation).await;
    opened.map_err(|error| format!("{error:?}"))
}

/// The outcome of a call, as far as stores must agree.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Duplicate(canopy_domain::port::Unique),
    Bug,
}

impl Outcome {
    fn refuses(&self) -> bool {
        *self != Self::Done
    }

    fn of(result: Result<(), StoreError>) -> Result<Self, String> {
        match result {
            Ok(()) => Ok(Self::Done),
            Err(StoreError::Duplicate(rule)) => Ok(Self::Duplicate(rule)),
            Err(StoreError::Internal(_)) => Ok(Self::Bug),
            Err(other) => Err(format!("no store may answer: {other:?}")),
        }
    }
}

/// Returns the start: accounts 0 and 1; applications 0 and 2 of account 0, 1 of account 1; environments 0 and 1 of
/// application 0, 2 of application 1, 3 of application 2; in each environment nodes 0 (the root) to 2, roles and
/// permissions 0 to 2; and identities 0 to 2 of account 0, 3 of account 1, all members.
fn start() -> Unit {
    let mut operations = vec![
        Operation::Account { id: 0, slug: 0 },
        Operation::Account { id: 1, slug: 1 },
    ];
    for (id, account) in [(0, 0), (1, 1), (2, 0)] {
        operations.push(Operation::Application { id, account, slug: id });
    }
    for (id, application) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        operations.push(Operation::Environment {
            id,
            application,
            slug: id,
        });
        let environment = id;
        let nodes = vec![(1, 0, 1), (2, 1, 1)];
        operations.push(Operation::Nodes {
            environment,
            rows: nodes,
        });
        let permissions = vec![(0, 0), (1, 1), (2, 2)];
        operations.push(Operation::Permissions {
            environment,
            rows: permissions,
        });
        let roles = vec![(0, 0, true), (1, 1, true), (2, 2, false)];
        operations.push(Operation::Roles {
            environment,
            rows: roles,
        });
        operations.push(Operation::Bind {
            environment,
            pairs: vec![(0, 0), (1, 0), (1, 1)],
        });
    }
    for (account, rows) in [
        (0, vec![(0, 0, Some(0)), (1, 1, None), (2, 2, None)]),
        (1, vec![(3, 0, Some(0))]),
    ] {
        operations.push(Operation::Identities { account, rows });
    }
    let active = MembershipStatus::Active;
    for (application, rows) in [
        (
            0,
            vec![(0, 0, active), (1, 1, active), (2, 2, MembershipStatus::Suspended)],
        ),
        (1, vec![(3, 3, active)]),
    ] {
        operations.push(Operation::Memberships { application, rows });
    }
    Unit {
        operations,
        commit: Some(vec![0, 1, 2, 3]),
    }
}

fn record(maker: &Maker, touched: &[Number]) -> CommitRecord {
    let mut environments: Vec<EnvironmentId> = vec![];
    for environment in touched.iter().map(|number| id(Kind::Environment, *number)) {
        if !environments.contains(&environment) {
            environments.push(environment);
        }
    }
    maker.record(id(Kind::Account, 0), &environments)
}

async fn apply(tx: &mut dyn RowTx, operation: &Operation) -> Result<(), StoreError> {
    match operation {
        Operation::Account { id, slug } => tx.insert_account(&account(*id, *slug)).await,
        Operation::UpdateAccount { id, slug } => tx.update_account(&account(*id, *slug)).await,
        Operation::DeleteApplication { id: number } => tx.delete_application(id(Kind::Application, *number)).await,
        Operation::DeleteEnvironments { ids } => tx.delete_environments(&all(Kind::Environment, ids)).await,
        Operation::Application { id, account, slug } => {
            tx.insert_application(&application(*id, *account, *slug, 0)).await
        }
        Operation::UpdateApplication {
            id,
            account,
            slug,
            settings,
        } => {
            tx.update_application(&application(*id, *account, *slug, *settings))
                .await
        }
        Operation::Environment { id, application, slug } => {
            let (environment, schema) = environment(*id, *application, *slug, AccessModel::Flat);
            tx.insert_environment(&environment, &schema).await?;
            let mut root = node(*id, 0, 0, 0, NodeStatus::Active);
            root.parent = None;
            tx.insert_nodes(&[root]).await
        }
        Operation::UpdateEnvironment {
            id,
            application,
            slug,
            model,
        } => {
            let (environment, schema) = environment(*id, *application, *slug, *model);
            tx.update_environment(&environment, &schema).await
        }
        _ => apply_within(tx, operation).await,
    }
}

/// Executes an operation below the tenants.
#[expect(clippy::too_many_lines, reason = "one arm for each operation")]
async fn apply_within(tx: &mut dyn RowTx, operation: &Operation) -> Result<(), StoreError> {
    let pairs = |pairs: &[(Number, Number)]| -> Vec<_> {
        let ids = |(role, permission): &(Number, Number)| (id(Kind::Role, *role), id(Kind::Permission, *permission));
        pairs.iter().map(ids).collect()
    };
    match operation {
        Operation::Permissions { environment, rows } => {
            let rows: Vec<Permission> = rows.iter().map(|row| permission(*environment, *row)).collect();
            tx.insert_permissions(&rows).await
        }
        Operation::UpdatePermission { environment, row } => {
            let (number, text) = *row;
            let changed = Permission {
                description: Some(Description::parse(name_of(text).as_str()).expect("a text")),
                version: version(text),
                ..permission(*environment, (number, 0))
            };
            tx.update_permissions(&[changed]).await
        }
        Operation::DeletePermissions { environment, ids } => {
            let environment = id(Kind::Environment, *environment);
            tx.delete_permissions(environment, &all(Kind::Permission, ids)).await
        }
        Operation::DeleteRoles { environment, ids } => {
            let environment = id(Kind::Environment, *environment);
            tx.delete_roles(environment, &all(Kind::Role, ids)).await
        }
        Operation::DeleteNodes { environment, ids } => {
            let environment = id(Kind::Environment, *environment);
            tx.delete_nodes(environment, &all(Kind::Node, ids)).await
        }
        Operation::Roles { environment, rows } => {
            let rows: Vec<Role> = rows.iter().map(|row| role(*environment, *row)).collect();
            tx.insert_roles(&rows).await
        }
        Operation::UpdateRole { environment, row } => tx.update_roles(&[role(*environment, *row)]).await,
        Operation::Bind {
            environment,
            pairs: bound,
        } => {
            tx.bind_permissions(id(Kind::Environment, *environment), &pairs(bound))
                .await
        }
        Operation::Unbind {
            environment,
            pairs: unbound,
        } => {
            tx.unbind_permissions(id(Kind::Environment, *environment), &pairs(unbound))
                .await
        }
        Operation::Nodes { environment, rows } => {
            // Callers must put parents before their children, and no node below itself.
            let below = |id: Number, parent: Number| if parent < id { parent } else { Number::from(id == 0) };
            let node = |(id, parent, slug): &(Number, Number, Number)| {
                node(*environment, *id, below(*id, *parent), *slug, NodeStatus::Active)
            };
            let mut rows = rows.clone();
            rows.sort_unstable();
            let rows: Vec<Node> = rows.iter().map(node).collect();
            tx.insert_nodes(&rows).await
        }
        Operation::UpdateNode {
            environment,
            id: number,
            slug,
            status,
        } => {
            // The node is not moved; moves have their own tests.
            let old = tx
                .node(id(Kind::Environment, *environment), id(Kind::Node, *number))
                .await?;
            let mut changed = node(*environment, *number, 0, *slug, *status);
            if let Some(old) = old {
                changed.parent = old.parent;
            }
            tx.update_nodes(&[changed]).await
        }
        Operation::Identities { account, rows } => {
            let row = |(id, email, external): &(Number, Number, Option<Number>)| {
                identity(*account, (number_within(*account, *id), *email, *external))
            };
            let rows: Vec<Identity> = rows.iter().map(row).collect();
            tx.insert_identities(&rows).await
        }
        Operation::UpdateIdentity {
            account,
            row: (id, email, external),
        } => {
            let row = (number_within(*account, *id), *email, *external);
            tx.update_identity(&identity(*account, row)).await
        }
        Operation::DeleteIdentity { account, id: number } => {
            let gone = id(Kind::Identity, number_within(*account, *number));
            tx.delete_identity(id(Kind::Account, *account), gone).await
        }
        Operation::Memberships { application, rows } => {
            let rows: Vec<Membership> = rows.iter().map(|row| membership(*application, *row)).collect();
            tx.insert_memberships(&rows).await
        }
        Operation::UpdateMemberships { application, rows } => {
            let rows: Vec<Membership> = rows.iter().map(|row| membership(*application, *row)).collect();
            tx.update_memberships(&rows).await
        }
        Operation::Assignments { environment, rows } => {
            let rows: Vec<Assignment> = rows.iter().map(|row| assignment(*environment, *row)).collect();
            tx.insert_assignments(&rows).await
        }
        Operation::UpdateAssignments { environment, rows } => {
            let rows: Vec<Assignment> = rows.iter().map(|row| assignment(*environment, *row)).collect();
            tx.update_assignments(&rows).await
        }
        Operation::DeleteAssignments { environment, ids } => {
            let environment = id(Kind::Environment, *environment);
            tx.delete_assignments(environment, &all(Kind::Assignment, ids)).await
        }
        Operation::ApiKey {
            environment,
            id,
            digest,
            is_full,
        } => {
            let key = api_key(*environment, *id, *is_full);
            tx.insert_api_key(&key, &key_digest(*digest)).await
        }
        Operation::ExpireApiKey {
            environment,
            id: number,
            hours,
        } => {
            let end = noon().plus_seconds(i64::from(*hours) * 3600);
            tx.expire_api_key(id(Kind::Environment, *environment), id(Kind::ApiKey, *number), end)
                .await
        }
        Operation::DeleteApiKey {
            environment,
            id: number,
        } => {
            tx.delete_api_key(id(Kind::Environment, *environment), id(Kind::ApiKey, *number))
                .await
        }
        Operation::RevokeAll {
            environments,
            identity: holder,
        } => {
            let environments: Vec<_> = environments
                .iter()
                .map(|number| id(Kind::Environment, *number))
                .collect();
            tx.revoke_all(&environments, id(Kind::Identity, *holder)).await?;
            Ok(())
        }
        Operation::Account { .. }
        | Operation::UpdateAccount { .. }
        | Operation::DeleteApplication { .. }
        | Operation::DeleteEnvironments { .. }
        | Operation::Application { .. }
        | Operation::UpdateApplication { .. }
        | Operation::Environment { .. }
        | Operation::UpdateEnvironment { .. } => Ok(()),
    }
}
