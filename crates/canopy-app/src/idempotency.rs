//! Repeatable calls: stored responses, and the result of a repetition.

use canopy_domain::Timestamp;
use canopy_domain::port::RequestIdentity;
use std::sync::Arc;

/// Seconds for which a response is stored.
const KEPT_FOR: i64 = 24 * 60 * 60;

/// Encodes the outcome of a write as the stored response; `None` if it cannot be encoded.
pub type Encode<T> = Arc<dyn Fn(&T) -> Option<Vec<u8>> + Send + Sync>;

/// A repeatable request, whose write returns `T`.
pub struct Repeatable<T> {
    /// The identity of the request.
    pub request: RequestIdentity,
    /// A digest of its body.
    pub body: [u8; 32],
    /// The adapter's encoder of the response. It receives the outcome before the commit.
    pub encode: Encode<T>,
}

impl<T> core::fmt::Debug for Repeatable<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Repeatable").finish_non_exhaustive()
    }
}

/// The reason for which a repeatable call did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepetitionError {
    /// The same request was sent with another body.
    #[error("the idempotency key was used for a request with another body")]
    KeyReused,
    /// The same request is running.
    #[error("the first request with this idempotency key is still running")]
    InProgress,
    /// The stored responses of the tenant have reached their limit. They expire hour by hour.
    #[error(
        "the stored responses for idempotency keys have reached their maximum size; try again later, or send no idempotency key"
    )]
    Full {
        /// The maximum size of the stored responses of an environment, application or account, in bytes.
        max_bytes: u64,
    },
    /// Not an error to the caller: the stored response of the first request.
    #[error("the request was answered before")]
    Answered(Vec<u8>),
}

/// The default maximum size of the stored responses of one environment, in bytes.
pub(crate) const KEPT_BYTES: u64 = 256 * 1024 * 1024;

/// Returns the instant since which stored responses are valid at `now`.
pub(crate) fn kept_since(now: Timestamp) -> Timestamp {
    now.plus_seconds(-KEPT_FOR)
}
