//! Retries of a use case whose transaction lost against another one.

use crate::AppError;
use canopy_domain::port::StoreError;
use core::future::Future;

/// Maximum number of attempts.
const ATTEMPTS: u32 = 3;

/// Runs a use case, and again from the start if the store reports a conflict with a concurrent transaction, so that its
/// rules are judged on the new state.
pub(crate) async fn retry<T, F>(mut run: impl FnMut() -> F + Send) -> Result<T, AppError>
where
    F: Future<Output = Result<T, AppError>> + Send,
{
    let mut conflicts = 0;
    let mut races = 0;
    loop {
        match run().await {
            Err(AppError::Store(StoreError::Conflict(cause))) if cause.is::<SlugRace>() && races < MOST_RACES => {
                races += 1;
            }
            Err(AppError::Store(StoreError::Conflict(cause))) if conflicts + 1 < ATTEMPTS => {
                conflicts += 1;
                tracing::debug!(%cause, "transaction conflict; retrying the use case");
            }
            settled => return settled,
        }
    }
}

/// Another transaction took a slug that was derived from a name; a retry finds the next free one.
#[derive(Debug, thiserror::Error)]
#[error("a sibling got the slug meanwhile")]
pub(crate) struct SlugRace;

/// Maximum number of lost races for a slug. One competitor wins each race, so only a use case that this many others
/// overtake reaches it.
const MOST_RACES: u32 = 1_000;
