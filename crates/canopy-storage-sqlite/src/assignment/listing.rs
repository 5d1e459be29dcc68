//! Listing assignments, and counting them.

use super::{ASSIGNMENT, assignment};
use crate::identity::{direction, offset};
use crate::packed::{IDS, Packed};
use crate::statement::{Row, Statement};
use canopy_domain::assignment::listing::{
    AssignmentQuery, AssignmentSort, AssignmentSummary, AssignmentView, HeldAt, IdentitySummary, NodeAssignmentSummary,
    RECENT_IDENTITIES,
};
use canopy_domain::port::StoreError;
use canopy_domain::{
    AccessType, AssignmentStatus, AvatarUrl, DisplayName, EXPIRING_SOON_SECONDS, Email, EnvironmentId, IdentityId,
    NodeId, Page, PersonName, RoleId, RoleName, Timestamp,
};
use diesel::SqliteConnection;
use std::sync::LazyLock;

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

/// The tables and conditions that decide which rows are listed; tables that decide nothing are left out. Parameters:
/// 1 environment, 2 the node at which they hold, 3 now, 4 role, 5 source node, 6 search.
struct Listed {
    beginning: &'static str,
    tables: String,
    conditions: String,
}

fn listed(query: &AssignmentQuery) -> Listed {
    let (beginning, tables, held) = match query.held_at {
        Some(HeldAt { access_type, .. }) => {
            let held = match access_type {
                None => "",
                Some(AccessType::Direct) => " AND s.node_id = ?2",
                Some(AccessType::Inherited) => " AND s.node_id <> ?2",
            };
            (WAY, HELD, held)
        }
        None => ("", " FROM assignments AS s", " AND ?2 IS NULL"),
    };
    let mut tables = tables.to_owned();
    // The planner would take the index of whatever condition comes with one; a role's or node's rows are the fewest.
    let mut conditions = format!(" WHERE s.environment_id = ?1{held}");
    conditions.push_str(match query.status {
        None => " AND ?3 IS NOT NULL",
        Some(AssignmentStatus::Scheduled) => " AND s.effective_from > ?3",
        Some(AssignmentStatus::Active) => {
            " AND s.effective_from <= ?3 AND (s.effective_to IS NULL OR s.effective_to > ?3)"
        }
        // A window ends after it starts, so one that has ended has started.
        Some(AssignmentStatus::Expired) => " AND s.effective_to <= ?3",
    });
    conditions.push_str(match query.role {
        Some(_) => " AND s.role_id = ?4",
        None => " AND ?4 IS NULL",
    });
    conditions.push_str(match query.source_node {
        Some(_) => " AND s.node_id = ?5",
        None => " AND ?5 IS NULL",
    });
    if query.search.is_some() {
        tables.push_str(IDENTITIES);
        tables.push_str(ROLES);
        tables.push_str(NODES);
        conditions.push_str(
            " AND (instr(i.name_folded, ?6) > 0 OR instr(i.email, ?6) > 0 OR instr(r.name_folded, ?6) > 0 \
             OR instr(n.name_folded, ?6) > 0)",
        );
    } else {
        conditions.push_str(" AND ?6 IS NULL");
    }
    Listed {
        beginning,
        tables,
        conditions,
    }
}

/// An identity, in four columns from `first` on.
fn identity(row: &Row<'_, '_>, id: IdentityId, first: usize) -> Result<IdentitySummary, StoreError> {
    Ok(IdentitySummary {
        id,
        first_name: row.text(first, PersonName::parse)?,
        last_name: row.text(first + 1, PersonName::parse)?,
        email: row.text(first + 2, Email::parse)?,
        avatar_url: row.optional_text(first + 3, AvatarUrl::parse)?,
    })
}

fn view(row: &Row<'_, '_>, held_at: Option<HeldAt>) -> Result<AssignmentView, StoreError> {
    let assignment = assignment(row)?;
    Ok(AssignmentView {
        identity: identity(row, assignment.key.identity, 9)?,
        role_name: row.text(13, RoleName::parse)?,
        node_name: row.text(14, DisplayName::parse)?,
        access_type: held_at.map_or(AccessType::Direct, |at| at.access_type_from(assignment.key.node)),
        assignment,
    })
}

/// A page of the listing. The rows of the page are found first, with no more tables than that takes; what people read is
/// looked up for those alone.
pub(super) fn views(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    query: &AssignmentQuery,
    now: Timestamp,
) -> Result<Page<AssignmentView>, StoreError> {
    let Listed {
        beginning,
        tables,
        conditions,
    } = listed(query);
    let about = |sql| {
        Statement::new(sql)
            .bind(environment.as_bytes())
            .bind(query.held_at.as_ref().map(|at| at.node.as_bytes()))
            .bind(now)
            .bind(query.role.as_ref().map(RoleId::as_bytes))
            .bind(query.source_node.as_ref().map(NodeId::as_bytes))
            .bind(query.search.as_deref())
    };
    let (sort, table) = match query.sort {
        AssignmentSort::Name => ("i.name_folded", IDENTITIES),
        AssignmentSort::Role => ("r.name_folded", ROLES),
        AssignmentSort::AccessType if query.held_at.is_some() => ("s.node_id <> ?2", ""),
        AssignmentSort::AccessType => ("0", ""),
        AssignmentSort::CreatedAt => ("s.created_at", ""),
    };
    let table = if query.search.is_some() { "" } else { table };
    let order = direction(query.order);
    let count = format!("{beginning}SELECT count(*){tables}{conditions}");
    let count = about(&count).first(c, "assignments", |row| row.count(0))?;
    let page = format!(
        "{beginning}SELECT {ASSIGNMENT}, i.first_name, i.last_name, i.email, i.avatar_url, r.name, n.name \
         FROM (SELECT s.*, {sort} AS sort_key{tables}{table}{conditions} \
               ORDER BY sort_key {order}, s.id {order} LIMIT ?7 OFFSET ?8) AS s{IDENTITIES}{ROLES}{NODES} \
         ORDER BY s.sort_key {order}, s.id {order}"
    );
    let page = about(&page).bind(query.page.take()).bind(offset(query.page.offset()));
    Ok(Page {
        items: page.all(c, "assignments", |row| view(row, query.held_at))?,
        item_count: count.unwrap_or_default(),
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
