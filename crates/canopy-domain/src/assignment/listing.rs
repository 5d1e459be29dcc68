//! Filters and orders of the list of assignments, and its rows.

use super::{AccessType, Assignment, AssignmentStatus};
use crate::string_enum::string_enum;
use crate::{
    AvatarUrl, DisplayName, Email, IdentityId, NodeId, PageRequest, PersonName, RoleId, RoleName, SearchWords,
    SortOrder,
};

string_enum!(
    /// The sort key of the list; the assignment's id breaks ties.
    AssignmentSort {
        /// The identity's name, `first last`, case folded.
        Name = "name",
        /// The role's name, case folded.
        Role = "role",
        /// Direct before inherited; where no node is asked about, all are direct.
        AccessType = "access_type",
        /// When the assignment was made.
        CreatedAt = "created_at",
    }
);

/// Which assignments of an environment are listed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentQuery {
    /// Only those that hold at a node.
    pub held_at: Option<HeldAt>,
    /// Only those with this role.
    pub role: Option<RoleId>,
    /// Only those in this state at the asked instant.
    pub status: Option<AssignmentStatus>,
    /// Only those made at this node.
    pub source_node: Option<NodeId>,
    /// Only those that the search finds in the [searched text](crate::Identity::searched_text) of the identity, the name of
    /// the role and the name of the node.
    pub search: Option<SearchWords>,
    /// The sort key.
    pub sort: AssignmentSort,
    /// In which direction.
    pub order: SortOrder,
    /// Which page.
    pub page: PageRequest,
}

/// The assignments that hold at a node: those made at it and at the nodes above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldAt {
    /// The node.
    pub node: NodeId,
    /// Only those made at it, or only those made above.
    pub access_type: Option<AccessType>,
}

impl HeldAt {
    /// Returns the way in which an assignment at `source` holds at the node, given that it does.
    pub fn access_type_from(&self, source: NodeId) -> AccessType {
        if source == self.node {
            AccessType::Direct
        } else {
            AccessType::Inherited
        }
    }
}

/// An assignment with what people need to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentView {
    /// The assignment.
    pub assignment: Assignment,
    /// The identity.
    pub identity: IdentitySummary,
    /// The role's name.
    pub role_name: RoleName,
    /// The name of the node it was made at.
    pub node_name: DisplayName,
    /// Seen from the node that was asked about; always direct where none was.
    pub access_type: AccessType,
}

/// An identity as listings show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySummary {
    /// Its id.
    pub id: IdentityId,
    /// First name.
    pub first_name: PersonName,
    /// Last name.
    pub last_name: PersonName,
    /// Mail address.
    pub email: Email,
    /// Picture.
    pub avatar_url: Option<AvatarUrl>,
}

/// Counts of the assignments of an environment, by state at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AssignmentSummary {
    /// In their window.
    pub active: u64,
    /// Before it.
    pub scheduled: u64,
    /// After it.
    pub expired: u64,
    /// Active and ending within seven days.
    pub expiring_soon: u64,
    /// Number of roles with at least one assignment.
    pub distinct_roles: u64,
}

/// Maximum number of identities in [`NodeAssignmentSummary::recent`].
pub const RECENT_IDENTITIES: usize = 5;

/// The assignments that hold at a node, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeAssignmentSummary {
    /// By state.
    pub counts: AssignmentSummary,
    /// Number of assignments at the node itself.
    pub direct: u64,
    /// Number of assignments at its ancestors.
    pub inherited: u64,
    /// Whose assignments were made last, newest first; each identity once, by its newest. Their ids break ties.
    pub recent: Vec<IdentitySummary>,
}
