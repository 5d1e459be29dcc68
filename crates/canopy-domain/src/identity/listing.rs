//! Filters and sort keys of the list of identities.

use crate::string_enum::string_enum;
use crate::{ApplicationId, EnvironmentId, PageRequest, SearchWords, SortOrder};

string_enum!(
    /// The sort key of the list; the identity's id breaks ties.
    IdentitySort {
        /// Name, `first last`, case folded.
        Name = "name",
        /// Email address.
        Email = "email",
        /// The time of creation.
        CreatedAt = "created_at",
    }
);

string_enum!(
    /// The account-wide state, as a filter.
    IdentityStatus {
        /// Active.
        Active = "active",
        /// Inactive.
        Inactive = "inactive",
    }
);

/// Selects and sorts identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityQuery {
    /// Only members of this application, whatever their status.
    pub member_of: Option<ApplicationId>,
    /// Only those without any membership in this application.
    pub not_member_of: Option<ApplicationId>,
    /// Only active or only inactive ones.
    pub status: Option<IdentityStatus>,
    /// Only those with (or without) an assignment: within `member_of` if given, otherwise anywhere in the account.
    pub has_any_assignment: Option<bool>,
    /// Counts only assignments in this environment.
    pub assigned_in: Option<EnvironmentId>,
    /// Only those whose [searched text](crate::Identity::searched_text) matches the search.
    pub search: Option<SearchWords>,
    /// The sort key.
    pub sort: IdentitySort,
    /// The sort direction.
    pub order: SortOrder,
    /// The requested page.
    pub page: PageRequest,
}

/// Counts of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdentityCounts {
    /// Number of all identities.
    pub total: u64,
    /// Number of identities that may have access: active in the account and, if an application was given, active
    /// members of it.
    pub active: u64,
    /// Number of identities with an assignment.
    pub assigned: u64,
    /// Number of invited members.
    pub invited: u64,
    /// Number of members whose membership has ended.
    pub deactivated: u64,
    /// Number of suspended members.
    pub suspended: u64,
}
