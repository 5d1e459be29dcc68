//! Every error code of the service, with its status and meaning.

/// Declares the error codes.
macro_rules! error_codes {
    ($($(#[$group:meta])* $name:ident = $code:literal, $status:literal, $meaning:literal;)+) => {
        /// A stable code of an error response, `area.reason`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $name,)+
        }

        impl ErrorCode {
            /// Every code, by area.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// Returns the HTTP status of its responses.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)+
                }
            }

            /// Returns its meaning, in one sentence.
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
    MethodNotAllowed = "request.method_not_allowed", 405, "The path does not support this method; `Allow` lists the supported ones.";
    UnsupportedMediaType = "request.unsupported_media_type", 415, "The media type of the body is not `application/json`.";
    TooLarge = "request.too_large", 413, "The body is larger than 8 MiB, or a document to import larger than `limit.import_mib`; `details.max_bytes` is the limit.";
    AnswerTooLarge = "request.answer_too_large", 400, "The response would be larger than `details.max_bytes`. Request less at once.";
    TooManyChanges = "request.too_many_changes", 400, "Each item changes every environment of the application, and items times environments exceed `details.max_changes`; `details.environments` counts the environments. Send fewer items at once.";
    MalformedHead = "request.malformed_head", 400, "The head of the request, or the framing of its body, is not valid HTTP/1.1; `path` and `method` of the error are empty.";
    UriTooLong = "request.uri_too_long", 414, "The URI is longer than `details.max_bytes`; `path` and `method` of the error are empty.";
    HeadTooLarge = "request.head_too_large", 431, "The head of the request is larger than `details.max_bytes` or has more than `details.max_headers` headers; `path` and `method` of the error are empty.";
    Timeout = "request.timeout", 408, "The head or the body of the request did not arrive in time.";
    MalformedJson = "request.malformed_json", 400, "The body is not one JSON text in UTF-8, or an object in it repeats a key; `details` has the line and column.";
    ValidationFailed = "request.validation_failed", 400, "Fields of the body, parameters or headers break their rules; `details.fields` lists all of them.";
    UnsupportedField = "request.unsupported_field", 400, "The body has a documented field that this service does not support; `details.fields` lists it.";
    IfMatchRequired = "request.if_match_required", 428, "The call changes a versioned resource and requires `If-Match`.";
    IdempotencyKeyReused = "request.idempotency_key_reused", 422, "The `Idempotency-Key` was used within 24 hours for a request with another body.";
    IdempotencyInProgress = "request.idempotency_in_progress", 409, "The first request with this `Idempotency-Key` is still being answered.";
    KeptAnswersFull = "request.kept_answers_full", 429, "The stored responses for `Idempotency-Key` in this environment (or account, application) have reached `details.max_bytes`, so the request did nothing. Retry after `Retry-After` seconds, or without the key.";
    VersionMismatch = "request.version_mismatch", 409, "The resource was changed since it was read; `details.current_version` is its current version.";
    RateLimited = "request.rate_limited", 429, "Too many credentials of this client address were refused, or the caller has sent too many requests; retry after `Retry-After` seconds.";

    InvalidToken = "auth.invalid_token", 401, "The access token is missing, malformed, wrongly signed or not valid for this service.";
    TokenExpired = "auth.token_expired", 401, "The access token has expired.";
    InvalidApiKey = "auth.invalid_api_key", 401, "The API key is malformed, unknown, revoked or expired.";
    TwoCredentials = "auth.two_credentials", 400, "The request carries more than one credential.";
    WrongPrincipalType = "auth.wrong_principal_type", 403, "The credential is valid, but its kind of principal may not make this call.";
    ScopeMissing = "auth.scope_missing", 403, "The API key is valid, but its scopes do not allow this call.";
    Escalation = "auth.escalation", 403, "The call would create an API key with more rights than the key of the caller.";
    PortalOnly = "auth.portal_only", 403, "The call affects more than one environment, so only the portal surface allows it.";
    EnvironmentNotDefault = "auth.environment_not_default", 403, "The call affects all environments of the application, so it requires a credential of the default one.";

    AccountNotFound = "accounts.account_not_found", 404, "The account does not exist, or the caller may not see it.";
    AccountSlugTaken = "accounts.slug_taken", 409, "Another account has this slug.";
    ApplicationNotFound = "applications.application_not_found", 404, "The account has no such application.";
    ApplicationSlugTaken = "applications.slug_taken", 409, "Another application of the account has this slug.";
    LastApplication = "applications.last_application", 400, "The last application of an account cannot be deleted.";
    EnvironmentNotFound = "environments.environment_not_found", 404, "The application has no such environment.";
    EnvironmentSlugTaken = "environments.slug_taken", 409, "Another environment of the application has this slug.";
    LastEnvironment = "environments.last_environment", 400, "The last environment of an application cannot be deleted.";
    EnvironmentTooLarge = "environments.environment_too_large", 409, "The document of the environment would exceed the limit for imports, `details.max_bytes`, so it is neither exported nor copied.";
    TooManyEnvironments = "environments.too_many", 409, "The application has reached the maximum number of environments, `details.max_environments`.";
    DefaultEnvironment = "environments.default_environment", 400, "The default environment of an application cannot be deleted.";

    PermissionNotFound = "rbac.permission_not_found", 404, "The environment has no such permission.";
    PermissionKeyTaken = "rbac.permission_key_taken", 409, "The catalog has the key already, or the request repeats it; `details.permission_keys` lists all such keys.";
    SystemPermission = "rbac.system_permission", 403, "System permissions cannot be changed or deleted.";
    PermissionInUse = "rbac.permission_in_use", 409, "Roles bundle the permission; `details.role_ids` lists them.";
    UnknownPermissionKeys = "rbac.unknown_permission_keys", 400, "The environment's catalog lacks some of the keys; `details.permission_keys` lists the first 100, `details.omitted` counts the rest.";
    RoleNotFound = "rbac.role_not_found", 404, "The environment has no such role.";
    RoleNameTaken = "rbac.role_name_taken", 409, "The environment has a role of this name, ignoring case.";
    DuplicateRoleName = "rbac.duplicate_role_name", 400, "Two roles of the request have the same name; `details.names` lists them.";
    SystemRole = "rbac.system_role", 403, "The system role cannot be changed or deleted.";
    RoleInUse = "rbac.role_in_use", 409, "The role is assigned; `details.assignment_count` counts its assignments.";
    AssignmentNotFound = "rbac.assignment_not_found", 404, "The environment has no such assignment; bulk calls list all unknown ids in `details.assignment_ids`.";
    SystemRoleNotAssignable = "rbac.system_role_not_assignable", 400, "The system role cannot be assigned.";
    RoleInactive = "rbac.role_inactive", 400, "The role is inactive and cannot be assigned.";
    InvalidWindow = "rbac.invalid_window", 400, "`effective_to` must be after `effective_from`.";
    AssignmentConflict = "rbac.assignment_conflict", 409, "An assignment of this identity, role and node exists, whatever its window; `details` has its `assignment_id`, `status` and `effective_to`, or all `clashes`.";
    DuplicateAssignmentInBatch = "rbac.duplicate_in_batch", 409, "An earlier item of the request names the same identity, role and node; `details.first_index` is its index.";

    AlreadyBootstrapped = "setup.already_bootstrapped", 409, "The environment has custom permissions or roles; `details` counts them.";

    CatalogTooLarge = "setup.catalog_too_large", 400, "The environment's catalog would have more than `details.max_keys` keys, or its roles more than `details.max_pairs` permissions in total.";
    IndexFull = "environments.index_full", 400, "The decision index of the environment would exceed `details.max_bytes`; nothing was changed.";

    ApiKeyNotFound = "api_keys.api_key_not_found", 404, "The environment has no such API key.";
    TooManyApiKeys = "api_keys.too_many", 409, "The environment has reached the maximum number of API keys, `details.max_keys`. Revoke some; expired keys count too.";
    TooManyScopes = "api_keys.too_many_scopes", 409, "The API keys of the environment would have more than `details.max_scopes` scopes in total. Use fewer, or full access.";
    ApiKeyExpired = "api_keys.expired", 400, "The API key has expired and cannot be rotated; create a new one.";

    NodeNotFound = "nodes.node_not_found", 404, "The environment has no such node.";
    ParentNotFound = "nodes.parent_not_found", 404, "The environment has no node with the id of the parent.";
    UnknownParentRef = "nodes.unknown_parent_ref", 400, "`parent_ref` does not lead to an existing node through other items of the request.";
    DuplicateRef = "nodes.duplicate_ref", 400, "An earlier item of the request has the same `ref`; `details.first_index` is its index.";
    UnknownNodeType = "nodes.unknown_node_type", 400, "The hierarchy schema has no such node type.";
    ChildTypeNotAllowed = "nodes.child_type_not_allowed", 400, "The hierarchy schema does not allow this type below the parent's; `details` has both types.";
    MaxDepthExceeded = "nodes.max_depth_exceeded", 400, "The node would lie deeper than the schema allows; `details.max_depth` is the limit.";
    NodeCycle = "nodes.cycle", 400, "The node would be below itself.";
    RootStays = "nodes.root_stays", 400, "The root can be neither moved nor deleted.";
    NodeInUse = "nodes.node_in_use", 409, "The node has children or assignments; `details` counts both.";
    NodeSlugTaken = "nodes.slug_taken", 409, "A sibling of the node has this slug.";
    HierarchyFlat = "hierarchy.flat", 400, "The environment is flat, so nodes cannot be created.";
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

    AuditEventNotFound = "audit.event_not_found", 404, "The audit event does not exist, or the caller may not see it.";

    RolledBack = "bulk.rolled_back", 424, "The item is valid, but other items caused a rollback; `details.caused_by` has the indexes of the first ten.";

    IndexTooLarge = "server.index_too_large", 503, "The decision index of the environment exceeds `details.max_bytes`, so its checks cannot be answered. Make the environment smaller or raise the limit.";
    Busy = "server.busy", 503, "The service is overloaded, or has too many connections or large bodies; retry after `Retry-After` seconds.";
    Unavailable = "server.unavailable", 503, "The store cannot be reached; retry after `Retry-After` seconds.";
    Internal = "server.internal", 500, "The service failed; its log has the cause under the request id.";
}

impl ErrorCode {
    /// Returns whether the code refuses a caller whose credential is valid: the caller may not do this, or belongs to
    /// another account.
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
