//! Assignments.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use crate::value::{column, distinct, instants, optional_instants};
use async_trait::async_trait;
use canopy_domain::assignment::bulk_create::AssignmentFacts;
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSummary, AssignmentView, NodeAssignmentSummary};
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::AssignmentReader;
use canopy_domain::port::writer::AssignmentWriter;
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
use futures_util::future;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

mod listing;

pub(crate) use listing::EFFORT;

#[async_trait]
impl AssignmentReader for UnitOfWork {
    async fn assignment_facts(
        &mut self,
        place: &EnvironmentRef,
        asked: &[AssignmentKey],
    ) -> Result<AssignmentFacts, StoreError> {
        // Nearly all that is asked about is there and active, so the statements tell of the exceptions. Whoever has a
        // membership is of the account; identities are looked at for the others alone. Where a second index would answer
        // a part of the conditions, the first key at or after the wanted one is sought: one index alone has them in order.
        static IDENTITIES: SqlText = sql!(
            "SELECT asked.id, m.status, m.status IS NOT NULL \
             OR EXISTS (SELECT FROM identities AS i WHERE i.account_id = $1 AND i.id = asked.id) \
             FROM unnest($2) AS asked (id) LEFT JOIN LATERAL (SELECT o.application_id, o.identity_id, o.account_id, o.status \
                 FROM memberships AS o WHERE (o.application_id, o.identity_id) >= ($3, asked.id) \
                 ORDER BY o.application_id, o.identity_id LIMIT 1) AS m \
             ON m.application_id = $3 AND m.identity_id = asked.id AND m.account_id = $1 \
             WHERE m.status IS DISTINCT FROM 'active'"
        );
        static NODES: SqlText = sql!(
            "SELECT asked.id FROM unnest($1) AS asked (id) LEFT JOIN LATERAL (SELECT n.id \
                 FROM nodes AS n WHERE n.environment_id = $2 AND n.id = asked.id OFFSET 0) AS found ON true \
             WHERE found.id IS NULL"
        );
        static ROLES: SqlText = sql!(
            "SELECT {role} FROM unnest($1) AS asked (id) CROSS JOIN LATERAL ( \
             SELECT {found} FROM roles AS o \
             WHERE o.environment_id = $2 AND o.id = asked.id OFFSET 0) AS r",
            role = AssignableRoleRow.of("r"),
            found = AssignableRoleRow.of("o")
        );
        static EXISTING: SqlText = sql!(
            "SELECT a.id, a.effective_from, a.effective_to, asked.* \
             FROM unnest($1, $2, $3) AS asked (identity_id, role_id, node_id) \
             CROSS JOIN LATERAL (SELECT {existing} FROM assignments AS o \
                 WHERE o.environment_id = $4 \
                 AND (o.identity_id, o.role_id, o.node_id) >= (asked.identity_id, asked.role_id, asked.node_id) \
                 ORDER BY o.identity_id, o.role_id, o.node_id LIMIT 1) AS a \
             WHERE a.identity_id = asked.identity_id AND a.role_id = asked.role_id AND a.node_id = asked.node_id",
            existing = ExistingRow.of("o")
        );
        if asked.is_empty() {
            return Ok(AssignmentFacts::default());
        }
        let connection = self.connection()?;
        let environment = place.environment.as_uuid();
        let mut identities: HashMap<IdentityId, Option<MembershipStatus>> = asked
            .iter()
            .map(|key| (key.identity, Some(MembershipStatus::Active)))
            .collect();
        let mut nodes: HashSet<NodeId> = asked.iter().map(|key| key.node).collect();
        let strangers = Statement::new(&IDENTITIES)
            .bind(place.account.as_uuid())
            .bind(distinct(identities.keys().map(IdentityId::as_uuid)))
            .bind(place.application.as_uuid())
            .all::<_, Vec<_>>(connection, NotActiveRow);
        let absent = Statement::new(&NODES)
            .bind(distinct(nodes.iter().map(NodeId::as_uuid)))
            .bind(environment)
            .all::<_, Vec<_>>(connection, NodeIdRow);
        let roles = Statement::new(&ROLES)
            .bind(distinct(asked.iter().map(|key| key.role.as_uuid())))
            .bind(environment)
            .all::<_, HashMap<_, _>>(connection, AssignableRoleRow);
        let mut asked = asked.to_vec();
        asked.sort_unstable();
        let existing = Statement::new(&EXISTING)
            .bind(column(&asked, |key| key.identity.as_uuid()))
            .bind(column(&asked, |key| key.role.as_uuid()))
            .bind(column(&asked, |key| key.node.as_uuid()))
            .bind(environment)
            .all::<_, HashMap<_, _>>(connection, ExistingRow);
        let (strangers, absent, roles, existing) = future::try_join4(strangers, absent, roles, existing).await?;
        for (id, status, is_known) in strangers {
            if is_known {
                identities.insert(id, status);
            } else {
                identities.remove(&id);
            }
        }
        for id in absent {
            nodes.remove(&id);
        }
        Ok(AssignmentFacts {
            identities,
            nodes,
            roles,
            existing,
        })
    }

    async fn assignments(
        &mut self,
        environment: EnvironmentId,
        ids: &[AssignmentId],
    ) -> Result<Vec<Assignment>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT a.* FROM unnest($1) AS asked (id) CROSS JOIN LATERAL ( \
                 SELECT {assignment} FROM assignments AS o \
                 WHERE o.environment_id = $2 AND o.id = asked.id OFFSET 0) AS a ORDER BY a.id",
            assignment = AssignmentRow.of("o")
        );
        if ids.is_empty() {
            return Ok(vec![]);
        }
        Statement::new(&SELECT)
            .bind(distinct(ids.iter().map(AssignmentId::as_uuid)))
            .bind(environment.as_uuid())
            .all(self.connection()?, AssignmentRow)
            .await
    }

    async fn assignments_at(
        &mut self,
        environment: EnvironmentId,
        nodes: &[NodeId],
    ) -> Result<Vec<Assignment>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT a.* FROM unnest($1) AS asked (id) CROSS JOIN LATERAL ( \
                 SELECT {assignment} FROM assignments AS o \
                 WHERE o.environment_id = $2 AND o.node_id = asked.id OFFSET 0) AS a ORDER BY a.id",
            assignment = AssignmentRow.of("o")
        );
        if nodes.is_empty() {
            return Ok(vec![]);
        }
        Statement::new(&SELECT)
            .bind(distinct(nodes.iter().map(NodeId::as_uuid)))
            .bind(environment.as_uuid())
            .all(self.connection()?, AssignmentRow)
            .await
    }

    async fn assignments_naming(
        &mut self,
        environment: EnvironmentId,
        roles: &[RoleId],
        nodes: &[NodeId],
    ) -> Result<Vec<AssignmentId>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT a.id FROM unnest($1) AS asked (id) CROSS JOIN LATERAL (SELECT o.id \
                 FROM assignments AS o WHERE o.environment_id = $2 AND o.role_id = asked.id OFFSET 0) AS a \
             UNION SELECT b.id FROM unnest($3) AS other (id) CROSS JOIN LATERAL (SELECT o.id \
                 FROM assignments AS o WHERE o.environment_id = $2 AND o.node_id = other.id OFFSET 0) AS b ORDER BY id"
        );
        if roles.is_empty() && nodes.is_empty() {
            return Ok(vec![]);
        }
        Statement::new(&SELECT)
            .bind(distinct(roles.iter().map(RoleId::as_uuid)))
            .bind(environment.as_uuid())
            .bind(distinct(nodes.iter().map(NodeId::as_uuid)))
            .all(self.connection()?, AssignmentIdRow)
            .await
    }

    async fn assignment_views(
        &mut self,
        environment: EnvironmentId,
        query: &AssignmentQuery,
        now: Timestamp,
    ) -> Result<Page<AssignmentView>, StoreError> {
        listing::views(self.connection()?, environment, query, now, self.effort()).await
    }

    async fn held(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<AssignmentView>, StoreError> {
        listing::held(self.connection()?, environments, identity).await
    }

    async fn assignment_summary(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
    ) -> Result<AssignmentSummary, StoreError> {
        listing::summary(self.connection()?, environment, now).await
    }

    async fn node_assignment_summary(
        &mut self,
        environment: EnvironmentId,
        node: NodeId,
        now: Timestamp,
    ) -> Result<NodeAssignmentSummary, StoreError> {
        listing::node_summary(self.connection()?, environment, node, now).await
    }
}

/// The values of rows, from the environment on; at the end, each identity once.
fn rows(sql: &'static SqlText, environment: Uuid, ids: Vec<Uuid>, assignments: &[Assignment]) -> Statement<'static> {
    Statement::new(sql)
        .bind(environment)
        .bind(ids)
        .bind(column(assignments, |a| a.key.identity.as_uuid()))
        .bind(column(assignments, |a| a.key.role.as_uuid()))
        .bind(column(assignments, |a| a.key.node.as_uuid()))
        .bind(instants(assignments, |a| a.window.from()))
        .bind(optional_instants(assignments, |a| a.window.to()))
        .bind(instants(assignments, |a| a.created_at))
        .bind(instants(assignments, |a| a.updated_at))
        .bind(distinct(assignments.iter().map(|a| a.key.identity.as_uuid())))
}

/// What is written: all rows, or none where an identity is not of the account or has no membership in the application, in
/// whatever state. That none are stored is noticed.
macro_rules! checked {
    ($before:literal, $after:literal) => {
        concat!(
            "WITH n AS (SELECT $1 AS environment_id, new.* \
             FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) AS new (id, identity_id, role_id, node_id, effective_from, \
             effective_to, created_at, updated_at) \
             WHERE cardinality($10) = (SELECT count(*) FROM environments AS e \
                 JOIN applications AS p ON p.id = e.application_id CROSS JOIN unnest($10) AS named (id) \
                 CROSS JOIN LATERAL (SELECT m.application_id, m.identity_id, m.account_id FROM memberships AS m \
                     WHERE (m.application_id, m.identity_id) >= (p.id, named.id) \
                     ORDER BY m.application_id, m.identity_id LIMIT 1) AS found \
                 WHERE e.id = $1 AND found.application_id = p.id AND found.identity_id = named.id \
                 AND found.account_id = p.account_id)) ",
            $before,
            $after
        )
    };
}

#[async_trait]
impl AssignmentWriter for UnitOfWork {
    async fn insert_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(checked!(
            "INSERT INTO assignments (environment_id, id, identity_id, role_id, node_id, effective_from, effective_to, \
             created_at, updated_at) ",
            "SELECT n.* FROM n"
        ));
        let Some(environment) = one_environment(assignments.iter().map(|a| a.environment_id))?.map(|id| id.as_uuid())
        else {
            return Ok(());
        };
        let insert = |ids| rows(&INSERT, environment, ids, assignments);
        self.insert(column(assignments, |a| a.id.as_uuid()), insert).await?;
        self.count_assignments(environment, i64::try_from(assignments.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    async fn update_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(checked!(
            "UPDATE assignments AS a SET identity_id = n.identity_id, role_id = n.role_id, node_id = n.node_id, \
             effective_from = n.effective_from, effective_to = n.effective_to, created_at = n.created_at, \
             updated_at = n.updated_at ",
            "FROM (SELECT old.place, n.* FROM n CROSS JOIN LATERAL (SELECT o.ctid AS place FROM assignments AS o \
                 WHERE o.environment_id = n.environment_id AND o.id = n.id OFFSET 0) AS old) AS n \
             WHERE a.environment_id IS NOT DISTINCT FROM n.environment_id AND a.ctid = n.place"
        ));
        let Some(environment) = one_environment(assignments.iter().map(|a| a.environment_id))?.map(|id| id.as_uuid())
        else {
            return Ok(());
        };
        let ids = column(assignments, |a| a.id.as_uuid());
        self.update(assignments.len(), rows(&UPDATE, environment, ids, assignments))
            .await
    }

    async fn delete_assignments(&mut self, environment: EnvironmentId, ids: &[AssignmentId]) -> Result<(), StoreError> {
        static DELETE: SqlText = sql!(
            "DELETE FROM assignments AS a USING (SELECT old.place FROM unnest($1) AS gone (id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place FROM assignments AS o \
             WHERE o.environment_id = $2 AND o.id = gone.id OFFSET 0) AS old) AS gone \
             WHERE a.environment_id IS NOT DISTINCT FROM $2 AND a.ctid = gone.place"
        );
        if ids.is_empty() {
            return Ok(());
        }
        let delete = Statement::new(&DELETE)
            .bind(distinct(ids.iter().map(AssignmentId::as_uuid)))
            .bind(environment.as_uuid());
        let gone = delete.execute(self.connection()?).await?;
        self.count_assignments(environment.as_uuid(), -i64::try_from(gone).unwrap_or(i64::MAX));
        Ok(())
    }

    async fn revoke_all(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<(EnvironmentId, AssignmentId)>, StoreError> {
        static DELETE: SqlText = sql!(
            "DELETE FROM assignments WHERE environment_id = ANY ($1) AND identity_id = $2 \
             RETURNING environment_id, id"
        );
        if environments.is_empty() {
            return Ok(vec![]);
        }
        let delete = Statement::new(&DELETE)
            .bind(distinct(environments.iter().map(EnvironmentId::as_uuid)))
            .bind(identity.as_uuid());
        let mut gone: Vec<(EnvironmentId, AssignmentId)> = delete.all(self.connection()?, RevokedRow).await?;
        for (environment, _) in &gone {
            self.count_assignments(environment.as_uuid(), -1);
        }
        gone.sort_unstable();
        Ok(gone)
    }
}
