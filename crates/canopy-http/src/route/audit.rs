//! The audit log: who did what to which resource.

mod details;

use crate::answer::{CursorPage, Found, Representation};
use crate::cursor::{Cursor, CursorBinding, CursorScope};
use crate::error_code::ErrorCode;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Instant, Limit, Name, Search, ShownActorType, ShownAuditCategory, ShownAuditOutcome, ShownAuditSeverity, Whole,
    object_text, request_query,
};
use canopy_app::audit::{get, list};
use canopy_app::session::AccountReach;
use canopy_domain::audit::listing::{AuditPosition, AuditQuery};
use canopy_domain::audit::{ActorType, AuditCategory, AuditEventId, AuditOutcome, AuditSeverity, StoredAuditEvent};
use canopy_domain::{EnvironmentId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Audit";
    vec![
        Operation::get("/audit-log", LIST)
            .summary(
                TAG,
                "List the audit events of the account, newest first; on the public surface, those of the credential's environment.",
            )
            .requires("audit.read")
            .publicly_at("/audit-events")
            .handler(list_events),
        Operation::get("/audit-log/{auditEventId}", "getAuditEvent")
            .summary(TAG, "Get an audit event.")
            .requires("audit.read")
            .publicly_at("/audit-events/{auditEventId}")
            .errors(&[ErrorCode::AuditEventNotFound])
            .handler(get_event),
        Operation::get("/audit-log/{auditEventId}/details", DETAILS)
            .summary(
                TAG,
                "List all changes of an audit event to assignments, keys, nodes and identities, paginated.",
            )
            .requires("audit.read")
            .publicly_at("/audit-events/{auditEventId}/details")
            .errors(&[ErrorCode::AuditEventNotFound])
            .handler(details::list),
    ]
}

const LIST: &str = "listAuditEvents";
const DETAILS: &str = "listAuditEventDetails";

/// An action of one call, carried out or refused.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
struct AuditEventBody {
    id: Uuid,
    account_id: Uuid,
    /// The application, if there is one.
    application_id: Option<Uuid>,
    /// The environment, if there is one.
    environment_id: Option<Uuid>,
    /// The subject of the token, or the id of the API key.
    actor_id: String,
    actor_type: ShownActorType,
    /// A label of the actor, for people.
    actor_label: String,
    /// The action, as `area.verb`; `access.refuse` for a refused call.
    action: String,
    category: ShownAuditCategory,
    severity: ShownAuditSeverity,
    outcome: ShownAuditOutcome,
    /// The type of the resource.
    resource_type: String,
    resource_id: String,
    /// A label of the resource, for people.
    resource_label: String,
    /// The ids of all affected resources, and small values before and after the change.
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    /// The id of the request.
    correlation_id: String,
    /// The revision that the change created in its environment.
    revision: Option<u64>,
    created_at: Instant,
}

impl Representation for AuditEventBody {}

fn show(event: StoredAuditEvent) -> AuditEventBody {
    AuditEventBody {
        id: event.id.as_uuid(),
        account_id: event.account_id.as_uuid(),
        application_id: event.application_id.map(|id| id.as_uuid()),
        environment_id: event.environment_id.map(|id| id.as_uuid()),
        actor_id: event.actor.id,
        actor_type: ShownActorType(event.actor.kind),
        actor_label: event.actor.label,
        action: event.action,
        category: ShownAuditCategory(event.category),
        severity: ShownAuditSeverity(event.severity),
        outcome: ShownAuditOutcome(event.outcome),
        resource_type: event.resource_type,
        resource_id: event.resource_id,
        resource_label: event.resource_label,
        metadata: object_text(event.metadata),
        correlation_id: event.correlation_id,
        revision: event.revision.map(canopy_domain::Revision::get),
        created_at: Instant(event.created_at),
    }
}

request_query!(
    /// Selects events.
    struct ListEvents {
        /// Only events at this instant or later.
        from: Option<Timestamp>,
        /// Only events before this instant.
        to: Option<Timestamp>,
        /// Only events of this action.
        action: Option<Name>,
        /// Only events of this area.
        category: Option<AuditCategory>,
        /// Only events of this severity.
        severity: Option<AuditSeverity>,
        /// Only events with this outcome.
        outcome: Option<AuditOutcome>,
        /// Only events of this actor.
        actor_id: Option<Name>,
        /// Only events of this kind of principal.
        actor_type: Option<ActorType>,
        /// Only events of this resource type.
        resource_type: Option<Name>,
        /// Only events of this resource.
        resource_id: Option<Name>,
        /// Only events of the request with this id.
        correlation_id: Option<Name>,
        /// Only events of this environment.
        environment_id: Option<EnvironmentId>,
        /// Only events where the action, the actor's label or the resource's label contains each word, ignoring case.
        q: Search = Search::none(),
        /// The `next_cursor` of the previous page.
        cursor: Option<Cursor>,
        /// Number of events per page.
        limit: Limit = Whole(50),
    }
);

/// Returns the context of a cursor of this list: its filters, and the tenant that may see it.
fn binding(scope: AccountReach, query: &AuditQuery) -> CursorBinding {
    let instant = |at: Option<Timestamp>| at.map(|at| at.as_micros().to_be_bytes());
    let environment = |id: Option<EnvironmentId>| id.map(|id| *id.as_bytes());
    CursorScope::of(LIST)
        .with(Some(scope.account.as_bytes()))
        .with(environment(scope.bound_to))
        .with(instant(query.from))
        .with(instant(query.to))
        .with(environment(query.environment))
        .with(query.action.as_deref())
        .with(query.category.map(AuditCategory::as_str))
        .with(query.severity.map(AuditSeverity::as_str))
        .with(query.outcome.map(AuditOutcome::as_str))
        .with(query.actor_id.as_deref())
        .with(query.actor_type.map(ActorType::as_str))
        .with(query.resource_type.as_deref())
        .with(query.resource_id.as_deref())
        .with(query.correlation_id.as_deref())
        .with(query.search.as_ref().map(|search| search.words().join(" ")).as_deref())
        .done()
}

/// Encodes a position in the log for a cursor: the instant, then the id.
fn write_place(place: AuditPosition) -> [u8; 24] {
    let mut bytes = [0; 24];
    let parts = place
        .at
        .as_micros()
        .to_be_bytes()
        .into_iter()
        .chain(*place.id.as_bytes());
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    bytes
}

fn read_place(bytes: &[u8]) -> Option<AuditPosition> {
    let (at, id) = bytes.split_first_chunk::<8>()?;
    Some(AuditPosition {
        at: Timestamp::from_micros(i64::from_be_bytes(*at)).ok()?,
        id: AuditEventId::new(Uuid::from_slice(id).ok()?),
    })
}

async fn list_events(request: Request<AccountReach, (), ListEvents>) -> Result<CursorPage<AuditEventBody>, Problem> {
    let (query, request) = request.take_query();
    let text = |name: Option<Name>| name.map(|name| name.0);
    let scope = request.tenancy;
    let mut asked = AuditQuery {
        from: query.from,
        to: query.to,
        environment: query.environment_id,
        action: text(query.action),
        category: query.category,
        severity: query.severity,
        outcome: query.outcome,
        actor_id: text(query.actor_id),
        actor_type: query.actor_type,
        resource_type: text(query.resource_type),
        resource_id: text(query.resource_id),
        correlation_id: text(query.correlation_id),
        search: query.q.words(),
        after: None,
        down_to: None,
        limit: query.limit.0,
    };
    let binding = binding(scope, &asked);
    let cursors = request.cursors().await?;
    if let Some(cursor) = &query.cursor {
        let place = cursors.open(binding, cursor)?;
        let place = read_place(&place).ok_or_else(|| Problem::internal("a valid cursor holds no position"))?;
        asked.after = Some(place);
    }
    let part = request
        .run(move |app, _| async move { list::list_events(&app, scope.account, scope.bound_to, &asked).await })
        .await?;
    let next = part.next.map(|place| cursors.seal(binding, &write_place(place)));
    Ok(CursorPage::of(part.events, next, show))
}

async fn get_event(request: Request<AccountReach, AuditEventId>) -> Result<Found<AuditEventBody>, Problem> {
    let (scope, id) = (request.tenancy, request.id);
    let event = request
        .run(move |app, _| async move { get::get_event(&app, scope.account, scope.bound_to, id).await })
        .await?;
    Ok(Found(show(event)))
}
