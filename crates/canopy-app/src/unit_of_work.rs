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
    for _ in 1..ATTEMPTS {
        match run().await {
            Err(AppError::Store(StoreError::Conflict(cause))) => {
                tracing::debug!(%cause, "transaction conflict, running the use case again");
            }
            settled => return settled,
        }
    }
    run().await
}
