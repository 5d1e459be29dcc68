//! An index for callers that have names: permissions by key, roles by name, nodes by path, identities by whatever the
//! caller calls them.
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
//! assert_eq!(error.to_string(), "there is no role `Vewer`");
//! # Ok(())
//! # }
//! ```
//!
//! A question with an unknown name is denied, as every question about something unknown is. A change with an unknown name
//! is refused with a [`NameError`] and changes nothing.
//!
//! Names cost memory beside the index: about 100 bytes for each grant, and the texts of paths and identities.

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

/// An [`AccessIndex`] that is asked and changed by names.
///
/// Questions take `&self` and may be asked from many threads; changes take `&mut self`. Share it as
/// `Arc<RwLock<NamedIndex>>`.
#[derive(Debug, Clone)]
pub struct NamedIndex {
    index: AccessIndex,
    names: Names,
    revision: Revision,
    /// Whether changes leave the revision to the caller.
    has_revisions_of_caller: bool,
}

impl AccessIndex {
    /// Starts an index that is built, asked and changed by names; see [`named`](self::super::named).
    pub fn builder() -> IndexBuilder {
        IndexBuilder::default()
    }
}

/// The id of what has none: no thing of an index has the nil UUID.
const UNKNOWN: Uuid = Uuid::nil();

impl NamedIndex {
    /// Returns whether the identity may do this at the node, at this instant.
    pub fn can(&self, identity: &str, permission: &str, node: &str, at: Timestamp) -> bool {
        self.decide(identity, permission, node, at).is_allowed()
    }

    /// Decides as [`AccessIndex::decide`] does. Never allocates.
    pub fn decide(&self, identity: &str, permission: &str, node: &str, at: Timestamp) -> Decision {
        self.index.decide(&self.question(identity, permission, node), at)
    }

    /// Decides whether the identity may do this at any active node.
    pub fn decide_anywhere(&self, identity: &str, permission: &str, at: Timestamp) -> Decision {
        let question = Question {
            identity: self.known_identity(identity),
            permission,
            target: Target::AppWide,
        };
        self.index.decide(&question, at)
    }

    /// Explains a decision: the grants that give access, and those that fall short of it.
    pub fn explain(&self, identity: &str, permission: &str, node: &str, at: Timestamp) -> Explanation<'_> {
        self.index.explain(&self.question(identity, permission, node), at)
    }

    /// Lists the keys of the permissions that the identity holds at the node, sorted.
    pub fn permissions(&self, identity: &str, node: &str, at: Timestamp) -> Vec<&PermissionKey> {
        let node = Some(self.known_node(node));
        self.index
            .effective_permissions(self.known_identity(identity), node, at)
    }

    /// Lists the paths of the nodes at which the identity may do this, sorted. A pass over all nodes.
    pub fn nodes_where(&self, identity: &str, permission: &str, at: Timestamp) -> Vec<&str> {
        let nodes = self
            .index
            .nodes_where(self.known_identity(identity), permission, at, None, usize::MAX);
        let mut paths: Vec<&str> = nodes.items.iter().filter_map(|node| self.path_of(*node)).collect();
        paths.sort_unstable();
        paths
    }

    /// Lists the identities that may do this at the node, sorted. A pass over all identities.
    pub fn who_can(&self, permission: &str, node: &str, at: Timestamp) -> Vec<&str> {
        let holders = self
            .index
            .who_can(permission, self.known_node(node), at, None, usize::MAX);
        let names = holders.items.iter().filter_map(|one| self.identity_of(one.identity));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    }

    /// Returns the path of a node; `None` for one that the index does not have.
    pub fn path_of(&self, node: NodeId) -> Option<&str> {
        self.names.nodes.get(&node).map(|node| &*node.path)
    }

    /// Returns the name of an identity; `None` for one that the index does not have.
    pub fn identity_of(&self, identity: IdentityId) -> Option<&str> {
        self.names.called.get(&identity).map(|name| &**name)
    }

    /// Returns the id of a node; `None` where the path leads to none.
    pub fn node_id(&self, path: &str) -> Option<NodeId> {
        self.names.paths.get(path).copied()
    }

    /// Returns the id of an identity; `None` where none has this name.
    pub fn identity_id(&self, name: &str) -> Option<IdentityId> {
        self.names.identities.get(name).copied()
    }

    /// Returns the question that these names ask. Names that are not known become ids that are not known.
    pub fn question<'q>(&self, identity: &str, permission: &'q str, node: &str) -> Question<'q> {
        Question {
            identity: self.known_identity(identity),
            permission,
            target: Target::Node(self.known_node(node)),
        }
    }

    /// The index without the names, for questions by id. Its own revision counts single changes.
    pub const fn index(&self) -> &AccessIndex {
        &self.index
    }

    /// The revision of the index. Each change takes the next one, unless the caller numbers the revisions.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Sets the revision, for a caller whose source of changes has revisions of its own: after the last change of each.
    /// From then on changes leave the revision as it is.
    ///
    /// # Errors
    /// [`NameError::Revision`] for a revision before the one that the index is at.
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
