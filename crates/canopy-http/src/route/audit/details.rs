//! The details of one audit event, paginated.

use super::DETAILS;
use crate::answer::{CursorPage, Representation};
use crate::cursor::{Cursor, CursorScope};
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Limit, Whole, request_query};
use canopy_app::audit::details;
use canopy_app::session::AccountReach;
use canopy_domain::audit::AuditEventId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One change: to an assignment, to a key of a role or of the catalog, to a node or to an identity.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditDetail)]
pub(super) struct DetailBody {
    /// The assignment; null for a change to anything else.
    assignment_id: Option<Uuid>,
    /// The environment of the assignment, if the event affects several.
    environment_id: Option<Uuid>,
    #[schema(inline)]
    identity: Option<Named>,
    /// The role; null for a key of the catalog.
    #[schema(inline)]
    role: Option<Named>,
    #[schema(inline)]
    node: Option<NamedNode>,
    /// The begin of the assignment's window.
    effective_from: Option<String>,
    /// The end of the assignment's window; null if it never ends.
    effective_to: Option<String>,
    /// The permission key; null for a change to anything else.
    key: Option<String>,
    /// `granted`, `revoked` or `changed` for an assignment; `added` or `removed` for a key, a node or an identity.
    change: String,
    /// The assignment before the change, if it was changed.
    #[schema(inline)]
    before: Option<Before>,
    /// The keys of a stored entry that combines several.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    keys: Vec<String>,
}

/// An identity or a role at the time of the event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct Named {
    id: Uuid,
    name: Option<String>,
}

/// A node at the time of the event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct NamedNode {
    id: Uuid,
    /// The slugs from the root to the node, separated by `/`.
    path: Option<String>,
}

/// An assignment before a change.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct Before {
    #[schema(inline)]
    role: Named,
    #[schema(inline)]
    node: NamedNode,
    effective_from: String,
    effective_to: Option<String>,
}

impl Representation for DetailBody {}

/// The metadata of an event. Events that predate details have none.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    details: Vec<DetailBody>,
}

request_query!(
    /// Selects a page of the details.
    pub(super) struct ListDetails {
        /// The `next_cursor` of the previous page.
        cursor: Option<Cursor>,
        /// Maximum number of details on one page.
        limit: Limit = Whole(50),
    }
);

/// A position in the details: part 0 is in the metadata, the others are stored beside the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    part: u32,
    /// The number of changes of the part on earlier pages.
    skipped: u32,
}

impl Position {
    fn write(self) -> [u8; 8] {
        ((u64::from(self.part) << 32) | u64::from(self.skipped)).to_be_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (part, skipped) = bytes.split_first_chunk::<4>()?;
        Some(Self {
            part: u32::from_be_bytes(*part),
            skipped: u32::from_be_bytes(skipped.try_into().ok()?),
        })
    }
}

/// Returns one body per change: entries that combine several keys are split.
fn expanded(entry: DetailBody) -> Vec<DetailBody> {
    if entry.keys.is_empty() {
        return vec![entry];
    }
    let (mut entry, mut all) = (entry, Vec::new());
    for key in core::mem::take(&mut entry.keys) {
        all.push(DetailBody {
            key: Some(key),
            ..entry.clone()
        });
    }
    all
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text)
        .map_err(|_| Problem::internal("the stored details of an audit event have an unknown format"))
}

/// Returns at most `limit` details from a position on, and the position after them; `None` at the end.
fn page(
    stored: &details::DetailParts,
    from: Position,
    limit: usize,
) -> Result<(Vec<DetailBody>, Option<Position>), Problem> {
    let mut items = Vec::new();
    let mut at = from;
    let inline = (from.part == 0).then_some(None);
    for part in inline.into_iter().chain(stored.parts.iter().map(Some)) {
        let entries = match part {
            None => read::<Metadata>(&stored.metadata)?.details,
            Some(part) => read(part)?,
        };
        let skipped = usize::try_from(at.skipped).unwrap_or(usize::MAX);
        for detail in entries.into_iter().flat_map(expanded).skip(skipped) {
            if items.len() == limit {
                return Ok((items, Some(at)));
            }
            items.push(detail);
            at.skipped += 1;
        }
        at = Position {
            part: at.part + 1,
            skipped: 0,
        };
        if items.len() == limit {
            break;
        }
    }
    // Parts that were read but not listed follow, and so do unread parts.
    let count = u32::try_from(stored.parts.len()).unwrap_or(u32::MAX);
    let follows = stored.goes_on || at.part < from.part.max(1).saturating_add(count);
    Ok((items, follows.then_some(at)))
}

pub(super) async fn list(
    request: Request<AccountReach, AuditEventId, ListDetails>,
) -> Result<CursorPage<DetailBody>, Problem> {
    let (query, request) = request.take_query();
    let (scope, id) = (request.tenancy, request.id);
    let binding = CursorScope::of(DETAILS)
        .with(Some(scope.account.as_bytes()))
        .with(scope.bound_to.map(|id| *id.as_bytes()))
        .with(Some(id.as_bytes()))
        .done();
    let cursors = request.cursors().await?;
    let mut from = Position { part: 0, skipped: 0 };
    if let Some(cursor) = &query.cursor {
        let place = cursors.open(binding, cursor)?;
        from = Position::read(&place).ok_or_else(|| Problem::internal("a valid cursor holds no position"))?;
    }
    let stored = request
        .run(move |app, _| async move {
            let first = from.part.saturating_sub(1);
            details::get_event_details(&app, scope.account, scope.bound_to, id, first).await
        })
        .await?;
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let (items, next) = page(&stored, from, limit)?;
    let next = next.map(|position| cursors.seal(binding, &position.write()));
    Ok(CursorPage::of(items, next, |detail| detail))
}
