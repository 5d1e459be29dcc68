//! Every error code that the service answers, with its status and its meaning.

/// Declares the codes.
macro_rules! error_codes {
    ($($(#[$group:meta])* $name:ident = $code:literal, $status:literal, $meaning:literal;)+) => {
        /// A stable code of an error answer, `area.reason`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $name,)+
        }

        impl ErrorCode {
            /// Every code, by area.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// The HTTP status it is answered with.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)+
                }
            }

            /// Its meaning, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)+
                }
            }
        }
    };
}

error_codes! {
    RouteNotFound = "request.route_not_found", 404, "No route of the service has this path.";
    MethodNotAllowed = "request.method_not_allowed", 405, "The path does not take this method; `Allow` lists those it takes.";
    UnsupportedMediaType = "request.unsupported_media_type", 415, "The body is not sent as `application/json`.";
    TooLarge = "request.too_large", 413, "The body is larger than 8 MiB, or a document to import larger than `limit.import_mib`; `details.max_bytes` is the limit.";
    AnswerTooLarge = "request.answer_too_large", 400, "The answer would have more bytes than one answer may have; `details.max_bytes` is the limit. Ask for less at once.";
    TooManyChanges = "request.too_many_changes", 400, "The items matter to every environment of the application, and items times environments are more than `details.max_changes`; `details.environments` counts them. Send fewer items at once.";
    MalformedHead = "request.malformed_head", 400, "The head of the request, or the framing of its body, is not valid HTTP/1.1; `path` and `method` of the error are empty.";
    UriTooLong = "request.uri_too_long", 414, "The URI is longer than `details.max_bytes`; `path` and `method` of the error are empty.";
    HeadTooLarge = "request.head_too_large", 431, "The head of the request is larger than `details.max_bytes` or has more than `details.max_headers` headers; `path` and `method` of the error are empty.";
    Timeout = "request.timeout", 408, "The head or the body of the request did not arrive in time.";
    MalformedJson = "request.malformed_json", 400, "The body is not one JSON text in UTF-8, or an object in it repeats a key; `details` has the line and column.";
    ValidationFailed = "request.validation_failed", 400, "Fields of the body, parameters or headers break their rules; `details.fields` lists all of them.";
    UnsupportedField = "request.unsupported_field", 400, "The body has a documented field that this service does not support; `details.fields` names it.";
    IfMatchRequired = "request.if_match_required", 428, "The call changes a versioned resource and needs `If-Match`.";
    IdempotencyKeyReused = "request.idempotency_key_reused", 422, "The `Idempotency-Key` was used within 24 hours for a request with another body.";
    IdempotencyInProgress = "request.idempotency_in_progress", 409, "The first request with this `Idempotency-Key` is still being answered.";
    KeptAnswersFull = "request.kept_answers_full", 429, "The answers kept for `Idempotency-Key` in this environment (or account, application) leave no room within `details.max_bytes`, so the request did nothing; try again after `Retry-After` seconds, or without the key.";
    VersionMismatch = "request.version_mismatch", 409, "The resource was changed since it was read; `details.current_version` is its version now.";
    RateLimited = "request.rate_limited", 429, "Too many credentials of this client address were refused, or the credential has made too many requests; try again after `Retry-After` seconds.";

    InvalidToken = "auth.invalid_token", 401, "The access token is missing, malformed, wrongly signed or not valid here.";
    TokenExpired = "auth.token_expired", 401, "The access token was valid once.";
    InvalidApiKey = "auth.invalid_api_key", 401, "The API key is malformed, unknown, revoked or expired.";
    TwoCredentials = "auth.two_credentials", 400, "The request carries more than one credential.";
    WrongPrincipalType = "auth.wrong_principal_type", 403, "The credential is good, but its kind of principal may not make this call.";
    ScopeMissing = "auth.scope_missing", 403, "The API key is good, but its scopes do not open this call.";
    Escalation = "auth.escalation", 403, "The call would make a key that may do more than the one it is made with.";
    PortalOnly = "auth.portal_only", 403, "What reaches past one environment can be changed and asked about on the portal surface alone.";
    EnvironmentNotDefault = "auth.environment_not_default", 403, "The call matters to all environments of the application, so it needs a credential of the default one.";

    AccountNotFound = "accounts.account_not_found", 404, "There is no such account where the caller may look.";
    AccountSlugTaken = "accounts.slug_taken", 409, "Another account has this slug.";
    ApplicationNotFound = "applications.application_not_found", 404, "The account has no such application.";
    ApplicationSlugTaken = "applications.slug_taken", 409, "Another application of the account has this slug.";
    LastApplication = "applications.last_application", 400, "An account keeps at least one application.";
    EnvironmentNotFound = "environments.environment_not_found", 404, "The application has no such environment.";
    EnvironmentSlugTaken = "environments.slug_taken", 409, "Another environment of the application has this slug.";
    LastEnvironment = "environments.last_environment", 400, "An application keeps at least one environment.";
    EnvironmentTooLarge = "environments.environment_too_large", 409, "The environment would make a document larger than an import takes, so it is neither exported nor copied; `details.max_bytes` is the limit.";
    TooManyEnvironments = "environments.too_many", 409, "The application has as many environments as it may have; `details.max_environments` is the limit.";
    DefaultEnvironment = "environments.default_environment", 400, "The default environment of an application cannot be deleted.";

    PermissionNotFound = "rbac.permission_not_found", 404, "The environment has no such permission.";
    PermissionKeyTaken = "rbac.permission_key_taken", 409, "The catalog has the key already, or the request repeats it; `details.permission_keys` lists all such keys.";
    SystemPermission = "rbac.system_permission", 403, "System permissions cannot be changed or deleted.";
    PermissionInUse = "rbac.permission_in_use", 409, "Roles bundle the permission; `details.role_ids` lists them.";
    UnknownPermissionKeys = "rbac.unknown_permission_keys", 400, "Keys are not in the environment's catalog; `details.permission_keys` lists the first 100, `details.omitted` counts the rest.";
    RoleNotFound = "rbac.role_not_found", 404, "The environment has no such role.";
    RoleNameTaken = "rbac.role_name_taken", 409, "The environment has a role of this name, without regard to case.";
    DuplicateRoleName = "rbac.duplicate_role_name", 400, "Two roles of the request have the same name; `details.names` lists them.";
    SystemRole = "rbac.system_role", 403, "The system role cannot be changed or deleted.";
    RoleInUse = "rbac.role_in_use", 409, "The role is assigned; `details.assignment_count` says how often.";
    AssignmentNotFound = "rbac.assignment_not_found", 404, "The environment has no such assignment; bulk calls list all unknown ids in `details.assignment_ids`.";
    SystemRoleNotAssignable = "rbac.system_role_not_assignable", 400, "The system role cannot be given to an identity.";
    RoleInactive = "rbac.role_inactive", 400, "The role is inactive and cannot be assigned.";
    InvalidWindow = "rbac.invalid_window", 400, "`effective_to` does not lie after `effective_from`.";
    AssignmentConflict = "rbac.assignment_conflict", 409, "There is an assignment of this identity, role and node, in whatever window; `details` has `assignment_id`, `status` and `effective_to` of it, or all `clashes`.";
    DuplicateAssignmentInBatch = "rbac.duplicate_in_batch", 409, "An earlier item of the request names the same identity, role and node; `details.first_index` is its index.";

    AlreadyBootstrapped = "setup.already_bootstrapped", 409, "The environment has custom permissions or roles; `details` counts them.";

    CatalogTooLarge = "setup.catalog_too_large", 400, "The environment's catalog would have more keys than `details.max_keys`, or its roles would bundle more in all than `details.max_pairs`.";
    IndexFull = "environments.index_full", 400, "The environment would need a larger decision index than `details.max_bytes`; nothing was changed.";

    ApiKeyNotFound = "api_keys.api_key_not_found", 404, "The environment has no such API key.";
    TooManyApiKeys = "api_keys.too_many", 409, "The environment has as many API keys as it can; `details.max_keys` says how many. Revoke some, those that have ended among them.";
    TooManyScopes = "api_keys.too_many_scopes", 409, "The environment's API keys would have more scopes together than `details.max_scopes`. Use fewer, or full access.";
    ApiKeyExpired = "api_keys.expired", 400, "The API key has expired and cannot be rotated; make a new one.";

    NodeNotFound = "nodes.node_not_found", 404, "The environment has no such node.";
    ParentNotFound = "nodes.parent_not_found", 404, "The environment has no node with the id of the parent.";
    UnknownParentRef = "nodes.unknown_parent_ref", 400, "`parent_ref` names no other item of the request that leads to an existing node.";
    DuplicateRef = "nodes.duplicate_ref", 400, "An earlier item of the request has the same `ref`; `details.first_index` is its index.";
    UnknownNodeType = "nodes.unknown_node_type", 400, "The hierarchy schema has no such node type.";
    ChildTypeNotAllowed = "nodes.child_type_not_allowed", 400, "The hierarchy schema does not allow this type below the parent's; `details` has both types.";
    MaxDepthExceeded = "nodes.max_depth_exceeded", 400, "The node would lie deeper than the schema allows; `details.max_depth` is the limit.";
    NodeCycle = "nodes.cycle", 400, "The node would stand below itself.";
    RootStays = "nodes.root_stays", 400, "The root can be neither moved nor deleted.";
    NodeInUse = "nodes.node_in_use", 409, "The node has children or assignments; `details` counts both.";
    NodeSlugTaken = "nodes.slug_taken", 409, "A sibling of the node has this slug.";
    HierarchyFlat = "hierarchy.flat", 400, "The environment is flat: it takes no nodes.";
    SchemaInUse = "hierarchy.schema_in_use", 409, "Nodes of the environment break the schema; `details.examples` has some of them.";
    AlreadyFlat = "hierarchy.already_flat", 400, "The environment is flat already.";
    RevertNeeded = "hierarchy.revert_needed", 400, "An environment becomes flat only by `revert-to-flat`.";

    IdentityNotFound = "identities.identity_not_found", 404, "The account has no such identity.";
    EmailTaken = "identities.email_taken", 409, "Another identity of the account has this email.";
    ExternalIdTaken = "identities.external_id_taken", 409, "Another identity of the account has this external id.";
    DuplicateIdentityInBatch = "identities.duplicate_in_batch", 409, "An earlier item of the request names the same identity, email or external id; `details.first_index` is its index.";
    MembershipNotFound = "identities.membership_not_found", 404, "The identity has no membership in the application.";
    AlreadyMember = "identities.already_member", 409, "The identity is an active member of the application already.";
    MembershipNotActive = "identities.membership_not_active", 400, "The identity is not an active member of the application; `bulk-change-role` lists all assignments of such identities in `details.assignment_ids`.";

    AuditEventNotFound = "audit.event_not_found", 404, "There is no such audit event where the caller may look.";

    RolledBack = "bulk.rolled_back", 424, "Nothing is wrong with the item, but other items kept it from being stored; `details.caused_by` has the first ten of their indexes.";

    IndexTooLarge = "server.index_too_large", 503, "The environment's decision index would take more memory than `details.max_bytes`, so none of its checks can be answered until the environment is made smaller or the limit is raised.";
    Busy = "server.busy", 503, "The service has more to do than it can, or too many connections or large bodies; try again after `Retry-After` seconds.";
    Unavailable = "server.unavailable", 503, "The store cannot be reached; try again after `Retry-After` seconds.";
    Internal = "server.internal", 500, "The service failed; its log has the cause under the request id.";
}

impl ErrorCode {
    /// Whether it says that a good credential is not enough: the caller is not one who may do this, or is in nobody's
    /// account but its own.
    pub(crate) fn refuses_caller(self) -> bool {
        self == Self::AccountNotFound || (self.status() == 403 && self.as_str().starts_with("auth."))
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_have_the_form_area_reason() {
        let codes: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        for code in codes {
            let (area, reason) = code.split_once('.').unwrap();
            let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(plain(area) && plain(reason), "{code}");
        }
    }

    #[test]
    fn meanings_are_sentences() {
        for code in ErrorCode::ALL {
            assert!(code.meaning().ends_with('.') && code.meaning().len() > 20, "{code:?}");
            assert!((400..600).contains(&code.status()));
        }
    }
}
