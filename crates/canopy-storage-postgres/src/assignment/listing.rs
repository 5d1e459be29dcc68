//! Listing assignments, and counting them.

use crate::statement::{Connection, Statement};
use crate::value::distinct;
use canopy_domain::assignment::listing::{AssignmentSummary, AssignmentView, NodeAssignmentSummary, RECENT_IDENTITIES};
use canopy_domain::port::StoreError;
use canopy_domain::{EXPIRING_SOON_SECONDS, EnvironmentId, IdentityId, NodeId, Timestamp};
use canopy_storage_sql::rows::assignment::{
    DirectRow, IdentityIdRow, Person, PersonRow, SummaryRow, VIEW, view_columns, views_of,
};
use canopy_storage_sql::{SqlText, sql};
use futures_util::future;

mod page;

pub(crate) use page::EFFORT;
pub(super) use page::views;

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
    static SELECT: SqlText = sql!(
        concat!(
            "SELECT {} ",
            listing!(joins),
            "WHERE a.environment_id = ANY ($1) AND a.identity_id = $2 ORDER BY r.name_folded, a.id, a.environment_id"
        ),
        view_columns("a", "i")
    );
    if environments.is_empty() {
        return Ok(vec![]);
    }
    let select = Statement::new(&SELECT)
        .bind(distinct(environments.iter().map(EnvironmentId::as_uuid)))
        .bind(identity.as_uuid());
    let rows: Vec<_> = select.all(connection, VIEW).await?;
    Ok(views_of(rows, None))
}

/// The number of assignments in each state.
pub(super) async fn summary(
    connection: Connection<'_>,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<AssignmentSummary, StoreError> {
    static SELECT: SqlText = sql!(concat!(
        "SELECT ",
        listing!(counts "$1" "$2"),
        " FROM assignments AS a WHERE a.environment_id = $3"
    ));
    Statement::new(&SELECT)
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS))
        .bind(environment.as_uuid())
        .one(connection, SummaryRow)
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
    static NUMBERS: SqlText = sql!(concat!(
        "WITH held AS (SELECT a.* FROM assignments AS a WHERE a.environment_id = $1 AND ",
        listing!(held),
        ") SELECT ",
        listing!(counts "$3" "$4"),
        ", count(*) FILTER (WHERE a.node_id = $2), count(*) FILTER (WHERE a.node_id <> $2) FROM held AS a"
    ));
    static RECENT: SqlText = sql!(concat!(
        "SELECT i.id, i.first_name, i.last_name, i.email, i.avatar_url FROM ( \
             SELECT a.identity_id, max(a.created_at) AS newest FROM assignments AS a WHERE a.environment_id = $1 AND ",
        listing!(held),
        " GROUP BY a.identity_id ORDER BY newest DESC, a.identity_id LIMIT $3) AS s \
         JOIN environments AS e ON e.id = $1 JOIN applications AS p ON p.id = e.application_id \
         JOIN identities AS i ON i.account_id = p.account_id AND i.id = s.identity_id ORDER BY s.newest DESC, i.id"
    ));
    let about = |sql| Statement::new(sql).bind(environment.as_uuid()).bind(node.as_uuid());
    let numbers = about(&NUMBERS)
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS))
        .one(connection, (SummaryRow, DirectRow));
    let recent = about(&RECENT)
        .bind(i64::try_from(RECENT_IDENTITIES).unwrap_or(i64::MAX))
        .all(connection, (IdentityIdRow, PersonRow));
    let ((counts, (direct, inherited)), recent) = future::try_join(numbers, recent).await?;
    let recent: Vec<(IdentityId, Person)> = recent;
    Ok(NodeAssignmentSummary {
        counts,
        direct,
        inherited,
        recent: recent.into_iter().map(|(id, person)| person.with_id(id)).collect(),
    })
}
