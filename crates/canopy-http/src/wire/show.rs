//! Wire formats of domain values in responses.

use super::schema::words;
use canopy_domain::access::{DenialReason, Shortfall};
use canopy_domain::audit::{ActorType, AuditCategory, AuditOutcome, AuditSeverity};
use canopy_domain::{
    AccessModel, AccessType, AssignmentStatus, JsonObject, MembershipStatus, NodeStatus, PermissionSource, Timestamp,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("An instant: RFC 3339 in UTC with milliseconds."))
            .examples(["2026-04-20T12:00:00.000Z"])
            .build()
            .into()
    }
}

impl ToSchema for Instant {
    fn name() -> Cow<'static, str> {
        "Instant".into()
    }
}

/// Renders a JSON object of the customer.
pub(crate) fn object(object: &JsonObject) -> Box<RawValue> {
    RawValue::from_string(object.as_str().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Renders a JSON object that the service wrote itself; an empty object for an empty text.
pub(crate) fn object_text(text: String) -> Box<RawValue> {
    let text = if text.starts_with('{') { text } else { "{}".to_owned() };
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Declares the wire form of enumerations in responses.
macro_rules! wire_enum {
    ($($(#[$doc:meta])* $name:ident = $type:ty, $schema:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub(crate) struct $name(pub(crate) $type);

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.0.as_str())
                }
            }

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    words(<$type>::ALL.iter().map(|one| one.as_str())).into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    $schema.into()
                }
            }
        )+
    };
}

wire_enum! {
    /// Flat or hierarchy.
    ShownModel = AccessModel, "AccessModel";
    /// System or custom.
    ShownSource = PermissionSource, "PermissionSource";
    /// On or off.
    ShownNodeStatus = NodeStatus, "NodeStatus";
    /// The status of a membership.
    ShownMembership = MembershipStatus, "MembershipStatus";
    /// The status of a window at the current instant.
    ShownStatus = AssignmentStatus, "AssignmentStatus";
    /// The kind of principal.
    ShownActorType = ActorType, "ActorType";
    /// The area of an action.
    ShownAuditCategory = AuditCategory, "AuditCategory";
    /// The severity.
    ShownAuditSeverity = AuditSeverity, "AuditSeverity";
    /// The outcome.
    ShownAuditOutcome = AuditOutcome, "AuditOutcome";
    /// Direct or inherited.
    ShownAccessType = AccessType, "AccessType";
    /// The reason of a denial.
    ShownReason = DenialReason, "DenialReason";
    /// The reason for which one assignment does not grant a permission.
    ShownShortfall = Shortfall, "Shortfall";
}
