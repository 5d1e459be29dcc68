//! Filters and orders of the list of identities.

use crate::string_enum::string_enum;
use crate::{ApplicationId, EnvironmentId, PageRequest, SearchWords, SortOrder};

string_enum!(
    /// The sort key of the list; the identity's id breaks ties.
    IdentitySort {
        /// Name, `first last`, case folded.
        Name = "name",
        /// Mail address.
        Email = "email",
        /// When the identity was made.
        CreatedAt = "created_at",
    }
);

string_enum!(
    /// The account-wide switch as a filter.
    IdentityStatus {
        /// Switched on.
        Active = "active",
        /// Switched off.
        Inactive = "inactive",
    }
);

/// Which identities are listed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityQuery {
    /// Only members (in whatever state) of this application.
    pub member_of: Option<ApplicationId>,
    /// Only those without any membership in this application.
    pub not_member_of: Option<ApplicationId>,
    /// Only those switched on, or off.
    pub status: Option<IdentityStatus>,
    /// Only those with (or without) an assignment: within `member_of` where that is given, else anywhere in the account.
    pub has_any_assignment: Option<bool>,
    /// Where assignments count: in this environment alone.
    pub assigned_in: Option<EnvironmentId>,
    /// Only those that the search finds in their [searched text](crate::Identity::searched_text).
    pub search: Option<SearchWords>,
    /// The sort key.
    pub sort: IdentitySort,
    /// In which direction.
    pub order: SortOrder,
    /// Which page.
    pub page: PageRequest,
}

/// Counts of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdentityCounts {
    /// All of them.
    pub total: u64,
    /// Those that may have access: switched on and, where an application was asked about, active members of it.
    pub active: u64,
    /// Those that hold an assignment.
    pub assigned: u64,
    /// Those that were asked to join the application.
    pub invited: u64,
    /// Those whose membership in the application has ended.
    pub deactivated: u64,
    /// Those whose membership in the application is paused.
    pub suspended: u64,
}
