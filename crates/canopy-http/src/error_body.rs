//! The one shape of errors.

use crate::problem::Problem;
use canopy_domain::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An error, as every error answer has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorContent,
}

/// The request that is refused, as far as it was read.
pub(crate) struct Refused<'r> {
    pub(crate) path: &'r str,
    pub(crate) method: &'r str,
    pub(crate) id: &'r str,
}

impl ErrorBody {
    /// The body of a refusal at this instant.
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
    /// More about it, per code.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
    /// The path that was asked for.
    path: String,
    /// The method it was asked with.
    method: String,
    /// When it was answered.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The id of the request, which the log has too.
    request_id: String,
}
