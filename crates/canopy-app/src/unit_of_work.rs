//! Running a whole use case again when its transaction lost against another one.

use crate::AppError;
use canopy_domain::port::StoreError;
use core::future::Future;

/// How often a use case is run at the most.
const ATTEMPTS: u32 = 3;

/// Runs a use case, and again from the start when the store reports a conflict with a concurrent transaction: only so
/// are its rules judged on what that one left behind.
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
                tracing::debug!(%cause, "transaction conflict, running the use case again");
            }
            settled => return settled,
        }
    }
}

/// Another transaction took a slug that was made from a name: the next free one is to be found.
#[derive(Debug, thiserror::Error)]
#[error("a sibling took the slug meanwhile")]
pub(crate) struct SlugRace;

/// The number of races for a slug that a use case may lose. Of those who race one wins each time, so this is reached by
/// nobody but who is overtaken by so many others.
const MOST_RACES: u32 = 1_000;
