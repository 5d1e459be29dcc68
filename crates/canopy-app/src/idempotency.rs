//! Calls that may be repeated: how their answers are kept, and what a repetition gets.

use canopy_domain::Timestamp;
use canopy_domain::port::RequestIdentity;
use std::sync::Arc;

/// How long an answer is kept, in seconds.
const KEPT_FOR: i64 = 24 * 60 * 60;

/// Encodes the outcome of a write as its answer will be sent again; `None` where it cannot be.
pub type Encode<T> = Arc<dyn Fn(&T) -> Option<Vec<u8>> + Send + Sync>;

/// A request that may be repeated, whose write returns `T`.
pub struct Repeatable<T> {
    /// Which request it is.
    pub request: RequestIdentity,
    /// A digest of its body.
    pub body: [u8; 32],
    /// The adapter's encoder of the answer. It is given the outcome before the commit.
    pub encode: Encode<T>,
}

impl<T> core::fmt::Debug for Repeatable<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Repeatable").finish_non_exhaustive()
    }
}

/// Why a call that may be repeated did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepetitionError {
    /// The same request was sent with another body.
    #[error("the idempotency key was used for a request with another body")]
    KeyReused,
    /// The same request is being answered.
    #[error("the first request with this idempotency key is still being answered")]
    InProgress,
    /// The answers kept for the tenant leave no room for this one. It gets smaller by the hour.
    #[error(
        "the answers kept for idempotency keys take all the room they may have; try again later, or send no idempotency key"
    )]
    Full {
        /// The bytes that the kept answers of an environment, or of what is above it, may take.
        max_bytes: u64,
    },
    /// Not an error to the caller: the answer was given before, and is this.
    #[error("the request was answered before")]
    Answered(Vec<u8>),
}

/// The bytes that the kept answers of one environment may take by default.
pub(crate) const KEPT_BYTES: u64 = 256 * 1024 * 1024;

/// Since when answers count that were kept before `now`.
pub(crate) fn kept_since(now: Timestamp) -> Timestamp {
    now.plus_seconds(-KEPT_FOR)
}
