//! Assignments: facts to judge them by, and writing them.

use crate::error::{ensure, internal, translate};
use crate::packed::{Cell, IDS, Layout, Packed};
use crate::statement::Statement;
use crate::tenancy::place;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::assignment::bulk_create::AssignmentFacts;
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSummary, AssignmentView, NodeAssignmentSummary};
use canopy_domain::port::reader::AssignmentReader;
use canopy_domain::port::writer::AssignmentWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    Assignment, AssignmentId, AssignmentKey, EnvironmentId, EnvironmentRef, IdentityId, MembershipStatus, NodeId, Page,
    RoleId, Timestamp,
};
use canopy_storage_sql::rows::assignment::{AssignmentIdRow, AssignmentRow, ExistingRow, RevokedRow};
use canopy_storage_sql::rows::hierarchy::NodeIdRow;
use canopy_storage_sql::rows::identity::NotActiveRow;
use canopy_storage_sql::rows::role::AssignableRoleRow;
use canopy_storage_sql::write::one_environment;
use canopy_storage_sql::{Shape as _, SqlText, sql};
use diesel::{Connection, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

mod listing;

pub(crate) use listing::EFFORT;

const KEYS: Layout = Layout(&[("identity_id", Cell::Id), ("role_id", Cell::Id), ("node_id", Cell::Id)]);
const ROWS: Layout = Layout(&[
    ("id", Cell::Id),
    ("identity_id", Cell::Id),
    ("role_id", Cell::Id),
    ("node_id", Cell::Id),
    ("effective_from", Cell::Number),
    ("effective_to", Cell::OptionalNumber),
    ("created_at", Cell::Number),
    ("updated_at", Cell::Number),
]);

const GONE: Layout = Layout(&[("id", Cell::Id), ("gone", Cell::Number)]);

/// Packs rows in the order of their keys: the index of keys is the one that a batch is scattered over.
fn pack(assignments: &[Assignment]) -> Packed {
    let mut sorted: Vec<&Assignment> = assignments.iter().collect();
    sorted.sort_unstable_by_key(|assignment| assignment.key);
    Packed::new(ROWS, &sorted, |row, assignment| {
        row.id(assignment.id.as_bytes());
        row.id(assignment.key.identity.as_bytes());
        row.id(assignment.key.role.as_bytes());
        row.id(assignment.key.node.as_bytes());
        row.at(assignment.window.from());
        row.optional_at(assignment.window.to());
        row.at(assignment.created_at);
        row.at(assignment.updated_at);
    })
}

fn facts(
    c: &mut SqliteConnection,
    place: &EnvironmentRef,
    asked: &[AssignmentKey],
) -> Result<AssignmentFacts, StoreError> {
    // Nearly all that is asked about is there and active, so the statements tell of the exceptions. Whoever has a
    // membership is of the account; identities are looked at for the others alone.
    static IDENTITIES: SqlText = sql!(
        "{} SELECT given.id, m.status, m.status IS NOT NULL \
             OR EXISTS (SELECT 1 FROM identities AS i WHERE i.account_id = ?3 AND i.id = given.id) FROM given \
             LEFT JOIN memberships AS m ON m.application_id = ?4 AND m.identity_id = given.id AND m.account_id = ?3 \
             WHERE m.status IS NOT ?5",
        IDS.given()
    );
    static NODES: SqlText = sql!(
        "{} SELECT given.id FROM given \
             WHERE NOT EXISTS (SELECT 1 FROM nodes AS n WHERE n.environment_id = ?3 AND n.id = given.id)",
        IDS.given()
    );
    static ROLES: SqlText = sql!(
        "{} SELECT {assignable_role} FROM given \
             CROSS JOIN roles AS r ON r.environment_id = ?3 AND r.id = given.id",
        IDS.given(),
        assignable_role = AssignableRoleRow.of("r")
    );
    static EXISTING: SqlText = sql!(
        "{} SELECT {existing} FROM given CROSS JOIN assignments AS s \
             ON s.environment_id = ?3 AND s.identity_id = given.identity_id AND s.role_id = given.role_id \
             AND s.node_id = given.node_id",
        KEYS.given(),
        existing = ExistingRow.of("s")
    );
    let environment = place.environment.as_bytes();
    let mut identities: HashMap<_, _> = asked
        .iter()
        .map(|key| (key.identity, Some(MembershipStatus::Active)))
        .collect();
    let ids = Packed::distinct_ids(identities.keys().map(IdentityId::as_bytes));
    let exceptions = ids
        .statement(&IDENTITIES)
        .bind(place.account.as_bytes())
        .bind(place.application.as_bytes())
        .bind(MembershipStatus::Active.as_str());
    exceptions.for_each_of(c, NotActiveRow, |(id, status, is_known)| {
        if is_known {
            identities.insert(id, status);
        } else {
            identities.remove(&id);
        }
        Ok(())
    })?;
    let mut nodes: HashSet<NodeId> = asked.iter().map(|key| key.node).collect();
    let ids = Packed::distinct_ids(nodes.iter().map(NodeId::as_bytes));
    ids.statement(&NODES)
        .bind(environment)
        .for_each_of(c, NodeIdRow, |id| {
            nodes.remove(&id);
            Ok(())
        })?;
    let roles = Packed::distinct_ids(asked.iter().map(|key| key.role.as_bytes()));
    let roles = roles.statement(&ROLES).bind(environment).all(c, AssignableRoleRow)?;
    // Sorted, so that neighbours of the index are looked up one after the other.
    let mut keys: Vec<&AssignmentKey> = asked.iter().collect();
    keys.sort_unstable();
    let keys = Packed::new(KEYS, &keys, |row, key| {
        row.id(key.identity.as_bytes());
        row.id(key.role.as_bytes());
        row.id(key.node.as_bytes());
    });
    let existing = keys.statement(&EXISTING).bind(environment).all(c, ExistingRow)?;
    Ok(AssignmentFacts {
        identities,
        nodes,
        roles,
        existing,
    })
}

#[async_trait]
impl AssignmentReader for UnitOfWork {
    async fn assignment_facts(
        &mut self,
        place: &EnvironmentRef,
        asked: &[AssignmentKey],
    ) -> Result<AssignmentFacts, StoreError> {
        let (place, asked) = (*place, asked.to_vec());
        if asked.is_empty() {
            return Ok(AssignmentFacts::default());
        }
        self.run(move |c| facts(c, &place, &asked)).await
    }

    async fn assignments(
        &mut self,
        environment: EnvironmentId,
        ids: &[AssignmentId],
    ) -> Result<Vec<Assignment>, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT {assignment} FROM given CROSS JOIN assignments AS s \
                 ON s.environment_id = ?3 AND s.id = given.id",
            IDS.given(),
            assignment = AssignmentRow.of("s")
        );
        if ids.is_empty() {
            return Ok(vec![]);
        }
        // The ids go in sorted, so the rows come out sorted.
        let ids = Packed::distinct_ids(ids.iter().map(AssignmentId::as_bytes));
        self.run(move |c| {
            ids.statement(&SELECT)
                .bind(environment.as_bytes())
                .all(c, AssignmentRow)
        })
        .await
    }

    async fn assignments_at(
        &mut self,
        environment: EnvironmentId,
        nodes: &[NodeId],
    ) -> Result<Vec<Assignment>, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT {assignment} FROM given CROSS JOIN assignments AS s \
                 ON s.environment_id = ?3 AND s.node_id = given.id ORDER BY s.id",
            IDS.given(),
            assignment = AssignmentRow.of("s")
        );
        if nodes.is_empty() {
            return Ok(vec![]);
        }
        let nodes = Packed::distinct_ids(nodes.iter().map(NodeId::as_bytes));
        self.run(move |c| {
            nodes
                .statement(&SELECT)
                .bind(environment.as_bytes())
                .all(c, AssignmentRow)
        })
        .await
    }

    async fn assignments_naming(
        &mut self,
        environment: EnvironmentId,
        roles: &[RoleId],
        nodes: &[NodeId],
    ) -> Result<Vec<AssignmentId>, StoreError> {
        static BY_ROLE: SqlText = sql!(
            "{} SELECT a.id FROM given CROSS JOIN assignments AS a \
                 ON a.environment_id = ?3 AND a.role_id = given.id",
            IDS.given()
        );
        static BY_NODE: SqlText = sql!(
            "{} SELECT a.id FROM given CROSS JOIN assignments AS a \
                 ON a.environment_id = ?3 AND a.node_id = given.id",
            IDS.given()
        );
        let roles = (!roles.is_empty()).then(|| Packed::distinct_ids(roles.iter().map(RoleId::as_bytes)));
        let nodes = (!nodes.is_empty()).then(|| Packed::distinct_ids(nodes.iter().map(NodeId::as_bytes)));
        self.run(move |c| {
            let mut found: BTreeSet<AssignmentId> = BTreeSet::new();
            for (ids, sql) in [(&roles, &BY_ROLE), (&nodes, &BY_NODE)] {
                if let Some(ids) = ids {
                    let select = ids.statement(sql).bind(environment.as_bytes());
                    select.for_each_of(c, AssignmentIdRow, |id| {
                        found.insert(id);
                        Ok(())
                    })?;
                }
            }
            Ok(found.into_iter().collect())
        })
        .await
    }

    async fn assignment_views(
        &mut self,
        environment: EnvironmentId,
        query: &AssignmentQuery,
        now: Timestamp,
    ) -> Result<Page<AssignmentView>, StoreError> {
        let (query, effort) = (query.clone(), self.effort());
        self.run(move |c| listing::views(c, environment, &query, now, effort))
            .await
    }

    async fn held(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<AssignmentView>, StoreError> {
        if environments.is_empty() {
            return Ok(vec![]);
        }
        let environments = Packed::distinct_ids(environments.iter().map(EnvironmentId::as_bytes));
        self.run(move |c| listing::held(c, &environments, identity)).await
    }

    async fn assignment_summary(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
    ) -> Result<AssignmentSummary, StoreError> {
        self.run(move |c| listing::summary(c, environment, now)).await
    }

    async fn node_assignment_summary(
        &mut self,
        environment: EnvironmentId,
        node: NodeId,
        now: Timestamp,
    ) -> Result<NodeAssignmentSummary, StoreError> {
        self.run(move |c| listing::node_summary(c, environment, node, now))
            .await
    }
}

/// Stores rows. Each identity is looked up among the members of the application of the account; one that is missing there is
/// stored as no id, which the table refuses, and with it the whole statement.
fn insert(c: &mut SqliteConnection, environment: EnvironmentId, assignments: &[Assignment]) -> Result<(), StoreError> {
    static INSERT: SqlText = sql!(
        "{} INSERT INTO assignments (environment_id, id, identity_id, role_id, node_id, effective_from, \
             effective_to, created_at, updated_at) SELECT ?3, id, \
             (SELECT m.identity_id FROM memberships AS m WHERE m.application_id = ?4 \
              AND m.identity_id = given.identity_id AND m.account_id = ?5), \
             role_id, node_id, effective_from, effective_to, created_at, updated_at FROM given",
        ROWS.given()
    );
    static TAKEN: SqlText = sql!(
        "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN assignments AS s \
             ON s.environment_id = ?3 AND s.identity_id = given.identity_id AND s.role_id = given.role_id \
             AND s.node_id = given.node_id)",
        ROWS.given()
    );
    let place = place(c, environment)?.ok_or_else(|| internal("the environment of the assignments is not there"))?;
    let rows = pack(assignments);
    let statement = rows
        .statement(&INSERT)
        .bind(environment.as_bytes())
        .bind(place.application.as_bytes())
        .bind(place.account.as_bytes());
    if let Some(stored) = statement.attempt(c)? {
        ensure(stored == assignments.len(), "an assignment was not stored")?;
        return count_up(c, environment, stored);
    }
    let taken = repeats_a_key(assignments) || rows.statement(&TAKEN).bind(environment.as_bytes()).holds(c)?;
    Err(StoreError::Duplicate(if taken {
        Unique::AssignmentKey
    } else {
        Unique::Id
    }))
}

fn delete(c: &mut SqliteConnection, environment: EnvironmentId, ids: &Packed) -> Result<usize, StoreError> {
    static DELETE: SqlText = sql!(
        "{} DELETE FROM assignments WHERE environment_id = ?3 AND id IN (SELECT id FROM given)",
        IDS.given()
    );
    let gone = ids.statement(&DELETE).bind(environment.as_bytes()).execute(c)?;
    count_down(c, &[(environment, gone)])?;
    Ok(gone)
}

/// Adds to the kept number of an environment's assignments.
fn count_up(c: &mut SqliteConnection, environment: EnvironmentId, stored: usize) -> Result<(), StoreError> {
    static UPDATE: SqlText = sql!("UPDATE environments SET assignment_count = assignment_count + ?2 WHERE id = ?1");
    let stored = i64::try_from(stored).unwrap_or(i64::MAX);
    let update = Statement::new(&UPDATE).bind(environment.as_bytes()).bind(stored);
    update.execute(c).map(|_| ())
}

/// Takes from the kept numbers of assignments.
fn count_down(c: &mut SqliteConnection, gone: &[(EnvironmentId, usize)]) -> Result<(), StoreError> {
    static UPDATE: SqlText = sql!(
        "{} UPDATE environments SET assignment_count = assignment_count - given.gone FROM given \
             WHERE environments.id = given.id",
        GONE.given()
    );
    let gone = Packed::new(GONE, gone, |row, (environment, gone)| {
        row.id(environment.as_bytes());
        row.number(i64::try_from(*gone).unwrap_or(i64::MAX));
    });
    gone.statement(&UPDATE).execute(c).map(|_| ())
}

fn repeats_a_key(assignments: &[Assignment]) -> bool {
    let keys: HashSet<&AssignmentKey> = assignments.iter().map(|one| &one.key).collect();
    keys.len() < assignments.len()
}

#[async_trait]
impl AssignmentWriter for UnitOfWork {
    async fn insert_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(assignments.iter().map(|one| one.environment_id))? else {
            return Ok(());
        };
        let assignments = assignments.to_vec();
        self.run(move |c| insert(c, environment, &assignments)).await
    }

    async fn update_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(assignments.iter().map(|one| one.environment_id))? else {
            return Ok(());
        };
        let assignments = assignments.to_vec();
        // SQLite looks at unique rules row by row, so two rows cannot swap what they join by an UPDATE: the rows are taken
        // out and put in again, within a savepoint that brings them back when the new ones break a rule.
        self.run(move |c| {
            let replaced = c.transaction::<_, Replacing, _>(|c| {
                let gone = delete(
                    c,
                    environment,
                    &Packed::ids(assignments.iter().map(|one| one.id.as_bytes())),
                )?;
                ensure(
                    gone == assignments.len(),
                    "a changed assignment is not there, or given twice",
                )?;
                insert(c, environment, &assignments)?;
                Ok(())
            });
            replaced.map_err(|Replacing(error)| error)
        })
        .await
    }

    async fn delete_assignments(&mut self, environment: EnvironmentId, ids: &[AssignmentId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = Packed::ids(ids.iter().map(AssignmentId::as_bytes));
        self.run(move |c| delete(c, environment, &ids).map(|_| ())).await
    }

    async fn revoke_all(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<(EnvironmentId, AssignmentId)>, StoreError> {
        static DELETE: SqlText = sql!(
            "{} DELETE FROM assignments WHERE environment_id IN (SELECT id FROM given) AND identity_id = ?3 \
                 RETURNING environment_id, id",
            IDS.given()
        );
        if environments.is_empty() {
            return Ok(vec![]);
        }
        let environments = Packed::distinct_ids(environments.iter().map(EnvironmentId::as_bytes));
        let mut gone: Vec<(EnvironmentId, AssignmentId)> = self
            .run(move |c| {
                let statement = environments.statement(&DELETE).bind(identity.as_bytes());
                let gone: Vec<(EnvironmentId, AssignmentId)> = statement.all(c, RevokedRow)?;
                let mut counts: BTreeMap<EnvironmentId, usize> = BTreeMap::new();
                for (environment, _) in &gone {
                    *counts.entry(*environment).or_default() += 1;
                }
                count_down(c, &counts.into_iter().collect::<Vec<_>>())?;
                Ok(gone)
            })
            .await?;
        gone.sort_unstable();
        Ok(gone)
    }
}

/// An error that ends a savepoint: one of the port, or one of diesel while it opens or closes the savepoint.
struct Replacing(StoreError);

impl From<StoreError> for Replacing {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<diesel::result::Error> for Replacing {
    fn from(error: diesel::result::Error) -> Self {
        Self(translate(error, None))
    }
}
