//! Readiness: the conditions behind `/health/ready`, each with a deadline.

use crate::error_code::ErrorCode;
use crate::problem::Problem;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::timeout;

/// The deadline of one check.
pub(crate) const CHECK_DEADLINE: Duration = Duration::from_secs(2);

type Checking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A readiness condition besides the store.
///
/// `/health/ready` answers 503 while a check fails or takes longer than two seconds. The response has the name of the
/// check in `details.check`; only the log has its reason.
#[derive(Clone)]
pub struct ReadinessCheck {
    name: &'static str,
    check: Arc<dyn Fn() -> Checking + Send + Sync>,
}

impl ReadinessCheck {
    /// Creates a check that runs on the shared runtime at each readiness request. Its error is the reason, for the log.
    pub fn new<F>(name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            name,
            check: Arc::new(move || Box::pin(check())),
        }
    }
}

impl ReadinessCheck {
    /// Runs the check once.
    ///
    /// # Errors
    /// 503 if it fails or does not end in time.
    pub(crate) fn run(&self) -> impl Future<Output = Result<(), Problem>> + Send + 'static {
        let (name, checking) = (self.name, (self.check)());
        async move {
            match timeout(CHECK_DEADLINE, checking).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(reason)) => Err(not_ready(name, reason)),
                Err(_) => Err(not_ready(name, "the check did not finish in time".to_owned())),
            }
        }
    }
}

impl core::fmt::Debug for ReadinessCheck {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ReadinessCheck").field(&self.name).finish()
    }
}

/// Returns the problem of a failed check; only the log has its reason.
pub(crate) fn not_ready(check: &'static str, reason: String) -> Problem {
    let mut problem = Problem::new(ErrorCode::Unavailable, "the service is not ready to answer").with("check", check);
    problem.cause = Some(reason.into());
    problem
}
