//! Listing identities, and counting them.

use crate::search::{Sql, Word, words};
use crate::statement::Statement;
use canopy_domain::identity::listing::{IdentityCounts, IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::port::StoreError;
use canopy_domain::{AccountId, ApplicationId, EnvironmentId, Identity, Page};
use canopy_storage_sql::Shape as _;
use canopy_storage_sql::listing::{direction, offset};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::identity::{IdentityCountsRow, IdentityRow};
use diesel::SqliteConnection;
use std::fmt::Write as _;

/// The condition that the identity `i` holds an assignment: in an environment of application `?2`, or of account `?1`, and
/// in environment `?3`, where these are given.
fn held(in_application: bool, in_environment: bool) -> String {
    let environments = if in_application {
        "SELECT e.id FROM environments AS e WHERE e.application_id = ?2"
    } else {
        "SELECT e.id FROM applications AS a JOIN environments AS e ON e.application_id = a.id WHERE a.account_id = ?1"
    };
    let alone = if in_environment { "e.id = ?3" } else { "?3 IS NULL" };
    format!(
        "EXISTS (SELECT 1 FROM ({environments} AND {alone}) AS e CROSS JOIN assignments AS held \
         ON held.environment_id = e.id AND held.identity_id = i.id)"
    )
}

/// Which rows of a listing there are: the FROM and WHERE of its statements. Parameters: 1 account, 2 application of
/// `member_of`, 3 the environment of `assigned_in`, 4 application of `not_member_of`, 5 the switch, then the words.
fn listed(query: &IdentityQuery, words: &[Word]) -> String {
    let mut sql = String::new();
    match query.member_of {
        Some(_) => sql.push_str(
            " FROM memberships AS m CROSS JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id \
             WHERE m.application_id = ?2 AND m.account_id = ?1",
        ),
        None => sql.push_str(" FROM identities AS i WHERE i.account_id = ?1 AND ?2 IS NULL"),
    }
    sql.push_str(match query.not_member_of {
        Some(_) => " AND NOT EXISTS (SELECT 1 FROM memberships WHERE application_id = ?4 AND identity_id = i.id)",
        None => " AND ?4 IS NULL",
    });
    sql.push_str(match query.status {
        Some(_) => " AND i.is_active = ?5",
        None => " AND ?5 IS NULL",
    });
    for word in words {
        let _ = write!(sql, " AND {}", word.within("i.searched"));
    }
    match query.has_any_assignment {
        Some(has) => {
            let not = if has { "" } else { "NOT " };
            let held = held(query.member_of.is_some(), query.assigned_in.is_some());
            let _ = write!(sql, " AND {not}{held}");
        }
        None => sql.push_str(" AND ?3 IS NULL"),
    }
    sql
}

/// A page of the listing.
pub(super) fn identities(
    c: &mut SqliteConnection,
    account: AccountId,
    query: &IdentityQuery,
) -> Result<Page<Identity>, StoreError> {
    let assigned_in = query.assigned_in.filter(|_| query.has_any_assignment.is_some());
    let mut sql = Sql::new(account.as_bytes());
    sql.value(query.member_of.as_ref().map(ApplicationId::as_bytes));
    sql.value(assigned_in.as_ref().map(EnvironmentId::as_bytes));
    sql.value(query.not_member_of.as_ref().map(ApplicationId::as_bytes));
    sql.value(query.status.map(|status| status == IdentityStatus::Active));
    let words = words(query.search.as_ref(), &mut sql);
    let listed = listed(query, &words);
    let sort = match query.sort {
        IdentitySort::Name => "i.name_folded",
        IdentitySort::Email => "i.email",
        IdentitySort::CreatedAt => "i.created_at",
    };
    let order = direction(query.order);
    let count = format!("{} SELECT count(*){listed}", sql.beginning());
    let count = sql.statement(&count).first(c, CountRow)?;
    let page = format!(
        "{} SELECT {}{listed} ORDER BY {sort} {order}, i.id {order} LIMIT {} OFFSET {}",
        sql.beginning(),
        IdentityRow.of("i"),
        query.page.take(),
        offset(query.page.offset())
    );
    Ok(Page {
        items: sql.statement(&page).all(c, IdentityRow)?,
        item_count: count.unwrap_or_default(),
    })
}

/// The number of identities of an account, or of members of its application.
pub(super) fn counts(
    c: &mut SqliteConnection,
    account: AccountId,
    member_of: Option<ApplicationId>,
    assigned_in: Option<EnvironmentId>,
) -> Result<IdentityCounts, StoreError> {
    let (status, from) = if member_of.is_some() {
        (
            "m.status",
            "FROM memberships AS m CROSS JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id \
             WHERE m.application_id = ?2 AND m.account_id = ?1",
        )
    } else {
        (
            "'active'",
            "FROM identities AS i WHERE i.account_id = ?1 AND ?2 IS NULL",
        )
    };
    let held = held(member_of.is_some(), assigned_in.is_some());
    let select = format!(
        "SELECT count(*), count(*) FILTER (WHERE i.is_active AND {status} = 'active'), \
         count(*) FILTER (WHERE {status} = 'invited'), count(*) FILTER (WHERE {status} = 'deactivated'), \
         count(*) FILTER (WHERE {status} = 'suspended'), count(*) FILTER (WHERE {held}) {from}"
    );
    let statement = Statement::made(&select)
        .bind(account.as_bytes())
        .bind(member_of.as_ref().map(ApplicationId::as_bytes))
        .bind(assigned_in.as_ref().map(EnvironmentId::as_bytes));
    let counts = statement.first(c, IdentityCountsRow)?;
    Ok(counts.unwrap_or_default())
}
