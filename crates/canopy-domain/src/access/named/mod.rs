//! An index for callers with names: permissions by key, roles by name, nodes by path, identities by any text.
//!
//! ```
//! use canopy_domain::access::{AccessIndex, DenialReason};
//! use canopy_domain::Timestamp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut access = AccessIndex::builder()
//!     .permission("note.read")
//!     .permission("note.write")
//!     .role("Editor", ["note.read", "note.write"])
//!     .role("Viewer", ["note.read"])
//!     .node("acme/eu/berlin")
//!     .node("acme/us")
//!     .grant("ada", "Editor", "acme/eu")
//!     .build()?;
//! let now = Timestamp::parse("2026-04-20T12:00:00Z")?;
//!
//! assert!(access.can("ada", "note.write", "acme/eu/berlin", now));
//! assert!(!access.can("ada", "note.write", "acme/us", now));
//!
//! access.grant("bob", "Viewer", "acme")?;
//! access.move_node("acme/eu/berlin", "acme/us")?;
//! assert!(access.can("bob", "note.read", "acme/us/berlin", now));
//! access.revoke("bob", "Viewer", "acme")?;
//! let decision = access.decide("bob", "note.read", "acme/us", now);
//! assert_eq!(decision.denial_reason(), Some(DenialReason::NoGrant));
//!
//! let error = access.grant("bob", "Vewer", "acme").unwrap_err();
//! assert_eq!(error.to_string(), "role `Vewer` does not exist");
//! # Ok(())
//! # }
//! ```
//!
//! A check with an unknown name is denied, like every check of an unknown entity. A change with an unknown name is
//! refused with a [`NameError`] and has no effect.
//!
//! Names cost memory beside the index: about 100 bytes per grant, and the texts of paths and identities.

mod builder;
mod change;
mod error;
mod ids;
mod names;

pub use builder::IndexBuilder;
pub use error::NameError;
pub use ids::IdKind;

use super::{AccessIndex, Decision, Explanation, Question, Target};
use crate::uuid::Uuid;
use crate::{IdentityId, NodeId, PermissionKey, Revision, Timestamp};
use names::Names;

/// An [`AccessIndex`] with checks and changes by names.
///
/// Checks take `&self` and may run on many threads; changes take `&mut self`. Share it as `Arc<RwLock<NamedIndex>>`.
#[derive(Debug, Clone)]
pub struct NamedIndex {
    index: AccessIndex,
    names: Names,
    revision: Revision,
    /// True if the caller numbers the revisions.
    has_revisions_of_caller: bool,
}

impl AccessIndex {
    /// Starts an index with checks and changes by names; see [`named`](self::super::named).
    pub fn builder() -> IndexBuilder {
        IndexBuilder::default()
    }
}

/// The id of unknown names: no entity of an index has the nil UUID.
const UNKNOWN: Uuid = Uuid::nil();

impl NamedIndex {
    /// Returns whether the identity has the permission at the node, at this instant.
    pub fn can(&self, identity: &str, permission: &str, node: &str, at: Timestamp) -> bool {
        self.decide(identity, permission, node, at).is_allowed()
    }

    /// Decides like [`AccessIndex::decide`]. Never allocates.
    pub fn decide(&self, identity: &str, permission: &str, node: &str, at: Timestamp) -> Decision {
        self.index.decide(&self.question(identity, permission, node), at)
    }

    /// Decides whether the identity has the permission at any active node.
    pub fn decide_anywhere(&self, identity: &str, permission: &str, at: Timestamp) -> Decision {
        let question = Question {
            identity: self.known_identity(identity),
            permission,
            target: Target::AppWide,
        };
        self.index.decide(&question, at)
    }

    /// Explains a decision: the granting assignments, and the near misses.
    pub fn explain(&self, identity: &str, permission: &str, node: &str, at: Timestamp) -> Explanation<'_> {
        self.index.explain(&self.question(identity, permission, node), at)
    }

    /// Lists the keys of the identity's effective permissions at the node, sorted.
    pub fn permissions(&self, identity: &str, node: &str, at: Timestamp) -> Vec<&PermissionKey> {
        let node = Some(self.known_node(node));
        self.index
            .effective_permissions(self.known_identity(identity), node, at)
    }

    /// Lists the paths of the nodes at which the identity has the permission, sorted. Visits all nodes.
    pub fn nodes_where(&self, identity: &str, permission: &str, at: Timestamp) -> Vec<&str> {
        let nodes = self
            .index
            .nodes_where(self.known_identity(identity), permission, at, None, usize::MAX);
        let mut paths: Vec<&str> = nodes.items.iter().filter_map(|node| self.path_of(*node)).collect();
        paths.sort_unstable();
        paths
    }

    /// Lists the identities that have the permission at the node, sorted. Visits all identities.
    pub fn who_can(&self, permission: &str, node: &str, at: Timestamp) -> Vec<&str> {
        let holders = self
            .index
            .who_can(permission, self.known_node(node), at, None, usize::MAX);
        let names = holders.items.iter().filter_map(|one| self.identity_of(one.identity));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    }

    /// Returns the path of a node; `None` for an unknown one.
    pub fn path_of(&self, node: NodeId) -> Option<&str> {
        self.names.nodes.get(&node).map(|node| &*node.path)
    }

    /// Returns the name of an identity; `None` for an unknown one.
    pub fn identity_of(&self, identity: IdentityId) -> Option<&str> {
        self.names.called.get(&identity).map(|name| &**name)
    }

    /// Returns the id of a node; `None` for an unknown path.
    pub fn node_id(&self, path: &str) -> Option<NodeId> {
        self.names.paths.get(path).copied()
    }

    /// Returns the id of an identity; `None` for an unknown name.
    pub fn identity_id(&self, name: &str) -> Option<IdentityId> {
        self.names.identities.get(name).copied()
    }

    /// Returns the check with these names. Unknown names become unknown ids.
    pub fn question<'q>(&self, identity: &str, permission: &'q str, node: &str) -> Question<'q> {
        Question {
            identity: self.known_identity(identity),
            permission,
            target: Target::Node(self.known_node(node)),
        }
    }

    /// Returns the index without names, for checks by id. Its own revision counts single changes.
    pub const fn index(&self) -> &AccessIndex {
        &self.index
    }

    /// Returns the revision of the index. Each change creates the next one, unless the caller numbers the revisions.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Sets the revision after the last change of each revision, for a caller whose source of changes has its own
    /// revisions. From then on, changes do not change the revision.
    ///
    /// # Errors
    /// [`NameError::Revision`] for a revision before that of the index.
    pub fn set_revision(&mut self, revision: Revision) -> Result<(), NameError> {
        if revision < self.revision {
            return Err(NameError::Revision {
                current: self.revision,
                given: revision,
            });
        }
        self.revision = revision;
        self.has_revisions_of_caller = true;
        Ok(())
    }

    fn known_identity(&self, name: &str) -> IdentityId {
        self.identity_id(name).unwrap_or(IdentityId::new(UNKNOWN))
    }

    fn known_node(&self, path: &str) -> NodeId {
        self.node_id(path).unwrap_or(NodeId::new(UNKNOWN))
    }
}
