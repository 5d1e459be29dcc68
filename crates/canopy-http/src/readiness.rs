//! Readiness: the checks behind `/health/ready`, each with a deadline.

use crate::error_code::ErrorCode;
use crate::problem::Problem;
use crate::state::HttpState;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::timeout;

/// The time that one check may take before it counts as failed.
pub(crate) const CHECK_DEADLINE: Duration = Duration::from_secs(2);

type Checking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A condition for being ready, besides a store that answers.
///
/// `/health/ready` answers 503 while a check fails or takes longer than two seconds. The name of the check is sent in
/// `details.check`; its reason goes to the log alone.
#[derive(Clone)]
pub struct ReadinessCheck {
    name: &'static str,
    check: Arc<dyn Fn() -> Checking + Send + Sync>,
}

impl ReadinessCheck {
    /// A check that runs on the shared runtime, whenever readiness is asked for. Its error is the reason, for the log.
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

impl core::fmt::Debug for ReadinessCheck {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ReadinessCheck").field(&self.name).finish()
    }
}

fn not_ready(check: &'static str, reason: String) -> Problem {
    let mut problem = Problem::new(ErrorCode::Unavailable, "the service is not ready to answer").with("check", check);
    problem.cause = Some(reason.into());
    problem
}

/// Runs every check, the store's first.
///
/// # Errors
/// The first failure: 503 in every case.
pub(crate) async fn run_checks(state: &HttpState) -> Result<(), Problem> {
    let app = state.app().clone();
    let ping = state.run(async move { timeout(CHECK_DEADLINE, app.ping()).await });
    match ping.await? {
        Ok(pinged) => pinged?,
        Err(_) => return Err(not_ready("store", "the store did not answer in time".to_owned())),
    }
    for ReadinessCheck { name, check } in state.readiness_checks() {
        let checking = check();
        match state
            .run(async move { timeout(CHECK_DEADLINE, checking).await })
            .await?
        {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(not_ready(name, reason)),
            Err(_) => return Err(not_ready(name, "the check did not finish in time".to_owned())),
        }
    }
    Ok(())
}
