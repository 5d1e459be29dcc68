//! Requests that may be repeated: what is kept of their answers, and which of them are being answered.

use super::WriteTx;
use crate::Timestamp;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

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

/// The requests that a process is answering, for stores to which only one process writes. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub struct RunningRequests {
    running: Arc<Mutex<HashSet<RequestIdentity>>>,
}

impl RunningRequests {
    /// Claims a request until the claim is dropped; `None` while somebody else has it.
    pub fn claim(&self, request: RequestIdentity) -> Option<RunningClaim> {
        let fresh = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(request);
        fresh.then(|| RunningClaim {
            request,
            running: Arc::clone(&self.running),
        })
    }
}

/// The right to answer a request.
#[derive(Debug)]
pub struct RunningClaim {
    request: RequestIdentity,
    running: Arc<Mutex<HashSet<RequestIdentity>>>,
}

impl Drop for RunningClaim {
    fn drop(&mut self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestIdentity, RunningRequests};

    #[test]
    fn a_request_is_claimed_once_until_the_claim_is_dropped() {
        let running = RunningRequests::default();
        let (one, other) = (RequestIdentity([1; 32]), RequestIdentity([2; 32]));
        let claim = running.claim(one).unwrap();
        assert!(running.clone().claim(one).is_none());
        assert!(running.claim(other).is_some());
        drop(claim);
        assert!(running.claim(one).is_some());
    }
}
