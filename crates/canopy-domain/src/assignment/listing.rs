//! Filters, sort keys and rows of the list of assignments.

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
        /// Direct before inherited; all are direct if no node is given.
        AccessType = "access_type",
        /// The time of creation.
        CreatedAt = "created_at",
    }
);

/// Selects and sorts assignments of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentQuery {
    /// Only those that hold at a node.
    pub held_at: Option<HeldAt>,
    /// Only those with this role.
    pub role: Option<RoleId>,
    /// Only those with this status at the given instant.
    pub status: Option<AssignmentStatus>,
    /// Only those at this node.
    pub source_node: Option<NodeId>,
    /// Only those where the [searched text](crate::Identity::searched_text) of the identity, the name of the role or
    /// the name of the node matches the search.
    pub search: Option<SearchWords>,
    /// The sort key.
    pub sort: AssignmentSort,
    /// The sort direction.
    pub order: SortOrder,
    /// The requested page.
    pub page: PageRequest,
}

/// Selects the assignments that hold at a node: those at it and at its ancestors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldAt {
    /// The node.
    pub node: NodeId,
    /// Only direct ones, or only inherited ones.
    pub access_type: Option<AccessType>,
}

impl HeldAt {
    /// Returns how an assignment at `source` holds at the node: directly or inherited.
    pub fn access_type_from(&self, source: NodeId) -> AccessType {
        if source == self.node {
            AccessType::Direct
        } else {
            AccessType::Inherited
        }
    }
}

/// An assignment with the labels that people need to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentView {
    /// The assignment.
    pub assignment: Assignment,
    /// The identity.
    pub identity: IdentitySummary,
    /// The role's name.
    pub role_name: RoleName,
    /// The name of its node.
    pub node_name: DisplayName,
    /// Relative to the given node; always direct without one.
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
    /// Email address.
    pub email: Email,
    /// The URL of a picture.
    pub avatar_url: Option<AvatarUrl>,
}

/// Counts of the assignments of an environment by status at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AssignmentSummary {
    /// Number within their window.
    pub active: u64,
    /// Number before their window.
    pub scheduled: u64,
    /// Number after their window.
    pub expired: u64,
    /// Number of active ones that end within seven days.
    pub expiring_soon: u64,
    /// Number of roles with at least one assignment.
    pub distinct_roles: u64,
}

/// Maximum number of identities in [`NodeAssignmentSummary::recent`].
pub const RECENT_IDENTITIES: usize = 5;

/// Counts of the assignments that hold at a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeAssignmentSummary {
    /// Counts by status.
    pub counts: AssignmentSummary,
    /// Number of assignments at the node itself.
    pub direct: u64,
    /// Number of assignments at its ancestors.
    pub inherited: u64,
    /// The identities of the latest assignments, newest first; each once, by its newest. Their ids break ties.
    pub recent: Vec<IdentitySummary>,
}
