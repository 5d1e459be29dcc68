//! The part of an audit event that a write provides.

use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::{AccountId, ApplicationId, EnvironmentId, EnvironmentRef};
use core::fmt::Display;

/// What an audit event says of a change, besides who and when.
#[derive(Debug)]
pub(crate) struct AuditEntry {
    pub account: AccountId,
    pub application: Option<ApplicationId>,
    pub environment: Option<EnvironmentId>,
    pub action: &'static str,
    pub category: AuditCategory,
    pub severity: AuditSeverity,
    pub resource_type: &'static str,
    pub resource_id: String,
    pub resource_label: String,
    pub metadata: Detail,
    /// The parts of the details that the metadata has no room for.
    pub details: Vec<String>,
}

impl AuditEntry {
    /// An entry about an environment as a whole, with nothing more to say.
    pub(crate) fn within(place: &EnvironmentRef, action: &'static str, category: AuditCategory) -> Self {
        Self {
            account: place.account,
            application: Some(place.application),
            environment: Some(place.environment),
            action,
            category,
            severity: AuditSeverity::Info,
            resource_type: "environment",
            resource_id: place.environment.to_string(),
            resource_label: String::new(),
            metadata: Detail::Null,
            details: Vec::new(),
        }
    }

    /// The thing it was done to.
    pub(crate) fn resource(mut self, resource_type: &'static str, id: impl Display, label: impl Display) -> Self {
        self.resource_type = resource_type;
        self.resource_id = id.to_string();
        self.resource_label = label.to_string();
        self
    }

    /// The severity.
    pub(crate) const fn severity(mut self, severity: AuditSeverity) -> Self {
        self.severity = severity;
        self
    }

    /// The ids of everything touched, and what was before and after.
    pub(crate) fn detail(mut self, metadata: Vec<(&'static str, Detail)>) -> Self {
        self.metadata = Detail::Map(metadata);
        self
    }
}
