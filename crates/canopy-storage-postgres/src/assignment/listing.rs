//! Listing assignments, and counting them.

use super::assignment;
use crate::statement::{Connection, Row, Statement};
use crate::value::distinct;
use canopy_domain::assignment::listing::{
    AssignmentSummary, AssignmentView, HeldAt, IdentitySummary, NodeAssignmentSummary, RECENT_IDENTITIES,
};
use canopy_domain::port::StoreError;
use canopy_domain::{
    AccessType, AvatarUrl, DisplayName, EXPIRING_SOON_SECONDS, Email, EnvironmentId, IdentityId, NodeId, PersonName,
    RoleName, Timestamp,
};
use futures_util::future;

mod page;

pub(crate) use page::Effort;
pub(super) use page::views;

/// An identity, in four columns from `first` on.
fn identity(row: &Row, id: IdentityId, first: usize) -> Result<IdentitySummary, StoreError> {
    Ok(IdentitySummary {
        id,
        first_name: row.text(first, PersonName::restored)?,
        last_name: row.text(first + 1, PersonName::restored)?,
        email: row.text(first + 2, Email::restored)?,
        avatar_url: row.optional_text(first + 3, AvatarUrl::restored)?,
    })
}

fn view(row: &Row, held_at: Option<HeldAt>) -> Result<AssignmentView, StoreError> {
    let assignment = assignment(row)?;
    Ok(AssignmentView {
        identity: identity(row, assignment.key.identity, 9)?,
        role_name: row.text(13, RoleName::restored)?,
        node_name: row.text(14, DisplayName::restored)?,
        access_type: held_at.map_or(AccessType::Direct, |at| at.access_type_from(assignment.key.node)),
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
    // Made at node $2 or above. `UNION` takes each node once, so that a circle, which only damage can make, ends too.
    (held) => {
        "a.node_id = ANY (ARRAY(WITH RECURSIVE way (id) AS (SELECT $2 UNION \
             SELECT above.parent_id FROM way CROSS JOIN LATERAL (SELECT o.parent_id FROM nodes AS o \
             WHERE o.environment_id = $1 AND o.id = way.id OFFSET 0) AS above) SELECT way.id FROM way))"
    };
    (columns) => {
        "SELECT a.id, a.environment_id, a.identity_id, a.role_id, a.node_id, a.effective_from, a.effective_to, \
         a.created_at, a.updated_at, i.first_name, i.last_name, i.email, i.avatar_url, r.name, n.name "
    };
    (counts $now:literal $soon:literal) => {
        concat!(
            "count(*) FILTER (WHERE a.effective_from <= ",
            $now,
            " AND (a.effective_to IS NULL OR ",
            $now,
            " < a.effective_to)), \
             count(*) FILTER (WHERE ",
            $now,
            " < a.effective_from), count(*) FILTER (WHERE a.effective_to <= ",
            $now,
            "), \
             count(*) FILTER (WHERE a.effective_from <= ",
            $now,
            " AND ",
            $now,
            " < a.effective_to AND a.effective_to <= ",
            $soon,
            "), \
             count(DISTINCT a.role_id)"
        )
    };
}

/// All that an identity holds in these environments.
pub(super) async fn held(
    connection: Connection<'_>,
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
    select.all(connection, "assignments", |row| view(row, None)).await
}

fn counts(row: &Row) -> Result<AssignmentSummary, StoreError> {
    Ok(AssignmentSummary {
        active: row.count(0)?,
        scheduled: row.count(1)?,
        expired: row.count(2)?,
        expiring_soon: row.count(3)?,
        distinct_roles: row.count(4)?,
    })
}

/// The number of assignments in each state.
pub(super) async fn summary(
    connection: Connection<'_>,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<AssignmentSummary, StoreError> {
    const SELECT: &str = concat!(
        "SELECT ",
        listing!(counts "$1" "$2"),
        " FROM assignments AS a WHERE a.environment_id = $3"
    );
    Statement::new(SELECT)
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS))
        .bind(environment.as_uuid())
        .one(connection, "assignments", counts)
        .await
}

/// The assignments that hold at a node, in numbers, and whose are the newest.
pub(super) async fn node_summary(
    connection: Connection<'_>,
    environment: EnvironmentId,
    node: NodeId,
    now: Timestamp,
) -> Result<NodeAssignmentSummary, StoreError> {
    // The parameters that both statements share come first, where `listing!(held)` looks for them.
    const NUMBERS: &str = concat!(
        "WITH held AS (SELECT a.* FROM assignments AS a WHERE a.environment_id = $1 AND ",
        listing!(held),
        ") SELECT ",
        listing!(counts "$3" "$4"),
        ", count(*) FILTER (WHERE a.node_id = $2), count(*) FILTER (WHERE a.node_id <> $2) FROM held AS a"
    );
    const RECENT: &str = concat!(
        "SELECT i.id, i.first_name, i.last_name, i.email, i.avatar_url FROM ( \
             SELECT a.identity_id, max(a.created_at) AS newest FROM assignments AS a WHERE a.environment_id = $1 AND ",
        listing!(held),
        " GROUP BY a.identity_id ORDER BY newest DESC, a.identity_id LIMIT $3) AS s \
         JOIN environments AS e ON e.id = $1 JOIN applications AS p ON p.id = e.application_id \
         JOIN identities AS i ON i.account_id = p.account_id AND i.id = s.identity_id ORDER BY s.newest DESC, i.id"
    );
    let about = |sql| Statement::new(sql).bind(environment.as_uuid()).bind(node.as_uuid());
    let numbers = about(NUMBERS)
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS))
        .one(connection, "assignments", |row| {
            Ok((counts(row)?, row.count(5)?, row.count(6)?))
        });
    let recent = about(RECENT)
        .bind(i64::try_from(RECENT_IDENTITIES).unwrap_or(i64::MAX))
        .all(connection, "identities", |row| identity(row, row.id(0)?, 1));
    let ((counts, direct, inherited), recent) = future::try_join(numbers, recent).await?;
    Ok(NodeAssignmentSummary {
        counts,
        direct,
        inherited,
        recent,
    })
}
