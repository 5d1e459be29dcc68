//! Listing assignments, and counting them.

use super::{ASSIGNMENT, assignment};
use crate::identity::{direction, offset};
use crate::packed::{IDS, Packed};
use crate::statement::{Row, Statement};
use canopy_domain::assignment::listing::{
    AssignmentQuery, AssignmentSort, AssignmentSummary, AssignmentView, IdentitySummary,
};
use canopy_domain::port::StoreError;
use canopy_domain::{
    AccessType, AssignmentStatus, AvatarUrl, DisplayName, EXPIRING_SOON_SECONDS, Email, EnvironmentId, IdentityId,
    NodeId, Page, PersonName, RoleId, RoleName, Timestamp,
};
use diesel::SqliteConnection;
use std::sync::LazyLock;

// The account is the environment's: a question that is asked once.
const IDENTITIES: &str = " JOIN identities AS i ON i.id = s.identity_id AND i.account_id = (SELECT a.account_id \
                          FROM environments AS e JOIN applications AS a ON a.id = e.application_id WHERE e.id = ?1)";
const ROLES: &str = " JOIN roles AS r ON r.environment_id = s.environment_id AND r.id = s.role_id";
const NODES: &str = " JOIN nodes AS n ON n.environment_id = s.environment_id AND n.id = s.node_id";

/// The tables and conditions that decide which rows are listed; tables that decide nothing are left out. Parameters:
/// 1 environment, 2 now, 3 role, 4 node, 5 search.
struct Listed {
    tables: String,
    conditions: String,
}

fn listed(query: &AssignmentQuery) -> Listed {
    // The planner would take the index of whatever condition comes with one; a role's or node's rows are the fewest.
    let mut conditions = " WHERE s.environment_id = ?1".to_owned();
    conditions.push_str(match query.status {
        None => " AND ?2 IS NOT NULL",
        Some(AssignmentStatus::Scheduled) => " AND s.effective_from > ?2",
        Some(AssignmentStatus::Active) => {
            " AND s.effective_from <= ?2 AND (s.effective_to IS NULL OR s.effective_to > ?2)"
        }
        // A window ends after it starts, so one that has ended has started.
        Some(AssignmentStatus::Expired) => " AND s.effective_to <= ?2",
    });
    conditions.push_str(match query.role {
        Some(_) => " AND s.role_id = ?3",
        None => " AND ?3 IS NULL",
    });
    conditions.push_str(match query.source_node {
        Some(_) => " AND s.node_id = ?4",
        None => " AND ?4 IS NULL",
    });
    let mut tables = " FROM assignments AS s".to_owned();
    if query.search.is_some() {
        tables.push_str(IDENTITIES);
        tables.push_str(ROLES);
        tables.push_str(NODES);
        conditions.push_str(
            " AND (instr(i.name_folded, ?5) > 0 OR instr(i.email, ?5) > 0 OR instr(r.name_folded, ?5) > 0 \
             OR instr(n.name_folded, ?5) > 0)",
        );
    } else {
        conditions.push_str(" AND ?5 IS NULL");
    }
    Listed { tables, conditions }
}

fn view(row: &Row<'_, '_>) -> Result<AssignmentView, StoreError> {
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

/// A page of the listing. The rows of the page are found first, with no more tables than that takes; what people read is
/// looked up for those alone.
pub(super) fn views(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    query: &AssignmentQuery,
    now: Timestamp,
) -> Result<Page<AssignmentView>, StoreError> {
    let Listed { tables, conditions } = listed(query);
    let about = |sql| {
        Statement::new(sql)
            .bind(environment.as_bytes())
            .bind(now)
            .bind(query.role.as_ref().map(RoleId::as_bytes))
            .bind(query.source_node.as_ref().map(NodeId::as_bytes))
            .bind(query.search.as_deref())
    };
    let (sort, table) = match query.sort {
        AssignmentSort::Name => ("i.name_folded", IDENTITIES),
        AssignmentSort::Role => ("r.name_folded", ROLES),
        AssignmentSort::CreatedAt => ("s.created_at", ""),
    };
    let table = if query.search.is_some() { "" } else { table };
    let order = direction(query.order);
    let count = format!("SELECT count(*){tables}{conditions}");
    let count = about(&count).first(c, "assignments", |row| row.count(0))?;
    let page = format!(
        "SELECT {ASSIGNMENT}, i.first_name, i.last_name, i.email, i.avatar_url, r.name, n.name \
         FROM (SELECT s.*, {sort} AS sort_key{tables}{table}{conditions} \
               ORDER BY sort_key {order}, s.id {order} LIMIT ?6 OFFSET ?7) AS s{IDENTITIES}{ROLES}{NODES} \
         ORDER BY s.sort_key {order}, s.id {order}"
    );
    let page = about(&page).bind(query.page.take()).bind(offset(query.page.offset()));
    Ok(Page {
        items: page.all(c, "assignments", view)?,
        item_count: count.unwrap_or_default(),
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
    statement.all(c, "assignments", view)
}

/// The number of assignments in each state.
pub(super) fn summary(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<AssignmentSummary, StoreError> {
    const SELECT: &str = "SELECT \
         count(*) FILTER (WHERE effective_from <= ?2 AND (effective_to IS NULL OR effective_to > ?2)), \
         count(*) FILTER (WHERE effective_from > ?2), \
         count(*) FILTER (WHERE effective_to <= ?2), \
         count(*) FILTER (WHERE effective_from <= ?2 AND effective_to > ?2 AND effective_to <= ?3), \
         count(DISTINCT role_id) FROM assignments WHERE environment_id = ?1";
    let statement = Statement::new(SELECT)
        .bind(environment.as_bytes())
        .bind(now)
        .bind(now.plus_seconds(EXPIRING_SOON_SECONDS));
    let summary = statement.first(c, "assignments", |row| {
        Ok(AssignmentSummary {
            active: row.count(0)?,
            scheduled: row.count(1)?,
            expired: row.count(2)?,
            expiring_soon: row.count(3)?,
            distinct_roles: row.count(4)?,
        })
    })?;
    Ok(summary.unwrap_or_default())
}
