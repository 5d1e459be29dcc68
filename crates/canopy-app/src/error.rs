//! The errors of use cases.

use crate::idempotency::RepetitionError;
use crate::long_work::WorkError;
use canopy_domain::assignment::change::ChangeRoleError;
use canopy_domain::port::{StoreError, TokenError};
use canopy_domain::setup::CatalogError;
use canopy_domain::setup::bootstrap::BootstrapError;
use canopy_domain::setup::resource_permissions::ResourcePermissionsError;
use canopy_domain::{
    ApiKeyError, AssignmentError, AssignmentId, HierarchyError, IdentityError, MembershipError, PermissionError,
    RoleError, TenancyError,
};

/// The reason for which a call was refused or failed. Each inner error is a rule of its area. The caller can correct
/// all but [`AppError::Store`] and [`AppError::Broken`].
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The access token is not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The API key is malformed, unknown, revoked or expired. Callers do not learn which.
    #[error("the API key is not valid")]
    InvalidApiKey,
    /// The credential is valid, but its kind of principal may not make this call.
    #[error("this kind of principal may not make this call")]
    WrongPrincipal,
    /// The key is valid, but its scopes do not allow this call.
    #[error("the API key lacks the scope that this call requires")]
    ScopeMissing,
    /// The credential is bound to one environment, and the call affects others.
    #[error("this can be changed only on the portal surface")]
    PortalOnly,
    /// The credential is bound to an environment that is not the default one, and the call affects the whole
    /// application.
    #[error("this requires a credential of the application's default environment")]
    EnvironmentNotDefault,
    /// A rule of accounts, applications or environments.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
    /// A rule of API keys.
    #[error(transparent)]
    ApiKey(#[from] ApiKeyError),
    /// A rule of permissions.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// A rule of roles.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A rule of the tree.
    #[error(transparent)]
    Hierarchy(#[from] HierarchyError),
    /// A rule of identities.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A rule of memberships.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A rule of assignments.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// Some of many assignments are unknown; nothing was changed.
    #[error("the environment lacks some of these assignments")]
    AssignmentsNotFound {
        /// All unknown ids, in the order of the request.
        ids: Vec<AssignmentId>,
    },
    /// A change of role for many assignments; nothing was changed.
    #[error(transparent)]
    ChangeRole(#[from] ChangeRoleError),
    /// A rule of bootstrap.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A rule of resource permissions.
    #[error(transparent)]
    ResourcePermissions(#[from] ResourcePermissionsError),
    /// The audit event does not exist, or the caller may not see it.
    #[error("the audit event does not exist")]
    AuditEventNotFound,
    /// A repeatable call did nothing.
    #[error(transparent)]
    Repetition(#[from] RepetitionError),
    /// Long work that did not begin before its deadline.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The response would exceed the maximum size; nothing of it was computed.
    #[error("the response would be too large; request less at once")]
    AnswerTooLarge {
        /// The maximum size in bytes.
        max_bytes: usize,
    },
    /// A change of every environment of an application would be too large in total.
    #[error("the items times the environments of the application exceed the changes of one call; send fewer items")]
    TooManyChanges {
        /// The number of environments of the application.
        environments: usize,
        /// Maximum number of items times environments.
        max_changes: usize,
    },
    /// A rule of the size of catalogs.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A write would exceed the size of an environment's decision index; nothing was changed.
    #[error(
        "the decision index of the environment would exceed its maximum size; split the environment, or have index.environment_mib raised"
    )]
    IndexFull {
        /// The maximum size of the index in bytes.
        max_bytes: usize,
    },
    /// An environment's decision index exceeds its maximum size, so no check of it can be answered.
    #[error(
        "the environment is too large: its decision index would exceed its maximum size, so its checks cannot be answered"
    )]
    IndexTooLarge {
        /// The size of the index in bytes.
        bytes: usize,
        /// The maximum size in bytes.
        max_bytes: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An internal invariant was violated. Always a bug in Canopy.
    #[error("broken invariant: {0}")]
    Broken(&'static str),
}
