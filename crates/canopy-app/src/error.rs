//! What a use case answers when it does not do what was asked.

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

/// Why a call was refused or failed. Each inner error is a rule of its area; only [`AppError::Store`] and
/// [`AppError::Broken`] are not the caller's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The credential is not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The API key is malformed, unknown, revoked or expired. Callers are not told which.
    #[error("the API key is not valid")]
    InvalidApiKey,
    /// The credential is good but its kind of principal may not make this call.
    #[error("this kind of principal may not make this call")]
    WrongPrincipal,
    /// The key is good but its scopes do not open this call.
    #[error("the API key lacks the scope that this call needs")]
    ScopeMissing,
    /// A credential that is bound to one environment would change what reaches past it.
    #[error("this can be changed on the portal surface alone")]
    PortalOnly,
    /// A credential that is bound to an environment would change what matters to all of its application, and the environment
    /// is not the default one.
    #[error("this needs a credential of the application's default environment")]
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
    /// Some of many assignments do not exist; nothing was changed.
    #[error("the environment lacks some of these assignments")]
    AssignmentsNotFound {
        /// All that are unknown, in the order of the request.
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
    /// There is no such audit event where the caller may look.
    #[error("there is no such audit event")]
    AuditEventNotFound,
    /// A call that may be repeated did nothing.
    #[error(transparent)]
    Repetition(#[from] RepetitionError),
    /// Long work that did not begin in time.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The answer would have more bytes than one answer may have; nothing of it was computed.
    #[error("the response would be too large; request less at once")]
    AnswerTooLarge {
        /// The bytes that it may have.
        max_bytes: usize,
    },
    /// A change that matters to every environment of an application would be too large in all of them together.
    #[error("the items times the application's environments are more changes than one call may make; send fewer items")]
    TooManyChanges {
        /// The number of environments of the application.
        environments: usize,
        /// The largest number of items times environments.
        max_changes: usize,
    },
    /// A rule of the size of catalogs.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A write would make an environment's decision index larger than one may be; nothing was changed.
    #[error(
        "the environment would need a larger decision index than it may have; split it, or have index.environment_mib raised"
    )]
    IndexFull {
        /// The bytes of memory that the index may take.
        max_bytes: usize,
    },
    /// An environment's decision index is larger than one may be, so no check of it can be answered.
    #[error("the environment is too large to be checked: its decision index would take more memory than one may have")]
    IndexTooLarge {
        /// The bytes of memory that the index would take.
        bytes: usize,
        /// The bytes that it may take.
        max_bytes: usize,
    },
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something that cannot be: a bug of ours.
    #[error("broken invariant: {0}")]
    Broken(&'static str),
}
