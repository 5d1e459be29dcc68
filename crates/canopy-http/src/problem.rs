//! The mapping of errors to error responses: code, message and details of each.
//!
//! No match here has a wildcard arm, so a new error does not compile until it has a code. The public part (code,
//! message, details) and the cause for the log are separate; only the public part is sent.

use crate::error_code::ErrorCode;
use crate::wire::{Fault, Faults, JsonPointer};
use canopy_app::identity::AttachError;
use canopy_app::long_work::WorkError;
use canopy_app::{AppError, RepetitionError};
use canopy_domain::api_key::{MAX_KEYS, MAX_SCOPES};
use canopy_domain::assignment::change::ChangeRoleError;
use canopy_domain::port::store::BoxError;
use canopy_domain::port::{StoreError, TokenError, Unique};
use canopy_domain::setup::CatalogError;
use canopy_domain::setup::bootstrap::BootstrapError;
use canopy_domain::setup::resource_permissions::ResourcePermissionsError;
use canopy_domain::{
    ApiKeyError, AssignmentError, HierarchyError, IdentityError, MembershipError, PermissionError, PermissionKey,
    RoleError, SchemaError, TenancyError, Tenant, Version,
};
use core::fmt::Display;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// `Retry-After` in seconds, when the service cannot answer now.
const RETRY_AFTER_SECONDS: u32 = 1;

/// `Retry-After` in seconds when the storage for idempotency records is full: its size is summed by the hour.
const KEPT_ANSWERS_WAIT_SECONDS: u32 = 60 * 60;

/// An error response: code, message and details.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: ErrorCode,
    pub(crate) message: Cow<'static, str>,
    pub(crate) details: Map<String, Value>,
    /// The cause, for the log only.
    pub(crate) cause: Option<BoxError>,
    /// Seconds that the caller must wait, if known.
    wait: Option<u32>,
}

impl Problem {
    /// Creates a problem without details.
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Map::new(),
            cause: None,
            wait: None,
        }
    }

    /// Creates a problem from a rule of the domain, whose message may be public.
    fn rule(code: ErrorCode, error: &impl Display) -> Self {
        Self::new(code, error.to_string())
    }

    /// Adds a detail.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Creates the problem of an internal failure. The caller sees no cause.
    pub(crate) fn internal(cause: impl Into<BoxError>) -> Self {
        let mut problem = Self::new(
            ErrorCode::Internal,
            "the service failed; its log has the cause under the request id",
        );
        problem.cause = Some(cause.into());
        problem
    }

    /// Creates the problem of a caller over its rate limit, who may retry after `seconds`.
    pub(crate) fn rate_limited(seconds: u32) -> Self {
        let mut problem = Self::new(ErrorCode::RateLimited, "too many requests; try again later");
        problem.wait = Some(seconds);
        problem
    }

    /// Creates the problem of one bad field.
    pub(crate) fn field(name: &str, fault: Fault) -> Self {
        let mut faults = Faults::default();
        faults.add(&JsonPointer::Member(&JsonPointer::Root, name), fault);
        faults.into()
    }

    fn later(code: ErrorCode, message: &'static str, cause: BoxError) -> Self {
        let mut problem = Self::new(code, message);
        problem.cause = Some(cause);
        problem
    }

    /// Returns the time after which a retry can succeed, if one can.
    pub(crate) const fn retry_after(&self) -> Option<u32> {
        match self.wait {
            Some(seconds) => Some(seconds),
            None if self.code.status() == 503 => Some(RETRY_AFTER_SECONDS),
            None => None,
        }
    }
}

fn stale(error: &impl Display, current: Version) -> Problem {
    Problem::rule(ErrorCode::VersionMismatch, error).with("current_version", current.get())
}

/// Describes the faults of a schema that was sent in part.
fn contradictions(errors: &[SchemaError]) -> Problem {
    let mut faults = Faults::default();
    let member = |name| JsonPointer::Member(&JsonPointer::Root, name);
    let (types, below) = (member("node_types"), member("allowed_children"));
    for error in errors {
        let fault = |code| Fault::new(code, error.to_string());
        match error {
            SchemaError::NodeTypeCount => faults.add(&types, fault("too_many_items")),
            SchemaError::RepeatedNodeType { index } => {
                faults.add(&JsonPointer::Item(&types, *index), fault("repeated"));
            }
            SchemaError::UnknownRootType => faults.add(&member("root_node_type"), fault("unknown_node_type")),
            SchemaError::UnknownParentType { parent } | SchemaError::UnknownChildType { parent, .. } => {
                faults.add(
                    &JsonPointer::Member(&below, parent.as_str()),
                    fault("unknown_node_type"),
                );
            }
            SchemaError::MaxDepth => faults.add(&member("max_depth"), fault("out_of_range")),
        }
    }
    faults.into()
}

fn texts<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// Maximum number of keys in an error.
const MAX_LISTED_KEYS: usize = 100;

/// Lists the first keys that the catalog lacks, and counts those that it omits.
fn unknown_keys(error: &impl Display, keys: &[PermissionKey]) -> Problem {
    let (listed, omitted) = keys.split_at(keys.len().min(MAX_LISTED_KEYS));
    let problem = Problem::rule(ErrorCode::UnknownPermissionKeys, error).with("permission_keys", texts(listed));
    if omitted.is_empty() {
        problem
    } else {
        problem.with("omitted", omitted.len())
    }
}

impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        let (code, message) = if faults.has_unsupported() {
            (
                ErrorCode::UnsupportedField,
                "the request has a field that this service does not support",
            )
        } else {
            (
                ErrorCode::ValidationFailed,
                "the request breaks the rules of its fields",
            )
        };
        let (fields, omitted) = faults.into_parts();
        let problem = Self::new(code, message).with("fields", json!(fields));
        if omitted == 0 {
            problem
        } else {
            problem.with("omitted", omitted)
        }
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Token(error) => error.into(),
            AppError::WrongPrincipal => Self::rule(ErrorCode::WrongPrincipalType, &error),
            AppError::InvalidApiKey => Self::rule(ErrorCode::InvalidApiKey, &error),
            AppError::ScopeMissing => Self::rule(ErrorCode::ScopeMissing, &error),
            AppError::PortalOnly => Self::rule(ErrorCode::PortalOnly, &error),
            AppError::EnvironmentNotDefault => Self::rule(ErrorCode::EnvironmentNotDefault, &error),
            AppError::Tenancy(error) => error.into(),
            AppError::ApiKey(error) => error.into(),
            AppError::Permission(error) => error.into(),
            AppError::Role(error) => error.into(),
            AppError::Hierarchy(error) => error.into(),
            AppError::Identity(error) => error.into(),
            AppError::Membership(error) => error.into(),
            AppError::Assignment(error) => error.into(),
            AppError::AssignmentsNotFound { ref ids } => {
                Self::rule(ErrorCode::AssignmentNotFound, &error).with("assignment_ids", texts(ids))
            }
            AppError::ChangeRole(error) => error.into(),
            AppError::Bootstrap(error) => error.into(),
            AppError::ResourcePermissions(error) => error.into(),
            AppError::AuditEventNotFound => Self::rule(ErrorCode::AuditEventNotFound, &error),
            AppError::Repetition(error) => error.into(),
            AppError::Work(error) => error.into(),
            AppError::AnswerTooLarge { max_bytes } => {
                Self::rule(ErrorCode::AnswerTooLarge, &error).with("max_bytes", max_bytes)
            }
            AppError::TooManyChanges {
                environments,
                max_changes,
            } => Self::rule(ErrorCode::TooManyChanges, &error)
                .with("environments", environments)
                .with("max_changes", max_changes),
            AppError::Catalog(error) => {
                let problem = Self::rule(ErrorCode::CatalogTooLarge, &error);
                match error {
                    CatalogError::TooManyKeys { keys, max } => problem.with("keys", keys).with("max_keys", max),
                    CatalogError::TooManyPairs { pairs, max } => problem.with("pairs", pairs).with("max_pairs", max),
                }
            }
            AppError::IndexFull { max_bytes } => Self::rule(ErrorCode::IndexFull, &error).with("max_bytes", max_bytes),
            AppError::IndexTooLarge { bytes, max_bytes } => Self::rule(ErrorCode::IndexTooLarge, &error)
                .with("bytes", bytes)
                .with("max_bytes", max_bytes),
            AppError::Store(error) => error.into(),
            AppError::Broken(_) => Self::internal(error),
        }
    }
}

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Crowded { waiting } => Self::rule(ErrorCode::Busy, &error).with("max_waiting", waiting),
            WorkError::TooLate { patience_ms } => Self::rule(ErrorCode::Busy, &error).with("max_wait_ms", patience_ms),
            WorkError::Lost => Self::internal(error),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Expired => ErrorCode::TokenExpired,
            TokenError::Invalid
            | TokenError::Malformed
            | TokenError::Issuer
            | TokenError::Audience
            | TokenError::UnknownKey
            | TokenError::Algorithm
            | TokenError::Signature
            | TokenError::Claim
            | TokenError::Principal
            | TokenError::UnverifiedEmail
            | TokenError::NotYetValid
            | TokenError::UnknownAccount
            | TokenError::UnknownEnvironment
            | TokenError::UnknownIdentity
            | TokenError::NoEnvironment => ErrorCode::InvalidToken,
        };
        Self::rule(code, &error)
    }
}

impl From<RepetitionError> for Problem {
    fn from(error: RepetitionError) -> Self {
        match error {
            RepetitionError::KeyReused => Self::rule(ErrorCode::IdempotencyKeyReused, &error),
            RepetitionError::InProgress => Self::rule(ErrorCode::IdempotencyInProgress, &error),
            RepetitionError::Full { max_bytes } => {
                let mut problem = Self::rule(ErrorCode::KeptAnswersFull, &error).with("max_bytes", max_bytes);
                problem.wait = Some(KEPT_ANSWERS_WAIT_SECONDS);
                problem
            }
            RepetitionError::Answered(_) => Self::internal(error),
        }
    }
}

impl From<TenancyError> for Problem {
    fn from(error: TenancyError) -> Self {
        let code = match error {
            TenancyError::NotFound(Tenant::Account) => ErrorCode::AccountNotFound,
            TenancyError::NotFound(Tenant::Application) => ErrorCode::ApplicationNotFound,
            TenancyError::NotFound(Tenant::Environment) => ErrorCode::EnvironmentNotFound,
            TenancyError::SlugTaken(Tenant::Account) => ErrorCode::AccountSlugTaken,
            TenancyError::SlugTaken(Tenant::Application) => ErrorCode::ApplicationSlugTaken,
            TenancyError::SlugTaken(Tenant::Environment) => ErrorCode::EnvironmentSlugTaken,
            TenancyError::LastApplication => ErrorCode::LastApplication,
            TenancyError::LastEnvironment => ErrorCode::LastEnvironment,
            TenancyError::DefaultEnvironment => ErrorCode::DefaultEnvironment,
            TenancyError::TooManyEnvironments { max } => {
                return Self::rule(ErrorCode::TooManyEnvironments, &error).with("max_environments", max);
            }
            TenancyError::TooLarge { max_bytes } => {
                return Self::rule(ErrorCode::EnvironmentTooLarge, &error).with("max_bytes", max_bytes);
            }
            TenancyError::Stale { current, .. } => return stale(&error, current),
        };
        Self::rule(code, &error)
    }
}

impl From<ApiKeyError> for Problem {
    fn from(error: ApiKeyError) -> Self {
        match &error {
            ApiKeyError::NotFound => Self::rule(ErrorCode::ApiKeyNotFound, &error),
            ApiKeyError::Escalation => Self::rule(ErrorCode::Escalation, &error),
            ApiKeyError::UnknownScopes { keys } => unknown_keys(&error, keys),
            ApiKeyError::EndsInThePast => Self::field("expires_at", Fault::new("out_of_range", error.to_string())),
            ApiKeyError::TooMany => Self::rule(ErrorCode::TooManyApiKeys, &error).with("max_keys", MAX_KEYS),
            ApiKeyError::TooManyScopes => Self::rule(ErrorCode::TooManyScopes, &error).with("max_scopes", MAX_SCOPES),
            ApiKeyError::Expired => Self::rule(ErrorCode::ApiKeyExpired, &error),
        }
    }
}

impl From<PermissionError> for Problem {
    fn from(error: PermissionError) -> Self {
        match &error {
            PermissionError::NotFound => Self::rule(ErrorCode::PermissionNotFound, &error),
            PermissionError::KeyTaken { keys } => {
                Self::rule(ErrorCode::PermissionKeyTaken, &error).with("permission_keys", texts(keys))
            }
            PermissionError::System => Self::rule(ErrorCode::SystemPermission, &error),
            PermissionError::InUse { roles } => {
                Self::rule(ErrorCode::PermissionInUse, &error).with("role_ids", texts(roles))
            }
            PermissionError::Stale { current } => stale(&error, *current),
        }
    }
}

impl From<RoleError> for Problem {
    fn from(error: RoleError) -> Self {
        match &error {
            RoleError::NotFound => Self::rule(ErrorCode::RoleNotFound, &error),
            RoleError::NameTaken => Self::rule(ErrorCode::RoleNameTaken, &error),
            RoleError::System => Self::rule(ErrorCode::SystemRole, &error),
            RoleError::InUse { assignments, examples } => Self::rule(ErrorCode::RoleInUse, &error)
                .with("assignment_count", *assignments)
                .with("assignment_ids", texts(examples)),
            RoleError::UnknownPermissionKeys { keys } => unknown_keys(&error, keys),
            RoleError::Stale { current } => stale(&error, *current),
        }
    }
}

impl From<HierarchyError> for Problem {
    fn from(error: HierarchyError) -> Self {
        let code = match &error {
            HierarchyError::NodeNotFound => ErrorCode::NodeNotFound,
            HierarchyError::ParentNotFound => ErrorCode::ParentNotFound,
            HierarchyError::UnknownParentRef => ErrorCode::UnknownParentRef,
            HierarchyError::Flat => ErrorCode::HierarchyFlat,
            HierarchyError::UnknownNodeType => ErrorCode::UnknownNodeType,
            HierarchyError::Cycle => ErrorCode::NodeCycle,
            HierarchyError::RootStays => ErrorCode::RootStays,
            HierarchyError::SlugTaken => ErrorCode::NodeSlugTaken,
            HierarchyError::RevertNeeded => ErrorCode::RevertNeeded,
            HierarchyError::AlreadyFlat => ErrorCode::AlreadyFlat,
            HierarchyError::DuplicateRef { first } => {
                return Self::rule(ErrorCode::DuplicateRef, &error).with("first_index", *first);
            }
            HierarchyError::ChildTypeNotAllowed { parent, child } => {
                return Self::rule(ErrorCode::ChildTypeNotAllowed, &error)
                    .with("parent_node_type", parent.as_str())
                    .with("node_type", child.as_str());
            }
            HierarchyError::MaxDepthExceeded { max_depth } => {
                return Self::rule(ErrorCode::MaxDepthExceeded, &error).with("max_depth", *max_depth);
            }
            HierarchyError::NodeInUse { children, assignments } => {
                return Self::rule(ErrorCode::NodeInUse, &error)
                    .with("child_count", *children)
                    .with("assignment_count", *assignments);
            }
            HierarchyError::SchemaInUse { examples } => {
                let examples: Vec<Value> = examples
                    .iter()
                    .map(|one| json!({ "node_id": one.node.to_string(), "reason": one.reason.as_str() }))
                    .collect();
                return Self::rule(ErrorCode::SchemaInUse, &error).with("examples", examples);
            }
            HierarchyError::ContradictorySchema { errors } => return contradictions(errors),
            HierarchyError::Stale { current } | HierarchyError::NodeStale { current } => {
                return stale(&error, *current);
            }
        };
        Self::rule(code, &error)
    }
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        let code = match error {
            IdentityError::NotFound => ErrorCode::IdentityNotFound,
            IdentityError::EmailTaken => ErrorCode::EmailTaken,
            IdentityError::ExternalIdTaken => ErrorCode::ExternalIdTaken,
            IdentityError::DuplicateInBatch { first } => {
                return Self::rule(ErrorCode::DuplicateIdentityInBatch, &error).with("first_index", first);
            }
        };
        Self::rule(code, &error)
    }
}

impl From<MembershipError> for Problem {
    fn from(error: MembershipError) -> Self {
        let code = match error {
            MembershipError::NotFound => ErrorCode::MembershipNotFound,
            MembershipError::AlreadyActive => ErrorCode::AlreadyMember,
            MembershipError::NotActive => ErrorCode::MembershipNotActive,
            MembershipError::DuplicateInBatch { first } => {
                return Self::rule(ErrorCode::DuplicateIdentityInBatch, &error).with("first_index", first);
            }
        };
        Self::rule(code, &error)
    }
}

impl From<AttachError> for Problem {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Identity(error) => error.into(),
            AttachError::Membership(error) => error.into(),
        }
    }
}

impl From<AssignmentError> for Problem {
    fn from(error: AssignmentError) -> Self {
        let code = match error {
            AssignmentError::NotFound => ErrorCode::AssignmentNotFound,
            AssignmentError::IdentityNotFound => ErrorCode::IdentityNotFound,
            AssignmentError::NodeNotFound => ErrorCode::NodeNotFound,
            AssignmentError::RoleNotFound => ErrorCode::RoleNotFound,
            AssignmentError::SystemRoleNotAssignable => ErrorCode::SystemRoleNotAssignable,
            AssignmentError::RoleInactive => ErrorCode::RoleInactive,
            AssignmentError::MembershipNotActive => ErrorCode::MembershipNotActive,
            AssignmentError::InvalidWindow => ErrorCode::InvalidWindow,
            AssignmentError::Conflict { existing } => {
                return Self::rule(ErrorCode::AssignmentConflict, &error)
                    .with("assignment_id", existing.id.to_string())
                    .with("status", existing.status.as_str())
                    .with("effective_to", existing.effective_to.map(|end| end.to_string()));
            }
            AssignmentError::DuplicateInBatch { first } => {
                return Self::rule(ErrorCode::DuplicateAssignmentInBatch, &error).with("first_index", first);
            }
        };
        Self::rule(code, &error)
    }
}

impl From<ChangeRoleError> for Problem {
    fn from(error: ChangeRoleError) -> Self {
        match error {
            ChangeRoleError::Role(error) => error.into(),
            ChangeRoleError::MembershipsNotActive { ref assignments } => {
                Self::rule(ErrorCode::MembershipNotActive, &error).with("assignment_ids", texts(assignments))
            }
            ChangeRoleError::Clashes { ref clashes } => {
                let listed: Vec<Value> = clashes
                    .iter()
                    .map(|clash| {
                        json!({
                            "assignment_id": clash.assignment.to_string(),
                            "existing_assignment_id": clash.with.id.to_string(),
                            "status": clash.with.status.as_str(),
                            "effective_to": clash.with.effective_to.map(|end| end.to_string()),
                        })
                    })
                    .collect();
                Self::rule(ErrorCode::AssignmentConflict, &error).with("clashes", listed)
            }
        }
    }
}

impl From<BootstrapError> for Problem {
    fn from(error: BootstrapError) -> Self {
        match &error {
            BootstrapError::Empty => Self::field("resources", Fault::new("empty", error.to_string())),
            BootstrapError::DuplicateRoleName { names } => {
                Self::rule(ErrorCode::DuplicateRoleName, &error).with("names", texts(names))
            }
            BootstrapError::AlreadyBootstrapped { permissions, roles } => {
                Self::rule(ErrorCode::AlreadyBootstrapped, &error)
                    .with("custom_permission_count", *permissions)
                    .with("custom_role_count", *roles)
            }
            BootstrapError::UnknownPermissionKeys { keys } => unknown_keys(&error, keys),
        }
    }
}

impl From<ResourcePermissionsError> for Problem {
    fn from(error: ResourcePermissionsError) -> Self {
        match &error {
            ResourcePermissionsError::Empty => Self::field("resources", Fault::new("empty", error.to_string())),
            ResourcePermissionsError::RoleNotFound { roles } => {
                Self::rule(ErrorCode::RoleNotFound, &error).with("role_ids", texts(roles))
            }
            ResourcePermissionsError::UnknownPermissionKeys { keys } => unknown_keys(&error, keys),
            ResourcePermissionsError::SystemRole => Self::rule(ErrorCode::SystemRole, &error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(unique) => unique.into(),
            StoreError::Conflict(cause) | StoreError::Busy(cause) => {
                Self::later(ErrorCode::Busy, "the service is busy; try again later", cause)
            }
            StoreError::Unavailable(cause) => Self::later(
                ErrorCode::Unavailable,
                "the store cannot be reached; try again later",
                cause,
            ),
            StoreError::Corrupt(_) | StoreError::Internal(_) => Self::internal(error),
        }
    }
}

/// A race that no rule of the use case covers: the caller learns which rule was broken.
impl From<Unique> for Problem {
    fn from(unique: Unique) -> Self {
        match unique {
            Unique::AccountSlug => TenancyError::SlugTaken(Tenant::Account).into(),
            Unique::ApplicationSlug => TenancyError::SlugTaken(Tenant::Application).into(),
            Unique::EnvironmentSlug => TenancyError::SlugTaken(Tenant::Environment).into(),
            Unique::PermissionKey => PermissionError::KeyTaken { keys: Vec::new() }.into(),
            Unique::RoleName => RoleError::NameTaken.into(),
            Unique::NodeSlug => HierarchyError::SlugTaken.into(),
            Unique::IdentityEmail => IdentityError::EmailTaken.into(),
            Unique::IdentityExternalId => IdentityError::ExternalIdTaken.into(),
            Unique::Membership => MembershipError::AlreadyActive.into(),
            Unique::AssignmentKey => Self::new(
                ErrorCode::AssignmentConflict,
                "the identity already has this role at this node",
            ),
            Unique::Id => Self::internal(StoreError::Duplicate(unique)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_lists_a_hundred_unknown_keys_and_counts_the_rest() {
        let keys = |count: usize| -> Vec<PermissionKey> {
            let key = |number| PermissionKey::parse(&format!("note.k{number}")).unwrap();
            (0..count).map(key).collect()
        };
        for (count, listed, omitted) in [(1, 1, None), (100, 100, None), (250, 100, Some(150))] {
            let problem = Problem::from(RoleError::UnknownPermissionKeys { keys: keys(count) });
            let details = &problem.details;
            assert_eq!(details["permission_keys"].as_array().unwrap().len(), listed);
            assert_eq!(details.get("omitted").and_then(Value::as_u64), omitted);
        }
    }
}
