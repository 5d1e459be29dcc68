//! Listing assignments, and counting them.

use super::{ASSIGNMENT, assignment};
use crate::packed::{IDS, Packed};
use crate::statement::{Row, Statement};
use canopy_domain::assignment::listing::{
    AssignmentSummary, AssignmentView, HeldAt, IdentitySummary, NodeAssignmentSummary, RECENT_IDENTITIES,
};
use canopy_domain::port::StoreError;
use canopy_domain::{
    AccessType, AvatarUrl, DisplayName, EXPIRING_SOON_SECONDS, Email, EnvironmentId, IdentityId, NodeId, PersonName,
    RoleName, Timestamp,
};
use diesel::SqliteConnection;
use std::sync::LazyLock;

mod page;

pub(crate) use page::Effort;
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

/// An identity, in four columns from `first` on.
fn identity(row: &Row<'_, '_>, id: IdentityId, first: usize) -> Result<IdentitySummary, StoreError> {
    Ok(IdentitySummary {
        id,
        first_name: row.text(first, PersonName::restored)?,
        last_name: row.text(first + 1, PersonName::restored)?,
        email: row.text(first + 2, Email::restored)?,
        avatar_url: row.optional_text(first + 3, AvatarUrl::restored)?,
    })
}

fn view(row: &Row<'_, '_>, held_at: Option<HeldAt>) -> Result<AssignmentView, StoreError> {
    let assignment = assignment(row)?;
    Ok(AssignmentView {
        identity: identity(row, assignment.key.identity, 9)?,
        role_name: row.text(13, RoleName::restored)?,
        node_name: row.text(14, DisplayName::restored)?,
        access_type: held_at.map_or(AccessType::Direct, |at| at.access_type_from(assignment.key.node)),
        assignment,
    })
}

/// The columns that count assignments by state and role, in the order in which [`counts`] reads them. Parameters: 3 now,
/// 4 where "soon" ends.
const COUNTS: &str = "count(*) FILTER (WHERE s.effective_from <= ?3 AND (s.effective_to IS NULL OR s.effective_to > ?3)), \
                      count(*) FILTER (WHERE s.effective_from > ?3), \
                      count(*) FILTER (WHERE s.effective_to <= ?3), \
                      count(*) FILTER (WHERE s.effective_from <= ?3 AND s.effective_to > ?3 AND s.effective_to <= ?4), \
                      count(DISTINCT s.role_id)";

fn counts(row: &Row<'_, '_>) -> Result<AssignmentSummary, StoreError> {
    Ok(AssignmentSummary {
        active: row.count(0)?,
        scheduled: row.count(1)?,
        expired: row.count(2)?,
        expiring_soon: row.count(3)?,
        distinct_roles: row.count(4)?,
    })
}

/// All that an identity holds in these environments.
pub(super) fn held(
    c: &mut SqliteConnection,
    environments: &Packed,
    identity: IdentityId,
) -> Result<Vec<AssignmentView>, StoreError> {
    static SELECT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{} SELECT {ASSIGNMENT}, i.first_name, i.last_name, i.email, i.avatar_url, r.name, n.name FROM given \
             CROSS JOIN assignments AS s ON s.environment_id = given.id AND s.identity_id = ?3 \
             JOIN environments AS e ON e.id = s.environment_id JOIN applications AS a ON a.id = e.application_id \
             JOIN identities AS i ON i.account_id = a.account_id AND i.id = s.identity_id{ROLES}{NODES} \
             ORDER BY r.name_folded, s.id, s.environment_id",
            IDS.given()
        )
    });
    let statement = environments.statement(&SELECT).bind(identity.as_bytes());
    statement.all(c, "assignments", |row| view(row, None))
}

/// The number of assignments in each state.
pub(super) fn summary(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<AssignmentSummary, StoreError> {
    let select = format!("SELECT {COUNTS} FROM assignments AS s WHERE s.environment_id = ?1 AND ?2 IS NULL");
    let statement = Statement::new(&select)
        .bind(environment.as_bytes())
        .bind(None::<&str>)
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS));
    Ok(statement.first(c, "assignments", counts)?.unwrap_or_default())
}

/// The assignments that hold at a node, in numbers, and whose are the newest.
pub(super) fn node_summary(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    node: NodeId,
    now: Timestamp,
) -> Result<NodeAssignmentSummary, StoreError> {
    let select = format!(
        "{WAY}SELECT {COUNTS}, count(*) FILTER (WHERE s.node_id = ?2), count(*) FILTER (WHERE s.node_id <> ?2){HELD}"
    );
    let numbers = Statement::new(&select)
        .bind(environment.as_bytes())
        .bind(node.as_bytes())
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS));
    let numbers = numbers.first(c, "assignments", |row| Ok((counts(row)?, row.count(5)?, row.count(6)?)))?;
    let (counts, direct, inherited) = numbers.unwrap_or_default();
    let recent = format!(
        "{WAY}SELECT s.identity_id, i.first_name, i.last_name, i.email, i.avatar_url \
         FROM (SELECT s.identity_id, max(s.created_at) AS newest{HELD} GROUP BY s.identity_id \
               ORDER BY newest DESC, s.identity_id LIMIT {RECENT_IDENTITIES}) AS s{IDENTITIES} \
         ORDER BY s.newest DESC, s.identity_id"
    );
    let recent = Statement::new(&recent)
        .bind(environment.as_bytes())
        .bind(node.as_bytes());
    Ok(NodeAssignmentSummary {
        counts,
        direct,
        inherited,
        recent: recent.all(c, "identities", |row| identity(row, row.id(0)?, 1))?,
    })
}
