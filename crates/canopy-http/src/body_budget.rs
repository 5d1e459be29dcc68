//! The memory budget for request bodies.
//!
//! A body is admitted before it is read into memory: first against the share of its tenant, then against the whole
//! budget. Admitted bodies keep their part until the request is answered. Small bodies need no admission: the number of
//! connections bounds them.

use crate::error_code::ErrorCode;
use crate::problem::Problem;
use canopy_domain::AccountId;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The largest body that is read without admission.
pub(crate) const SMALL_BODY_BYTES: usize = 16 * 1024;

/// The default budget in MiB.
pub const DEFAULT_MIB: u32 = 256;

/// The number of equal parts of the budget. One tenant may hold one of them.
const SHARES: u32 = 4;

/// The number of shares that are cached before unused ones are evicted.
const REMEMBERED: usize = 1_024;

const KIB: u64 = 1024;

/// Memory for bodies, in KiB, with a share for each tenant.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    mib: u32,
    all: Arc<Semaphore>,
    share: u32,
    shares: Mutex<HashMap<Option<AccountId>, Arc<Semaphore>>>,
    wait: Duration,
}

/// Memory reserved for one body, released on drop.
#[derive(Debug)]
pub(crate) struct BodyPermit {
    _share: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl BodyBudget {
    /// Creates a budget of `mib` MiB. A body waits at most `wait` for its part.
    pub(crate) fn new(mib: u32, wait: Duration) -> Self {
        let kib = mib.max(1).saturating_mul(1024).min(u32::MAX / 2);
        Self {
            mib,
            all: Arc::new(Semaphore::new(kib.try_into().unwrap_or(Semaphore::MAX_PERMITS))),
            share: (kib / SHARES).max(1),
            shares: Mutex::default(),
            wait,
        }
    }

    fn share_of(&self, account: Option<AccountId>) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= REMEMBERED {
            // A share that is in use or waited for has other owners.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let size = usize::try_from(self.share).unwrap_or(Semaphore::MAX_PERMITS);
        Arc::clone(shares.entry(account).or_insert_with(|| Arc::new(Semaphore::new(size))))
    }

    /// Waits until a body of `bytes` bytes of a tenant is admitted. A body larger than the share counts as the whole
    /// share.
    ///
    /// # Errors
    /// 503 if the body is not admitted in time.
    pub(crate) async fn admit(&self, account: Option<AccountId>, bytes: u64) -> Result<BodyPermit, Problem> {
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        let kib = kib.clamp(1, self.share);
        let deadline = Instant::now() + self.wait;
        let busy = || {
            Problem::new(ErrorCode::Busy, "too many large bodies are being read; try again later")
                .with("max_mib", self.mib)
        };
        let share = self.share_of(account);
        let share = timeout_at(deadline, share.acquire_many_owned(kib));
        let share = share.await.map_err(|_| busy())?.map_err(Problem::internal)?;
        let all = timeout_at(deadline, Arc::clone(&self.all).acquire_many_owned(kib));
        let all = all.await.map_err(|_| busy())?.map_err(Problem::internal)?;
        Ok(BodyPermit {
            _share: share,
            _all: all,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const SHORT: Duration = Duration::from_millis(20);

    const MIB: u64 = 1024 * 1024;

    fn account(number: u128) -> AccountId {
        AccountId::new(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn one_tenant_has_its_share_and_all_have_the_budget() {
        let budget = BodyBudget::new(16, SHORT);
        let mut held = Vec::new();
        for tenant in 1..=4 {
            held.push(budget.admit(Some(account(tenant)), 3 * MIB).await.unwrap());
            let refused = budget.admit(Some(account(tenant)), 2 * MIB).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::Busy);
            assert_eq!(refused.retry_after(), Some(1));
            assert_eq!(refused.details["max_mib"], 16);
            held.push(budget.admit(Some(account(tenant)), MIB).await.unwrap());
        }
        assert!(budget.admit(None, 1).await.is_err(), "all is taken");
        held.pop();
        let rest = budget.admit(None, MIB).await.unwrap();
        drop((held, rest));
        budget.admit(Some(account(9)), 300 * MIB).await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_waits_is_admitted_as_soon_as_there_is_room() {
        let budget = Arc::new(BodyBudget::new(4, Duration::from_secs(60)));
        let first = budget.admit(Some(account(1)), MIB).await.unwrap();
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.admit(Some(account(1)), MIB).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn shares_that_nobody_uses_are_forgotten() {
        let budget = BodyBudget::new(4, SHORT);
        let held = budget.admit(Some(account(0)), MIB).await.unwrap();
        for tenant in 1..=2 * REMEMBERED as u128 {
            budget.admit(Some(account(tenant)), 1).await.unwrap();
        }
        assert!(budget.shares.lock().unwrap().len() <= REMEMBERED);
        assert!(
            budget.admit(Some(account(0)), MIB).await.is_err(),
            "a share in use is kept"
        );
        drop(held);
    }
}
