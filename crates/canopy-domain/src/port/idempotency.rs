//! Requests that may be repeated: what is kept of their answers, and which of them are being answered.

use super::WriteTx;
use crate::Timestamp;

/// What tells a request that may be repeated from every other: a digest of its principal, method, path with query, and
/// `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestIdentity(pub [u8; 32]);

/// The answer of a request that changed something, kept in the transaction of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The request.
    pub request: RequestIdentity,
    /// A digest of its body.
    pub body: [u8; 32],
    /// The answer, in an encoding of the caller's own.
    pub answer: Vec<u8>,
    /// When it was given.
    pub at: Timestamp,
}

impl KeptAnswer {
    /// Bytes that an answer takes beside its own: digests, instant and index entries.
    pub const OVERHEAD: u64 = 256;

    /// The bytes it counts towards the bound of its tenant.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.answer.len()).map_or(u64::MAX, |bytes| bytes.saturating_add(Self::OVERHEAD))
    }

    /// The hour of an instant, counted from 1970. Kept bytes are summed by tenant and hour.
    pub const fn hour(at: Timestamp) -> i64 {
        at.as_millis().div_euclid(60 * 60 * 1_000)
    }
}

/// The start of a write for a repeatable request.
#[expect(missing_debug_implementations, reason = "a unit of work shows nothing")]
pub enum Begun {
    /// The request is new, or failed before. Until the unit of work ends, it counts as running.
    Fresh(Box<dyn WriteTx>),
    /// The same request is being answered.
    Running,
    /// The same request was answered before.
    Answered(KeptAnswer),
}
