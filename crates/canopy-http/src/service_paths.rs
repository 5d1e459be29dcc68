//! The paths of the endpoints about the service itself.

use crate::discovery;
use serde::Serialize;
use utoipa::ToSchema;

/// The result of a liveness check.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    pub(crate) status: &'static str,
}

/// The paths of this surface, each with a name and a summary.
pub(crate) const PATHS: [(&str, &str, &str); 6] = [
    ("/health/live", "getLiveness", "Check that the process is running."),
    (
        "/health/ready",
        "getReadiness",
        "Check that the service can answer calls: it reaches its store, and all readiness checks pass.",
    ),
    (
        "/metrics",
        "getMetrics",
        "Get the metrics of the service in the OpenMetrics text format.",
    ),
    ("/openapi.json", "getOpenApi", "This document."),
    ("/docs", "getReference", "Show this document as a web page."),
    (
        discovery::PATH,
        "getAccessConfiguration",
        "Get the OpenID AuthZEN metadata: the URL of each endpoint.",
    ),
];
