//! Audit events: who did what to which resource. Stored in the transaction of the change.

mod detail;
pub mod details;
pub mod listing;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{AccountId, ApplicationId, EnvironmentId, Revision, Timestamp};

pub use detail::Detail;

id_type!(
    /// The id of an [`AuditEvent`].
    AuditEventId
);

string_enum!(
    /// The kind of the principal that acted.
    ActorType {
        /// A caller who runs the installation.
        Operator = "operator",
        /// A caller who administers one account.
        Admin = "admin",
        /// An end user.
        Identity = "identity",
        /// A backend with a key of one environment.
        ApiKey = "api_key",
        /// The service itself.
        System = "system",
    }
);

string_enum!(
    /// The area of an audited action.
    AuditCategory {
        /// Accounts, applications, environments.
        Tenancy = "tenancy",
        /// Bootstrap and resource permissions.
        Setup = "setup",
        /// Permissions and roles.
        Catalog = "catalog",
        /// Nodes and hierarchy schema.
        Hierarchy = "hierarchy",
        /// Identities and memberships.
        Identity = "identity",
        /// Assignments.
        Assignment = "assignment",
        /// API keys.
        ApiKey = "api_key",
        /// Calls that were refused because of their caller.
        Access = "access",
    }
);

string_enum!(
    /// The severity of an event.
    AuditSeverity {
        /// Routine changes.
        Info = "info",
        /// Changes that remove or widen access broadly.
        Warning = "warning",
        /// Changes that require immediate attention.
        Critical = "critical",
    }
);

string_enum!(
    /// The outcome of an action.
    AuditOutcome {
        /// Carried out.
        Success = "success",
        /// Refused.
        Denied = "denied",
    }
);

/// The actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Its id: the subject of the token, or the id of the key.
    pub id: String,
    /// The kind of the principal.
    pub kind: ActorType,
    /// A label for people.
    pub label: String,
}

/// One audited call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// The account of the event.
    pub account_id: AccountId,
    /// The application, if there is one.
    pub application_id: Option<ApplicationId>,
    /// The environment, if there is one.
    pub environment_id: Option<EnvironmentId>,
    /// The actor.
    pub actor: Actor,
    /// The action, as `area.verb`: for example `assignment.bulk_create`.
    pub action: &'static str,
    /// The area of the action.
    pub category: AuditCategory,
    /// The severity.
    pub severity: AuditSeverity,
    /// The outcome.
    pub outcome: AuditOutcome,
    /// The type of the resource.
    pub resource_type: &'static str,
    /// The id of the resource; the id of the environment if several resources were changed.
    pub resource_id: String,
    /// A label of the resource, for people.
    pub resource_label: String,
    /// The ids of all affected resources, and small values before and after. Never a secret.
    pub metadata: Detail,
    /// The [parts](details::parts) of its details that exceed the size of the metadata. Stored beside the event, in
    /// this order.
    pub details: Vec<String>,
    /// The id of the request.
    pub correlation_id: String,
    /// The time of the event.
    pub created_at: Timestamp,
}

impl AuditEvent {
    /// Returns the folded text that searches match: action, actor and resource labels. Stored with the event, so that
    /// every store matches the same.
    ///
    /// ```
    /// # use canopy_domain::audit::searched_text;
    /// assert_eq!(searched_text("role.create", "Ada", "Editor"), "role.create\nada\neditor");
    /// ```
    pub fn searched_text(&self) -> String {
        searched_text(self.action, &self.actor.label, &self.resource_label)
    }
}

/// Returns [`AuditEvent::searched_text`] of its parts. Search words have no line break, so none matches across two
/// parts.
pub fn searched_text(action: &str, actor_label: &str, resource_label: &str) -> String {
    crate::searched_text([action, actor_label, resource_label])
}

/// A stored audit event, with the revision of its change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAuditEvent {
    /// The event. Values that the code no longer uses stay as they were stored.
    pub id: AuditEventId,
    /// The account of the event.
    pub account_id: AccountId,
    /// The application, if there is one.
    pub application_id: Option<ApplicationId>,
    /// The environment, if there is one.
    pub environment_id: Option<EnvironmentId>,
    /// The actor.
    pub actor: Actor,
    /// The action.
    pub action: String,
    /// The area of the action.
    pub category: AuditCategory,
    /// The severity.
    pub severity: AuditSeverity,
    /// The outcome.
    pub outcome: AuditOutcome,
    /// The type of the resource.
    pub resource_type: String,
    /// The id of the resource.
    pub resource_id: String,
    /// A label of the resource, for people.
    pub resource_label: String,
    /// The metadata as JSON text.
    pub metadata: String,
    /// The id of the request.
    pub correlation_id: String,
    /// The revision that the change created in its environment; `None` if no environment changed, or if the environment
    /// was deleted.
    pub revision: Option<Revision>,
    /// The time of the event.
    pub created_at: Timestamp,
}
