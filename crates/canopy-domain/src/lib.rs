//! The core of Canopy: values, entities, rules and the decision engine of an access-control service.
//!
//! Everything here is pure. There is no I/O, no runtime, no clock and no serialisation format: facts go in, decisions
//! and plans come out. Storage, HTTP and time are [ports](port) that adapters implement.

pub mod access;
pub mod api_key;
pub mod assignment;
pub mod audit;
pub mod bulk;
pub mod changeset;
mod edit;
pub mod hierarchy;
mod id;
pub mod identity;
mod page;
pub mod permission;
pub mod port;
pub mod provision;
mod resolution;
mod rfc3339;
pub mod role;
pub mod setup;
pub mod slug_path;
mod string_enum;
pub mod tenancy;
mod text;
mod timestamp;
pub mod transfer;
mod version;

pub use api_key::{ApiKey, ApiKeyError, ApiKeyId};
pub use assignment::{
    AccessType, Assignment, AssignmentError, AssignmentId, AssignmentKey, AssignmentStatus, Conflicting,
    EXPIRING_SOON_SECONDS, ExistingAssignment, Window, WindowError,
};
pub use edit::Edit;
pub use hierarchy::{
    HierarchyError, HierarchySchema, Node, NodeId, NodeStatus, NodeType, NodeTypeError, SchemaBreak, SchemaBreakReason,
    SchemaError,
};
pub use identity::{
    AvatarUrl, AvatarUrlError, Email, EmailError, ExternalId, Identity, IdentityError, IdentityId, Membership,
    MembershipError, MembershipId, MembershipStatus, PersonName,
};
pub use page::{Page, PageError, PageRequest, SortOrder};
pub use permission::{
    Category, Permission, PermissionError, PermissionId, PermissionKey, PermissionKeyError, PermissionSource,
    SYSTEM_PERMISSION_KEYS,
};
pub use resolution::Resolution;
pub use role::{ENVIRONMENT_ADMIN_KEY, ENVIRONMENT_ADMIN_NAME, Role, RoleError, RoleId, RoleKind, RoleName};
pub use tenancy::{
    AccessModel, Account, AccountId, Application, ApplicationId, ApplicationRef, Environment, EnvironmentId,
    EnvironmentRef, Slug, SlugError, TenancyError, Tenant,
};
pub use text::{
    Description, DisplayName, JsonObject, JsonObjectError, SearchError, SearchWords, TextError, fold_case,
    searched_text,
};
pub use timestamp::{Timestamp, TimestampError};
pub use uuid;
pub use version::{Expected, ExpectedVersions, Revision, Version};
