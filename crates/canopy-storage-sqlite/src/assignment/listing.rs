//! Listing assignments, and counting them.

use crate::packed::{IDS, Packed};
use crate::statement::Statement;
use canopy_domain::assignment::listing::{AssignmentSummary, AssignmentView, NodeAssignmentSummary, RECENT_IDENTITIES};
use canopy_domain::port::StoreError;
use canopy_domain::{EXPIRING_SOON_SECONDS, EnvironmentId, IdentityId, NodeId, Timestamp};
use canopy_storage_sql::rows::assignment::{
    DirectRow, IdentityIdRow, Person, PersonRow, SummaryRow, VIEW, view_columns, views_of,
};
use canopy_storage_sql::{Shape as _, SqlText, sql};
use diesel::SqliteConnection;

mod page;

pub(crate) use page::EFFORT;
pub(super) use page::views;

// Looked up for each assignment (`CROSS JOIN` keeps that order). The account is the environment's: a question that is asked
// once.
const IDENTITIES: &str = " CROSS JOIN identities AS i ON i.id = s.identity_id AND i.account_id = (SELECT a.account_id \
                          FROM environments AS e JOIN applications AS a ON a.id = e.application_id WHERE e.id = ?1)";
const ROLES: &str = " CROSS JOIN roles AS r ON r.environment_id = s.environment_id AND r.id = s.role_id";
const NODES: &str = " CROSS JOIN nodes AS n ON n.environment_id = s.environment_id AND n.id = s.node_id";

/// The beginning of a statement: the ids of node `?2` and of those above it, in `way`. Each once, so that a circle, which only
/// damage can make, ends too.
const WAY: &str = "WITH RECURSIVE way(id) AS (SELECT ?2 UNION SELECT nodes.parent_id FROM way JOIN nodes \
                   ON nodes.environment_id = ?1 AND nodes.id = way.id WHERE nodes.parent_id IS NOT NULL) ";
/// The assignments that hold at node `?2`.
const HELD: &str = " FROM way CROSS JOIN assignments AS s ON s.environment_id = ?1 AND s.node_id = way.id";

/// The columns that count assignments by state and role, in the order in which [`SummaryRow`] reads them. Parameters: 3 now,
/// 4 where "soon" ends.
const COUNTS: &str = "count(*) FILTER (WHERE s.effective_from <= ?3 AND (s.effective_to IS NULL OR s.effective_to > ?3)), \
                      count(*) FILTER (WHERE s.effective_from > ?3), \
                      count(*) FILTER (WHERE s.effective_to <= ?3), \
                      count(*) FILTER (WHERE s.effective_from <= ?3 AND s.effective_to > ?3 AND s.effective_to <= ?4), \
                      count(DISTINCT s.role_id)";

/// All that an identity holds in these environments.
pub(super) fn held(
    c: &mut SqliteConnection,
    environments: &Packed,
    identity: IdentityId,
) -> Result<Vec<AssignmentView>, StoreError> {
    static SELECT: SqlText = sql!(
        "{} SELECT {} FROM given \
             CROSS JOIN assignments AS s ON s.environment_id = given.id AND s.identity_id = ?3 \
             JOIN environments AS e ON e.id = s.environment_id JOIN applications AS a ON a.id = e.application_id \
             JOIN identities AS i ON i.account_id = a.account_id AND i.id = s.identity_id{ROLES}{NODES} \
             ORDER BY r.name_folded, s.id, s.environment_id",
        IDS.given(),
        view_columns("s", "i")
    );
    let statement = environments.statement(&SELECT).bind(identity.as_bytes());
    let rows: Vec<_> = statement.all(c, VIEW)?;
    Ok(views_of(rows, None))
}

/// The number of assignments in each state.
pub(super) fn summary(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<AssignmentSummary, StoreError> {
    static SELECT: SqlText = sql!("SELECT {COUNTS} FROM assignments AS s WHERE s.environment_id = ?1 AND ?2 IS NULL");
    let statement = Statement::new(&SELECT)
        .bind(environment.as_bytes())
        .bind(None::<&str>)
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS));
    Ok(statement.first(c, SummaryRow)?.unwrap_or_default())
}

/// The assignments that hold at a node, in numbers, and whose are the newest.
pub(super) fn node_summary(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    node: NodeId,
    now: Timestamp,
) -> Result<NodeAssignmentSummary, StoreError> {
    static RECENT: SqlText = sql!(
        "{WAY}SELECT i.id, {} \
         FROM (SELECT s.identity_id, max(s.created_at) AS newest{HELD} GROUP BY s.identity_id \
               ORDER BY newest DESC, s.identity_id LIMIT {RECENT_IDENTITIES}) AS s{IDENTITIES} \
         ORDER BY s.newest DESC, s.identity_id",
        PersonRow.of("i")
    );
    static NUMBERS: SqlText = sql!(
        "{WAY}SELECT {COUNTS}, count(*) FILTER (WHERE s.node_id = ?2), count(*) FILTER (WHERE s.node_id <> ?2){HELD}"
    );
    let numbers = Statement::new(&NUMBERS)
        .bind(environment.as_bytes())
        .bind(node.as_bytes())
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS));
    let numbers = numbers.first(c, (SummaryRow, DirectRow))?;
    let (counts, (direct, inherited)) = numbers.unwrap_or_default();
    let recent = Statement::new(&RECENT)
        .bind(environment.as_bytes())
        .bind(node.as_bytes());
    let people: Vec<(IdentityId, Person)> = recent.all(c, (IdentityIdRow, PersonRow))?;
    Ok(NodeAssignmentSummary {
        counts,
        direct,
        inherited,
        recent: people.into_iter().map(|(id, person)| person.with_id(id)).collect(),
    })
}
