//! The paths at which operators and tools ask about the service itself.

use crate::discovery;
use serde::Serialize;
use utoipa::ToSchema;

/// A sign of life.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    pub(crate) status: &'static str,
}

/// The paths of this surface, with a name and what they answer.
pub(crate) const PATHS: [(&str, &str, &str); 6] = [
    ("/health/live", "getLiveness", "Whether the process answers at all."),
    (
        "/health/ready",
        "getReadiness",
        "Whether the store and every other part that calls need can be reached, so that calls can be answered.",
    ),
    (
        "/metrics",
        "getMetrics",
        "What the service counts of itself, in the text format of OpenMetrics.",
    ),
    ("/openapi.json", "getOpenApi", "This document."),
    ("/docs", "getReference", "This document for people."),
    (
        discovery::PATH,
        "getAccessConfiguration",
        "Where the calls of OpenID AuthZEN are, for programs that speak it.",
    ),
];
