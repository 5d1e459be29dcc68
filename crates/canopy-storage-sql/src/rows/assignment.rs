//! Rows of assignments.

use crate::shape::{Shape, shape};
use canopy_domain::assignment::listing::{AssignmentSummary, AssignmentView, HeldAt, IdentitySummary};
use canopy_domain::{
    AccessType, Assignment, AssignmentId, AssignmentKey, AvatarUrl, DisplayName, Email, EnvironmentId,
    ExistingAssignment, IdentityId, PersonName, RoleName,
};

shape! {
    /// An assignment.
    AssignmentRow in "assignments" reads Assignment {
        id: "id" as id,
        environment_id: "environment_id" as id,
        key: ["identity_id", "role_id", "node_id"] as assignment_key,
        window: ["effective_from", "effective_to"] as window,
        created_at: "created_at" as at,
        updated_at: "updated_at" as at,
    }
}

shape! {
    /// The id of an assignment.
    AssignmentIdRow in "assignments" reads (AssignmentId) { id: "id" as id, } => id
}

shape! {
    /// An assignment, by its environment and its id.
    RevokedRow in "assignments" reads ((EnvironmentId, AssignmentId)) {
        environment: "environment_id" as id,
        id: "id" as id,
    } => (environment, id)
}

shape! {
    /// An assignment that is there, by its key.
    ExistingRow in "assignments" reads ((AssignmentKey, ExistingAssignment)) {
        id: "id" as id,
        window: ["effective_from", "effective_to"] as window,
        key: ["identity_id", "role_id", "node_id"] as assignment_key,
    } => (key, ExistingAssignment { id, window })
}

/// An identity as people see it, but for its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    first_name: PersonName,
    last_name: PersonName,
    email: Email,
    avatar_url: Option<AvatarUrl>,
}

impl Person {
    /// The identity with this id.
    pub fn with_id(self, id: IdentityId) -> IdentitySummary {
        IdentitySummary {
            id,
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email,
            avatar_url: self.avatar_url,
        }
    }
}

shape! {
    /// An identity as people see it, but for its id.
    PersonRow in "identities" reads Person {
        first_name: "first_name" as text(PersonName::restored),
        last_name: "last_name" as text(PersonName::restored),
        email: "email" as text(Email::restored),
        avatar_url: "avatar_url" as optional_text(AvatarUrl::restored),
    }
}

shape! {
    /// The id of an identity.
    IdentityIdRow in "identities" reads (IdentityId) { id: "id" as id, } => id
}

shape! {
    /// The names of a role and of a node.
    NamesRow in "assignments" reads ((RoleName, DisplayName)) {
        role: "name" as text(RoleName::restored),
        node: "name" as text(DisplayName::restored),
    } => (role, node)
}

/// An assignment with what people read of it.
pub type ViewRow = (AssignmentRow, PersonRow, NamesRow);

/// An assignment with what people read of it.
pub const VIEW: ViewRow = (AssignmentRow, PersonRow, NamesRow);

/// The columns of [`VIEW`], from the tables with these aliases; the role's is `r`, the node's `n`.
pub fn view_columns(assignments: &str, identities: &str) -> String {
    format!(
        "{}, {}, r.name, n.name",
        AssignmentRow.of(assignments),
        PersonRow.of(identities)
    )
}

fn view(
    (assignment, person, (role_name, node_name)): (Assignment, Person, (RoleName, DisplayName)),
    held_at: Option<HeldAt>,
) -> AssignmentView {
    AssignmentView {
        identity: person.with_id(assignment.key.identity),
        role_name,
        node_name,
        access_type: held_at.map_or(AccessType::Direct, |at| at.access_type_from(assignment.key.node)),
        assignment,
    }
}

/// The views of assignments that are listed for a node, or for none.
pub fn views_of(
    rows: impl IntoIterator<Item = <ViewRow as Shape>::Value>,
    held_at: Option<HeldAt>,
) -> Vec<AssignmentView> {
    rows.into_iter().map(|row| view(row, held_at)).collect()
}

shape! {
    /// The numbers of assignments by status, and of their roles.
    SummaryRow in "assignments" reads AssignmentSummary {
        active: _ as count,
        scheduled: _ as count,
        expired: _ as count,
        expiring_soon: _ as count,
        distinct_roles: _ as count,
    }
}

shape! {
    /// The numbers of assignments that are made at a node and above it.
    DirectRow in "assignments" reads ((u64, u64)) { direct: _ as count, inherited: _ as count, } => (direct, inherited)
}

shape! {
    /// The kept number of an environment's assignments.
    KeptCountRow in "environments" reads (u64) { count: "assignment_count" as count, } => count
}
