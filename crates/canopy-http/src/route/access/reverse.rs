//! Reverse questions: where an identity has a permission, and who has it at a node. Results are paginated by cursor.

use crate::answer::Judged;
use crate::cursor::{Cursor, CursorBinding, CursorKey, CursorScope};
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Limit, Text, Whole, request_query};
use canopy_app::access::part::{Bookmark, CursorPage};
use canopy_app::access::{nodes, who_can};
use canopy_app::session::AskedEnvironment;
use canopy_domain::access::PermissionHolder;
use canopy_domain::{EnvironmentRef, IdentityId, NodeId, Revision, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) const NODES: &str = "listIdentityNodes";
pub(super) const WHO_CAN: &str = "listWhoCan";

request_query!(
    /// The permission, and the page of the result.
    pub(super) struct WhereHeld {
        /// The key of the permission.
        permission: Text,
        /// The `next_cursor` of the previous page.
        cursor: Option<Cursor>,
        /// Number of results per page.
        limit: Limit = Whole(50),
    }
);

/// A node at which an identity has a permission.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldNode)]
struct NodeBody {
    node_id: Uuid,
}

/// Nodes at which an identity has a permission, in order of their ids.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldNodes)]
pub(super) struct NodesBody {
    items: Vec<NodeBody>,
    /// The `cursor` of the next page; null at the end of the list.
    next_cursor: Option<String>,
    /// True if the list ends here and all of it was evaluated at one revision.
    complete: bool,
}

/// An identity that has a permission at a node.
#[derive(Serialize, ToSchema)]
#[schema(as = PermissionHolder)]
struct HolderBody {
    identity_id: Uuid,
    /// The names of all roles that grant the permission, sorted.
    role_names: Vec<String>,
    /// The nodes of the granting assignments, sorted.
    source_node_ids: Vec<Uuid>,
}

/// Identities that have a permission at a node, in order of their ids.
#[derive(Serialize, ToSchema)]
#[schema(as = PermissionHolders)]
pub(super) struct HoldersBody {
    items: Vec<HolderBody>,
    /// The `cursor` of the next page; null at the end of the list.
    next_cursor: Option<String>,
    /// True if the list ends here and all of it was evaluated at one revision.
    complete: bool,
}

/// Encodes a position for a cursor: the revision, the instant and the last id.
fn write_place<Id>(place: &Bookmark<Id>, id: [u8; 16]) -> Vec<u8> {
    let revision = place.revision.get().to_be_bytes();
    [&revision, place.at.as_micros().to_be_bytes().as_slice(), &id].concat()
}

fn read_place<Id: From<Uuid>>(bytes: &[u8]) -> Option<Bookmark<Id>> {
    let (revision, rest) = bytes.split_first_chunk::<8>()?;
    let (at, id) = rest.split_first_chunk::<8>()?;
    Some(Bookmark {
        revision: Revision::new(u64::from_be_bytes(*revision)),
        at: Timestamp::from_micros(i64::from_be_bytes(*at)).ok()?,
        after: Uuid::from_slice(id).ok()?.into(),
    })
}

/// A reverse question and the key of its cursors. Cursors are bound to the environment, which must be confirmed first.
struct Reading {
    cursors: CursorKey,
    binding: CursorBinding,
}

impl Reading {
    /// Reads the question of this call. Cursors of other questions are not valid for it.
    async fn of<P>(
        request: &Request<EnvironmentRef, P>,
        operation: &'static str,
        about: Uuid,
        permission: &str,
    ) -> Result<Self, Problem> {
        let binding = CursorScope::of(operation)
            .with(Some(request.tenancy.environment.as_bytes()))
            .with(Some(about.as_bytes()))
            .with(Some(permission))
            .done();
        Ok(Self {
            cursors: request.cursors().await?,
            binding,
        })
    }

    /// Returns the position at which the list continues; `None` for its beginning.
    fn begun<Id: From<Uuid>>(&self, cursor: Option<&Cursor>) -> Result<Option<Bookmark<Id>>, Problem> {
        let Some(cursor) = cursor else { return Ok(None) };
        let place = self.cursors.open(self.binding, cursor)?;
        let place = read_place(&place).ok_or_else(|| Problem::internal("a valid cursor holds no position"))?;
        Ok(Some(place))
    }

    /// Returns the cursor for the rest of the list.
    fn next<T, Id>(&self, part: &CursorPage<T, Id>, bytes: impl Fn(&Id) -> [u8; 16]) -> Option<String> {
        let seal = |next: &Bookmark<Id>| self.cursors.seal(self.binding, &write_place(next, bytes(&next.after)));
        part.next.as_ref().map(seal)
    }
}

const fn room(limit: Limit) -> usize {
    limit.0 as usize
}

pub(super) async fn list_nodes(
    request: Request<EnvironmentRef, IdentityId, WhereHeld>,
) -> Result<Judged<NodesBody>, Problem> {
    let (query, request) = request.take_query();
    let (environment, identity, permission) = (AskedEnvironment::from(request.tenancy), request.id, query.permission.0);
    let reading = Reading::of(&request, NODES, identity.as_uuid(), &permission).await?;
    let page = (reading.begun(query.cursor.as_ref())?, room(query.limit));
    let asked = nodes::find_nodes(request.app(), request.asker(&environment), identity, &permission, page);
    let part = request.ask_here(asked).await?;
    let body = NodesBody {
        next_cursor: reading.next(&part, |node: &NodeId| *node.as_bytes()),
        complete: part.is_complete,
        items: part
            .items
            .iter()
            .map(|node| NodeBody {
                node_id: node.as_uuid(),
            })
            .collect(),
    };
    Ok(Judged::new(&body, part.revision))
}

pub(super) async fn list_holders(
    request: Request<EnvironmentRef, NodeId, WhereHeld>,
) -> Result<Judged<HoldersBody>, Problem> {
    let (query, request) = request.take_query();
    let (environment, node, permission) = (AskedEnvironment::from(request.tenancy), request.id, query.permission.0);
    let reading = Reading::of(&request, WHO_CAN, node.as_uuid(), &permission).await?;
    let page = (reading.begun(query.cursor.as_ref())?, room(query.limit));
    let show = |holder: PermissionHolder<'_>| HolderBody {
        identity_id: holder.identity.as_uuid(),
        role_names: holder.role_names.iter().map(ToString::to_string).collect(),
        source_node_ids: holder.source_nodes.iter().map(NodeId::as_uuid).collect(),
    };
    let asked = who_can::find_holders(
        request.app(),
        request.asker(&environment),
        node,
        &permission,
        page,
        show,
    );
    let part = request.ask_here(asked).await?;
    let body = HoldersBody {
        next_cursor: reading.next(&part, |identity: &IdentityId| *identity.as_bytes()),
        complete: part.is_complete,
        items: part.items,
    };
    Ok(Judged::new(&body, part.revision))
}
