//! Audit events: who did what to which resource, kept with the change itself.

mod detail;
pub mod details;
pub mod listing;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{AccountId, ApplicationId, EnvironmentId, Revision, Timestamp};

pub use detail::Detail;

id_type!(
    /// Names an [`AuditEvent`].
    AuditEventId
);

string_enum!(
    /// The kind of the principal that acted.
    ActorType {
        /// Runs the installation.
        Operator = "operator",
        /// Administers one account.
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
        /// Calls that were refused because of who made them.
        Access = "access",
    }
);

string_enum!(
    /// The severity of an event.
    AuditSeverity {
        /// Everyday changes.
        Info = "info",
        /// Changes that take or widen access at large.
        Warning = "warning",
        /// Changes that deserve a look at once.
        Critical = "critical",
    }
);

string_enum!(
    /// The outcome of an action.
    AuditOutcome {
        /// It was done.
        Success = "success",
        /// It was refused.
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
    /// The account in which it happened.
    pub account_id: AccountId,
    /// The application, when there is one.
    pub application_id: Option<ApplicationId>,
    /// The environment, when there is one.
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
    /// The id of that thing; of the environment where many were touched.
    pub resource_id: String,
    /// A label of the resource, for people.
    pub resource_label: String,
    /// The ids of everything touched, and what was before and after where it is small. Never a secret.
    pub metadata: Detail,
    /// The [parts](details::parts) of its details that the metadata has no room for. Stored beside the event, in this order.
    pub details: Vec<String>,
    /// The id of the request.
    pub correlation_id: String,
    /// When it happened.
    pub created_at: Timestamp,
}

impl AuditEvent {
    /// The text that searches look into: action, actor and thing as people know them, with their case folded. Stored with
    /// the event, so that every store finds the same.
    ///
    /// ```
    /// # use canopy_domain::audit::searched_text;
    /// assert_eq!(searched_text("role.create", "Ada", "Editor"), "role.create\nada\neditor");
    /// ```
    pub fn searched_text(&self) -> String {
        searched_text(self.action, &self.actor.label, &self.resource_label)
    }
}

/// [`AuditEvent::searched_text`] of its parts. No word of a search has a line break, so none
/// reaches from one part into the next.
pub fn searched_text(action: &str, actor_label: &str, resource_label: &str) -> String {
    crate::searched_text([action, actor_label, resource_label])
}

/// An audit event as it was stored, with the revision its change took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAuditEvent {
    /// The event. Words that the code no longer uses are kept as they were.
    pub id: AuditEventId,
    /// The account in which it happened.
    pub account_id: AccountId,
    /// The application, when there is one.
    pub application_id: Option<ApplicationId>,
    /// The environment, when there is one.
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
    /// The id of that thing.
    pub resource_id: String,
    /// A label of the resource, for people.
    pub resource_label: String,
    /// The metadata as JSON text.
    pub metadata: String,
    /// The id of the request.
    pub correlation_id: String,
    /// The revision that the change took in its environment; `None` where no environment changed, and where it went.
    pub revision: Option<Revision>,
    /// When it happened.
    pub created_at: Timestamp,
}
