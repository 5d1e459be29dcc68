//! The body of every error response.

use crate::problem::Problem;
use canopy_domain::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An error, as in every error response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorContent,
}

/// The refused request, as far as it was read.
pub(crate) struct Refused<'r> {
    pub(crate) path: &'r str,
    pub(crate) method: &'r str,
    pub(crate) id: &'r str,
}

impl ErrorBody {
    /// Returns the body of a refusal at this instant.
    pub(crate) fn of(problem: Problem, refused: &Refused<'_>, now: Timestamp) -> Self {
        Self {
            error: ErrorContent {
                status_code: problem.code.status(),
                code: problem.code.as_str(),
                message: problem.message.into_owned(),
                details: problem.details,
                path: refused.path.to_owned(),
                method: refused.method.to_owned(),
                timestamp: now.to_string(),
                request_id: refused.id.to_owned(),
            },
        }
    }
}

/// The public description of an error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorContent)]
struct ErrorContent {
    /// The HTTP status.
    #[serde(rename = "statusCode")]
    #[schema(rename = "statusCode")]
    status_code: u16,
    /// The error code, for programs: stable, listed in the description of each call.
    code: &'static str,
    /// The message, for people.
    message: String,
    /// Details, depending on the code.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
    /// The path of the request.
    path: String,
    /// The method of the request.
    method: String,
    /// The time of the response.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The id of the request, as in the log.
    request_id: String,
}
