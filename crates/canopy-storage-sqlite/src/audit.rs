//! The audit log.

use crate::packed::{Cell, Layout, Packed};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::audit::listing::{AuditPosition, AuditQuery};
use canopy_domain::audit::{
    ActorType, AuditCategory, AuditEvent, AuditEventId, AuditOutcome, AuditSeverity, Detail, StoredAuditEvent,
};
use canopy_domain::port::reader::AuditReader;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{AccountId, ApplicationId, EnvironmentId, Revision, SearchWords};
use canopy_storage_sql::rows::audit::{AuditEventRow, AuditPositionRow, DetailRow};
use canopy_storage_sql::write::details;
use canopy_storage_sql::{SqlText, sql};
use diesel::SqliteConnection;

const ROWS: Layout = Layout(&[
    ("id", Cell::Id),
    ("account_id", Cell::Id),
    ("application_id", Cell::Bytes),
    ("environment_id", Cell::Bytes),
    ("actor_id", Cell::Text),
    ("actor_type", Cell::Text),
    ("actor_label", Cell::Text),
    ("action", Cell::Text),
    ("category", Cell::Text),
    ("severity", Cell::Text),
    ("outcome", Cell::Text),
    ("resource_type", Cell::Text),
    ("resource_id", Cell::Text),
    ("resource_label", Cell::Text),
    ("metadata", Cell::Text),
    ("correlation_id", Cell::Text),
    ("created_at", Cell::Number),
    ("searched", Cell::Text),
]);

const PARTS: Layout = Layout(&[
    ("account_id", Cell::Id),
    ("event_id", Cell::Id),
    ("part", Cell::Number),
    ("entries", Cell::Text),
]);

/// Stores events, each with this revision.
pub(crate) fn insert(
    c: &mut SqliteConnection,
    events: &[AuditEvent],
    revision: Option<Revision>,
) -> Result<(), StoreError> {
    static INSERT: SqlText = sql!(
        "{} INSERT INTO audit_events ({AuditEventRow}, searched) SELECT id, account_id, application_id, environment_id, \
             actor_id, actor_type, actor_label, action, category, severity, outcome, resource_type, resource_id, \
             resource_label, metadata, correlation_id, ?3, created_at, searched FROM given",
        ROWS.given()
    );
    let rows = Packed::new(ROWS, events, |row, event| {
        row.id(event.id.as_bytes());
        row.id(event.account_id.as_bytes());
        row.optional_id(event.application_id.as_ref().map(ApplicationId::as_bytes));
        row.optional_id(event.environment_id.as_ref().map(EnvironmentId::as_bytes));
        row.text(&event.actor.id);
        row.text(event.actor.kind.as_str());
        row.text(&event.actor.label);
        row.text(event.action);
        row.text(event.category.as_str());
        row.text(event.severity.as_str());
        row.text(event.outcome.as_str());
        row.text(event.resource_type);
        row.text(&event.resource_id);
        row.text(&event.resource_label);
        row.text(&event.metadata.to_json());
        row.text(&event.correlation_id);
        row.at(event.created_at);
        row.text(&event.searched_text());
    });
    let revision = revision.map(|revision| i64::try_from(revision.get()).unwrap_or(i64::MAX));
    let insert = rows.statement(&INSERT).bind(revision);
    insert.execute_unique(c, Unique::Id)?;
    insert_details(c, events)
}

/// Stores the details of events in one statement, where there are any.
fn insert_details(c: &mut SqliteConnection, events: &[AuditEvent]) -> Result<(), StoreError> {
    static INSERT: SqlText = sql!(
        "{} INSERT INTO audit_details (account_id, event_id, part, entries) \
             SELECT account_id, event_id, part, entries FROM given",
        PARTS.given()
    );
    let parts = details(events);
    if parts.is_empty() {
        return Ok(());
    }
    let rows = Packed::new(PARTS, &parts, |row, (event, part, entries)| {
        row.id(event.account_id.as_bytes());
        row.id(event.id.as_bytes());
        row.number(*part);
        row.text(entries);
    });
    rows.statement(&INSERT).execute_unique(c, Unique::Id).map(|_| ())
}

/// Returns whether the listing goes on after an event.
fn has_room() -> impl FnMut(&StoredAuditEvent) -> bool {
    let mut bytes = 0;
    move |event| {
        bytes += event.metadata.len();
        bytes < AuditQuery::MAX_BYTES
    }
}

/// The listing. Parameters: 1 account, 2 and 3 where it ends, 4 where it begins, 5 environment, 6 to 14 what columns
/// must be, 15 search, 16 how many, 17 the id where it begins.
macro_rules! listing {
    ($environment:literal) => {
        concat!(
            " FROM audit_events WHERE account_id = ?1 AND (created_at, id) < (?2, ?3) AND created_at >= ?4 \
             AND (created_at, id) >= (?4, ?17) AND ",
            $environment,
            " AND (?6 IS NULL OR action = ?6) AND (?7 IS NULL OR category = ?7) AND (?8 IS NULL OR severity = ?8) \
             AND (?9 IS NULL OR outcome = ?9) AND (?10 IS NULL OR actor_id = ?10) AND (?11 IS NULL OR actor_type = ?11) \
             AND (?12 IS NULL OR resource_type = ?12) AND (?13 IS NULL OR resource_id = ?13) \
             AND (?14 IS NULL OR correlation_id = ?14) AND (?15 IS NULL OR NOT EXISTS \
                 (SELECT 1 FROM json_each(?15) AS word WHERE instr(searched, word.value) = 0)) \
             ORDER BY created_at DESC, id DESC LIMIT ?16"
        )
    };
}

/// The place of one event of those that a listing looks at. Parameters: 1 to 5 as of the listing, 6 how many come before it,
/// 7 the id where the listing begins.
macro_rules! place {
    ($environment:literal) => {
        concat!(
            "SELECT created_at, id FROM audit_events WHERE account_id = ?1 AND (created_at, id) < (?2, ?3) \
             AND created_at >= ?4 AND (created_at, id) >= (?4, ?7) AND ",
            $environment,
            " ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ?6"
        )
    };
}

/// The words of a search as a JSON array.
fn json_of(search: &SearchWords) -> String {
    Detail::texts(search.words()).to_json()
}

#[async_trait]
impl AuditReader for UnitOfWork {
    async fn audit_events(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
    ) -> Result<Vec<StoredAuditEvent>, StoreError> {
        static OF_ACCOUNT: SqlText = sql!("SELECT {AuditEventRow}{}", listing!("?5 IS NULL"));
        static OF_ENVIRONMENT: SqlText = sql!("SELECT {AuditEventRow}{}", listing!("environment_id = ?5"));
        let query = query.clone();
        self.run(move |c| {
            let sql = if query.environment.is_some() {
                &OF_ENVIRONMENT
            } else {
                &OF_ACCOUNT
            };
            let (first, end) = (query.first(), query.end());
            let search = query.search.as_ref().map(json_of);
            Statement::new(sql)
                .bind(account.as_bytes())
                .bind(end.at)
                .bind(end.id.as_bytes())
                .bind(first.at)
                .bind(query.environment.as_ref().map(EnvironmentId::as_bytes))
                .bind(query.action.as_deref())
                .bind(query.category.map(AuditCategory::as_str))
                .bind(query.severity.map(AuditSeverity::as_str))
                .bind(query.outcome.map(AuditOutcome::as_str))
                .bind(query.actor_id.as_deref())
                .bind(query.actor_type.map(ActorType::as_str))
                .bind(query.resource_type.as_deref())
                .bind(query.resource_id.as_deref())
                .bind(query.correlation_id.as_deref())
                .bind(search.as_deref())
                .bind(query.limit)
                .bind(first.id.as_bytes())
                .all_while(c, AuditEventRow, has_room())
        })
        .await
    }

    async fn audit_place(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
        count: u32,
    ) -> Result<Option<AuditPosition>, StoreError> {
        static OF_ACCOUNT: SqlText = sql!(place!("?5 IS NULL"));
        static OF_ENVIRONMENT: SqlText = sql!(place!("environment_id = ?5"));
        let (environment, first, end) = (query.environment, query.first(), query.end());
        self.run(move |c| {
            let sql = if environment.is_some() {
                &OF_ENVIRONMENT
            } else {
                &OF_ACCOUNT
            };
            let select = Statement::new(sql)
                .bind(account.as_bytes())
                .bind(end.at)
                .bind(end.id.as_bytes())
                .bind(first.at)
                .bind(environment.as_ref().map(EnvironmentId::as_bytes))
                .bind(count.saturating_sub(1))
                .bind(first.id.as_bytes());
            select.first(c, AuditPositionRow)
        })
        .await
    }

    async fn audit_event(
        &mut self,
        account: AccountId,
        id: AuditEventId,
    ) -> Result<Option<StoredAuditEvent>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {AuditEventRow} FROM audit_events WHERE account_id = ?1 AND id = ?2");
        self.run(move |c| {
            let select = Statement::new(&SELECT).bind(account.as_bytes()).bind(id.as_bytes());
            select.first(c, AuditEventRow)
        })
        .await
    }

    async fn audit_details(
        &mut self,
        account: AccountId,
        event: AuditEventId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT entries FROM audit_details WHERE account_id = ?1 AND event_id = ?2 AND part >= ?3 \
             ORDER BY part LIMIT ?4"
        );
        self.run(move |c| {
            let select = Statement::new(&SELECT).bind(account.as_bytes()).bind(event.as_bytes());
            select.bind(from).bind(limit).all(c, DetailRow)
        })
        .await
    }
}
