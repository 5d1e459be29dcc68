//! Assignments.

use crate::statement::{Row, Statement};
use crate::unit_of_work::{Nowhere, UnitOfWork, findable, one_environment};
use crate::value::{column, distinct, instants, optional_instants};
use async_trait::async_trait;
use canopy_domain::assignment::bulk_create::{AssignableRole, AssignmentFacts};
use canopy_domain::assignment::listing::{
    AssignmentQuery, AssignmentSort, AssignmentSummary, AssignmentView, IdentitySummary,
};
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::AssignmentReader;
use canopy_domain::port::writer::AssignmentWriter;
use canopy_domain::{
    AccessType, Assignment, AssignmentId, AssignmentKey, AssignmentStatus, AvatarUrl, DisplayName,
    EXPIRING_SOON_SECONDS, Email, EnvironmentId, EnvironmentPlace, IdentityId, MembershipStatus, NodeId, Page,
    PersonName, RoleId, RoleName, SortOrder, Timestamp, Window,
};
use futures_util::future;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What an assignment joins, in three columns from `first` on.
pub(crate) fn key(row: &Row, first: usize) -> Result<AssignmentKey, StoreError> {
    Ok(AssignmentKey {
        identity: row.id(first)?,
        role: row.id(first + 1)?,
        node: row.id(first + 2)?,
    })
}

/// A window, in two columns from `first` on.
pub(crate) fn window(row: &Row, first: usize) -> Result<Window, StoreError> {
    Window::new(row.at(first)?, row.optional_at(first + 1)?).map_err(|_| row.corrupt(first + 1))
}

fn assignment(row: &Row) -> Result<Assignment, StoreError> {
    Ok(Assignment {
        id: row.id(0)?,
        environment_id: row.id(1)?,
        key: key(row, 2)?,
        window: window(row, 5)?,
        created_at: row.at(7)?,
        updated_at: row.at(8)?,
    })
}

fn view(row: &Row) -> Result<AssignmentView, StoreError> {
    let assignment = assignment(row)?;
    Ok(AssignmentView {
        identity: IdentitySummary {
            id: assignment.key.identity,
            first_name: row.text(9, PersonName::parse)?,
            last_name: row.text(10, PersonName::parse)?,
            email: row.text(11, Email::parse)?,
            avatar_url: row.optional_text(12, AvatarUrl::parse)?,
        },
        role_name: row.text(13, RoleName::parse)?,
        node_name: row.text(14, DisplayName::parse)?,
        access_type: AccessType::Direct,
        assignment,
    })
}

/// What a listing of assignments rests on. Where nothing is searched for, only the assignments themselves are counted:
/// each joins things that are there.
macro_rules! listing {
    (joins) => {
        "FROM assignments AS a JOIN environments AS e ON e.id = a.environment_id \
         JOIN applications AS p ON p.id = e.application_id \
         JOIN identities AS i ON i.account_id = p.account_id AND i.id = a.identity_id \
         JOIN roles AS r ON r.environment_id = a.environment_id AND r.id = a.role_id \
         JOIN nodes AS n ON n.environment_id = a.environment_id AND n.id = a.node_id "
    };
    (columns) => {
        "SELECT a.id, a.environment_id, a.identity_id, a.role_id, a.node_id, a.effective_from, a.effective_to, \
         a.created_at, a.updated_at, i.first_name, i.last_name, i.email, i.avatar_url, r.name, n.name "
    };
    (filters) => {
        "WHERE a.environment_id = $1 AND ($2::uuid IS NULL OR a.role_id = $2) AND ($3::uuid IS NULL OR a.node_id = $3) \
         AND ($4::text IS NULL OR $4 = CASE WHEN $5 < a.effective_from THEN 'scheduled' \
             WHEN a.effective_to IS NULL OR $5 < a.effective_to THEN 'active' ELSE 'expired' END) "
    };
    (search) => {
        "AND ($6::text IS NULL OR strpos(i.name_folded, $6) > 0 OR strpos(i.email, $6) > 0 \
         OR strpos(r.name_folded, $6) > 0 OR strpos(n.name_folded, $6) > 0) "
    };
    (page $order:literal) => {
        concat!(
            listing!(columns),
            listing!(joins),
            listing!(filters),
            listing!(search),
            "ORDER BY ",
            $order,
            " LIMIT $7 OFFSET $8"
        )
    };
}

/// The text of a listing in this order.
const fn in_order(sort: AssignmentSort, order: SortOrder) -> &'static str {
    match (sort, order) {
        (AssignmentSort::Name, SortOrder::Ascending) => listing!(page "i.name_folded, a.id"),
        (AssignmentSort::Name, SortOrder::Descending) => listing!(page "i.name_folded DESC, a.id DESC"),
        (AssignmentSort::Role, SortOrder::Ascending) => listing!(page "r.name_folded, a.id"),
        (AssignmentSort::Role, SortOrder::Descending) => listing!(page "r.name_folded DESC, a.id DESC"),
        (AssignmentSort::CreatedAt, SortOrder::Ascending) => listing!(page "a.created_at, a.id"),
        (AssignmentSort::CreatedAt, SortOrder::Descending) => listing!(page "a.created_at DESC, a.id DESC"),
    }
}

#[async_trait]
impl AssignmentReader for UnitOfWork {
    async fn assignment_facts(
        &mut self,
        place: &EnvironmentPlace,
        asked: &[AssignmentKey],
    ) -> Result<AssignmentFacts, StoreError> {
        // Nearly all that is asked about is there and active, so the statements tell of the exceptions. Whoever has a
        // membership is of the account; identities are looked at for the others alone.
        const IDENTITIES: &str = "SELECT asked.id, m.status, m.status IS NOT NULL \
             OR EXISTS (SELECT FROM identities AS i WHERE i.account_id = $1 AND i.id = asked.id) \
             FROM unnest($2) AS asked (id) LEFT JOIN LATERAL (SELECT o.status FROM memberships AS o \
                 WHERE o.application_id = $3 AND o.identity_id = asked.id AND o.account_id = $1 OFFSET 0) AS m ON true \
             WHERE m.status IS DISTINCT FROM 'active'";
        const NODES: &str = "SELECT asked.id FROM unnest($1) AS asked (id) LEFT JOIN LATERAL (SELECT n.id \
                 FROM nodes AS n WHERE n.environment_id = $2 AND n.id = asked.id OFFSET 0) AS found ON true \
             WHERE found.id IS NULL";
        const ROLES: &str = "SELECT r.id, r.system_key, r.is_active FROM unnest($1) AS asked (id) \
             JOIN roles AS r ON r.environment_id = $2 AND r.id = asked.id";
        const EXISTING: &str = "SELECT a.id, asked.* \
             FROM unnest($1, $2, $3) AS asked (identity_id, role_id, node_id) \
             CROSS JOIN LATERAL (SELECT o.id FROM assignments AS o WHERE o.environment_id = $4 \
             AND o.identity_id = asked.identity_id AND o.role_id = asked.role_id AND o.node_id = asked.node_id \
             OFFSET 0) AS a";
        if asked.is_empty() {
            return Ok(AssignmentFacts::default());
        }
        let link = self.link()?;
        let environment = place.environment.as_uuid();
        let mut identities: HashMap<IdentityId, Option<MembershipStatus>> = asked
            .iter()
            .map(|key| (key.identity, Some(MembershipStatus::Active)))
            .collect();
        let mut nodes: HashSet<NodeId> = asked.iter().map(|key| key.node).collect();
        let strangers = Statement::new(IDENTITIES)
            .bind(place.account.as_uuid())
            .bind(distinct(identities.keys().map(IdentityId::as_uuid)))
            .bind(place.application.as_uuid())
            .all::<(IdentityId, Option<MembershipStatus>, bool), Vec<_>>(link, "memberships", |row| {
                Ok((row.id(0)?, row.optional_word(1, MembershipStatus::parse)?, row.flag(2)?))
            });
        let absent = Statement::new(NODES)
            .bind(distinct(nodes.iter().map(NodeId::as_uuid)))
            .bind(environment)
            .all::<NodeId, Vec<_>>(link, "nodes", |row| row.id(0));
        let roles = Statement::new(ROLES)
            .bind(distinct(asked.iter().map(|key| key.role.as_uuid())))
            .bind(environment)
            .all::<(RoleId, AssignableRole), HashMap<_, _>>(link, "roles", |row| {
                let role = AssignableRole {
                    kind: row.role_kind(1)?,
                    is_active: row.flag(2)?,
                };
                Ok((row.id(0)?, role))
            });
        let mut asked = asked.to_vec();
        asked.sort_unstable();
        let existing = Statement::new(EXISTING)
            .bind(column(&asked, |key| key.identity.as_uuid()))
            .bind(column(&asked, |key| key.role.as_uuid()))
            .bind(column(&asked, |key| key.node.as_uuid()))
            .bind(environment)
            .all::<(AssignmentKey, AssignmentId), HashMap<_, _>>(link, "assignments", |row| {
                Ok((key(row, 1)?, row.id(0)?))
            });
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
        const SELECT: &str = "SELECT a.id, a.environment_id, a.identity_id, a.role_id, a.node_id, a.effective_from, \
             a.effective_to, a.created_at, a.updated_at FROM unnest($1) AS asked (id) \
             JOIN assignments AS a ON a.environment_id = $2 AND a.id = asked.id ORDER BY a.id";
        if ids.is_empty() {
            return Ok(vec![]);
        }
        Statement::new(SELECT)
            .bind(distinct(ids.iter().map(AssignmentId::as_uuid)))
            .bind(environment.as_uuid())
            .all(self.link()?, "assignments", assignment)
            .await
    }

    async fn assignments_naming(
        &mut self,
        environment: EnvironmentId,
        roles: &[RoleId],
        nodes: &[NodeId],
    ) -> Result<Vec<AssignmentId>, StoreError> {
        const SELECT: &str = "SELECT a.id FROM unnest($1) AS asked (id) \
             JOIN assignments AS a ON a.environment_id = $2 AND a.role_id = asked.id \
             UNION SELECT b.id FROM unnest($3) AS other (id) \
             JOIN assignments AS b ON b.environment_id = $2 AND b.node_id = other.id ORDER BY id";
        if roles.is_empty() && nodes.is_empty() {
            return Ok(vec![]);
        }
        Statement::new(SELECT)
            .bind(distinct(roles.iter().map(RoleId::as_uuid)))
            .bind(environment.as_uuid())
            .bind(distinct(nodes.iter().map(NodeId::as_uuid)))
            .all(self.link()?, "assignments", |row| row.id::<AssignmentId>(0))
            .await
    }

    async fn assignment_views(
        &mut self,
        environment: EnvironmentId,
        query: &AssignmentQuery,
        now: Timestamp,
    ) -> Result<Page<AssignmentView>, StoreError> {
        const COUNT: &str = concat!("SELECT count(*) FROM assignments AS a ", listing!(filters));
        const COUNT_FOUND: &str = concat!("SELECT count(*) ", listing!(joins), listing!(filters), listing!(search));
        let search = match findable(query.search.as_ref()) {
            Ok(search) => search,
            Err(Nowhere) => {
                return Ok(Page {
                    items: vec![],
                    item_count: 0,
                });
            }
        };
        let about = |sql| {
            Statement::new(sql)
                .bind(environment.as_uuid())
                .bind(query.role.map(|id| id.as_uuid()))
                .bind(query.source_node.map(|id| id.as_uuid()))
                .bind(query.status.map(AssignmentStatus::as_str))
                .bind(now)
        };
        let page = about(in_order(query.sort, query.order))
            .bind(search)
            .bind(i64::from(query.page.take()))
            .bind(i64::try_from(query.page.offset()).unwrap_or(i64::MAX));
        let count = match search {
            None => about(COUNT),
            Some(_) => about(COUNT_FOUND).bind(search),
        };
        let link = self.link()?;
        let items = page.all(link, "assignments", view);
        let item_count = count.one(link, "assignments", |row| row.count(0));
        let ((), items, item_count) = future::try_join3(link.plan_for_values(), items, item_count).await?;
        Ok(Page { items, item_count })
    }

    async fn held(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<AssignmentView>, StoreError> {
        const SELECT: &str = concat!(
            listing!(columns),
            listing!(joins),
            "WHERE a.environment_id = ANY ($1) AND a.identity_id = $2 ORDER BY r.name_folded, a.id, a.environment_id"
        );
        if environments.is_empty() {
            return Ok(vec![]);
        }
        let select = Statement::new(SELECT)
            .bind(distinct(environments.iter().map(EnvironmentId::as_uuid)))
            .bind(identity.as_uuid());
        select.all(self.link()?, "assignments", view).await
    }

    async fn assignment_summary(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
    ) -> Result<AssignmentSummary, StoreError> {
        const SELECT: &str = "SELECT \
             count(*) FILTER (WHERE effective_from <= $1 AND (effective_to IS NULL OR $1 < effective_to)), \
             count(*) FILTER (WHERE $1 < effective_from), count(*) FILTER (WHERE effective_to <= $1), \
             count(*) FILTER (WHERE effective_from <= $1 AND $1 < effective_to AND effective_to <= $2), \
             count(DISTINCT role_id) FROM assignments WHERE environment_id = $3";
        Statement::new(SELECT)
            .bind(now)
            .bind(now.plus_seconds(EXPIRING_SOON_SECONDS))
            .bind(environment.as_uuid())
            .one(self.link()?, "assignments", |row| {
                Ok(AssignmentSummary {
                    active: row.count(0)?,
                    scheduled: row.count(1)?,
                    expired: row.count(2)?,
                    expiring_soon: row.count(3)?,
                    distinct_roles: row.count(4)?,
                })
            })
            .await
    }
}

/// The values of rows, from the environment on; at the end, each identity once.
fn rows(sql: &'static str, environment: Uuid, ids: Vec<Uuid>, assignments: &[Assignment]) -> Statement<'static> {
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
                 CROSS JOIN LATERAL (SELECT FROM memberships AS m WHERE m.application_id = p.id \
                     AND m.identity_id = named.id AND m.account_id = p.account_id OFFSET 0) AS found \
                 WHERE e.id = $1)) ",
            $before,
            $after
        )
    };
}

#[async_trait]
impl AssignmentWriter for UnitOfWork {
    async fn insert_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        const INSERT: &str = checked!(
            "INSERT INTO assignments (environment_id, id, identity_id, role_id, node_id, effective_from, effective_to, \
             created_at, updated_at) ",
            "SELECT n.* FROM n"
        );
        let Some(environment) = one_environment(assignments.iter().map(|a| a.environment_id))? else {
            return Ok(());
        };
        let insert = |ids| rows(INSERT, environment, ids, assignments);
        self.insert(column(assignments, |a| a.id.as_uuid()), insert).await
    }

    async fn update_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        const UPDATE: &str = checked!(
            "UPDATE assignments AS a SET identity_id = n.identity_id, role_id = n.role_id, node_id = n.node_id, \
             effective_from = n.effective_from, effective_to = n.effective_to, created_at = n.created_at, \
             updated_at = n.updated_at ",
            "FROM (SELECT old.place, n.* FROM n CROSS JOIN LATERAL (SELECT o.ctid AS place FROM assignments AS o \
                 WHERE o.environment_id = n.environment_id AND o.id = n.id OFFSET 0) AS old) AS n \
             WHERE a.environment_id = n.environment_id AND a.ctid = n.place"
        );
        let Some(environment) = one_environment(assignments.iter().map(|a| a.environment_id))? else {
            return Ok(());
        };
        let ids = column(assignments, |a| a.id.as_uuid());
        self.update(assignments.len(), rows(UPDATE, environment, ids, assignments))
            .await
    }

    async fn delete_assignments(&mut self, environment: EnvironmentId, ids: &[AssignmentId]) -> Result<(), StoreError> {
        const DELETE: &str = "WITH gone AS (SELECT * FROM unnest($1) AS gone (id)) \
             DELETE FROM assignments AS a USING gone WHERE a.environment_id = $2 AND a.id = gone.id";
        if ids.is_empty() {
            return Ok(());
        }
        let delete = Statement::new(DELETE)
            .bind(distinct(ids.iter().map(AssignmentId::as_uuid)))
            .bind(environment.as_uuid());
        delete.execute(self.link()?).await.map(|_| ())
    }

    async fn revoke_all(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<(EnvironmentId, AssignmentId)>, StoreError> {
        const DELETE: &str = "DELETE FROM assignments WHERE environment_id = ANY ($1) AND identity_id = $2 \
             RETURNING environment_id, id";
        if environments.is_empty() {
            return Ok(vec![]);
        }
        let delete = Statement::new(DELETE)
            .bind(distinct(environments.iter().map(EnvironmentId::as_uuid)))
            .bind(identity.as_uuid());
        let mut gone: Vec<(EnvironmentId, AssignmentId)> = delete
            .all(self.link()?, "assignments", |row| Ok((row.id(0)?, row.id(1)?)))
            .await?;
        gone.sort_unstable();
        Ok(gone)
    }
}
