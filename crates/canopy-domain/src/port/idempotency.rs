//! Repeatable requests: their stored responses, and the set of running ones.

use super::WriteTx;
use crate::Timestamp;

/// The identity of a repeatable request: a digest of its principal, method, path with query, and `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestIdentity(pub [u8; 32]);

/// The stored response of a request that changed something, written in the transaction of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The request.
    pub request: RequestIdentity,
    /// A digest of its body.
    pub body: [u8; 32],
    /// The response, in an encoding of the caller.
    pub answer: Vec<u8>,
    /// The time of the response.
    pub at: Timestamp,
}

impl KeptAnswer {
    /// Bytes of a stored response besides its own: digests, instant and index entries.
    pub const OVERHEAD: u64 = 256;

    /// Returns the bytes that it counts towards the limit of its tenant.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.answer.len()).map_or(u64::MAX, |bytes| bytes.saturating_add(Self::OVERHEAD))
    }

    /// Returns the hour of an instant, counted from 1970. Stored bytes are summed by tenant and hour.
    pub const fn hour(at: Timestamp) -> i64 {
        at.as_millis().div_euclid(60 * 60 * 1_000)
    }
}

/// The start of a write for a repeatable request.
#[expect(missing_debug_implementations, reason = "a unit of work shows nothing")]
pub enum Begun {
    /// The request is new, or failed before. Until the unit of work ends, it counts as running.
    Fresh(Box<dyn WriteTx>),
    /// The same request is running.
    Running,
    /// The same request was answered before.
    Answered(KeptAnswer),
}
