//! Claims on the requests that a process is answering.

use canopy_domain::port::RequestIdentity;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

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
    use super::*;

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
