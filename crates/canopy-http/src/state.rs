//! The shared state of all requests.

use crate::body_budget::{self, BodyBudget};
use crate::documents::Documents;
use crate::error_code::ErrorCode;
use crate::limits::{LimitOptions, Limits};
use crate::log_budget::LogBudget;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::readiness::ReadinessCheck;
use crate::rendered::InFlight;
use crate::token::RefusedCredentials;
use crate::wire::MAX_ITEMS;
use canopy_app::App;
use canopy_app::audit::refusals::{self, Refusals};
use canopy_domain::port::TokenVerifier;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// Maximum time that a request waits for its work. Far longer than any store needs, so that no request waits forever
/// for a store that hangs.
const WORK_DEADLINE: Duration = Duration::from_secs(300);

/// Maximum time that a body waits for its part of the body memory.
pub const BODY_WAIT: Duration = Duration::from_secs(5);

/// The default maximum size of a document of an environment, in bytes.
const IMPORT_BYTES: usize = 256 * 1024 * 1024;

/// The state behind the routes, shared by all workers.
#[derive(Clone)]
pub struct HttpState {
    inner: Arc<Inner>,
    settings: Arc<Settings>,
}

struct Inner {
    app: App,
    tokens: Arc<dyn TokenVerifier>,
    runtime: Handle,
    refusals: Refusals,
    refused_credentials: RefusedCredentials,
    metrics: Metrics,
    log_budget: LogBudget,
    documents: OnceCell<Documents>,
}

#[derive(Clone)]
struct Settings {
    limits: Arc<Limits>,
    metrics_apart: bool,
    body_timeout: Duration,
    bodies: Arc<BodyBudget>,
    lost_log_lines: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
    public_url: String,
    max_items: usize,
    max_answer_bytes: usize,
    in_flight: InFlight,
    import_bytes: usize,
    readiness_checks: Vec<ReadinessCheck>,
}

impl core::fmt::Debug for HttpState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HttpState")
            .field("app", &self.inner.app)
            .finish_non_exhaustive()
    }
}

impl HttpState {
    /// Creates the adapter. Use cases run on `runtime`, which must have several threads: there, a client that hangs up
    /// cannot interrupt them, and a busy worker does not delay them.
    ///
    /// A task on `runtime` writes refused attempts to the audit log. It ends after the last clone of the state is
    /// dropped and all attempts are written.
    pub fn new(app: App, tokens: Arc<dyn TokenVerifier>, runtime: Handle) -> Self {
        let (refusals, writing) = refusals::queue(&app);
        runtime.spawn(writing);
        Self {
            inner: Arc::new(Inner {
                app,
                tokens,
                runtime,
                refusals,
                refused_credentials: RefusedCredentials::default(),
                metrics: Metrics::new(),
                log_budget: LogBudget::new(),
                documents: OnceCell::new(),
            }),
            settings: Arc::new(Settings {
                limits: Arc::new(Limits::new(LimitOptions::default())),
                metrics_apart: false,
                body_timeout: Duration::from_secs(30),
                bodies: Arc::new(BodyBudget::new(body_budget::DEFAULT_MIB, BODY_WAIT)),
                lost_log_lines: None,
                public_url: "http://localhost".to_owned(),
                max_items: MAX_ITEMS,
                max_answer_bytes: 64 * 1024 * 1024,
                in_flight: InFlight::new(256 * 1024 * 1024),
                import_bytes: IMPORT_BYTES,
                readiness_checks: Vec::new(),
            }),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// Sets the maximum number of items of a bulk call. Default: 10,000.
    #[must_use]
    pub fn with_max_items(self, max_items: usize) -> Self {
        self.set(|settings| settings.max_items = max_items)
    }

    /// Sets the maximum size of a response in bytes. Default: 64 MiB. Larger ones are refused.
    #[must_use]
    pub fn with_max_answer_bytes(self, max_answer_bytes: usize) -> Self {
        self.set(|settings| settings.max_answer_bytes = max_answer_bytes)
    }

    /// Sets the maximum size of documents in imports, exports and copies, in bytes. Default: 256 MiB.
    #[must_use]
    pub fn with_import_bytes(self, import_bytes: usize) -> Self {
        self.set(|settings| settings.import_bytes = import_bytes)
    }

    /// Sets the time for the whole body of a request. Default: thirty seconds.
    #[must_use]
    pub fn with_body_timeout(self, body_timeout: Duration) -> Self {
        self.set(|settings| settings.body_timeout = body_timeout)
    }

    /// Sets the memory for all request bodies together, in MiB (default: 256), and the time that a body waits for its
    /// part (default: five seconds).
    #[must_use]
    pub fn with_body_memory(self, mib: u32, wait: Duration) -> Self {
        self.set(|settings| settings.bodies = Arc::new(BodyBudget::new(mib, wait)))
    }

    /// Reports in the metrics how many lines the log could not write.
    #[must_use]
    pub fn with_lost_log_lines(self, count: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.lost_log_lines = Some(Arc::new(count)))
    }

    /// Sets the URL under which clients reach the service, without a `/` at its end. AuthZEN metadata contains it.
    /// Default: `http://localhost`.
    #[must_use]
    pub fn with_public_url(self, public_url: &str) -> Self {
        self.set(|settings| public_url.clone_into(&mut settings.public_url))
    }

    /// Sets the limits on callers. Default: [`LimitOptions::default`].
    #[must_use]
    pub fn with_limits(self, options: LimitOptions) -> Self {
        self.set(|settings| settings.limits = Arc::new(Limits::new(options)))
    }

    /// Removes `/metrics`, which a [`metrics_server`](crate::metrics_server) serves instead.
    #[must_use]
    pub fn with_metrics_apart(self) -> Self {
        self.set(|settings| settings.metrics_apart = true)
    }

    /// Adds a readiness condition.
    #[must_use]
    pub fn with_readiness_check(self, check: ReadinessCheck) -> Self {
        self.set(|settings| settings.readiness_checks.push(check))
    }

    pub(crate) fn readiness_checks(&self) -> &[ReadinessCheck] {
        &self.settings.readiness_checks
    }

    pub(crate) fn metrics_apart(&self) -> bool {
        self.settings.metrics_apart
    }

    pub(crate) fn public_url(&self) -> &str {
        &self.settings.public_url
    }

    pub(crate) fn max_items(&self) -> usize {
        self.settings.max_items
    }

    /// Sets the maximum number of bytes of responses in flight. Default: 256 MiB. Further ones are refused.
    #[must_use]
    pub fn with_max_bytes_in_flight(self, max_bytes: usize) -> Self {
        self.set(|settings| settings.in_flight = InFlight::new(max_bytes))
    }

    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.settings.in_flight
    }

    pub(crate) fn max_answer_bytes(&self) -> usize {
        self.settings.max_answer_bytes
    }

    pub(crate) fn import_bytes(&self) -> usize {
        self.settings.import_bytes
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    pub(crate) fn refused_credentials(&self) -> &RefusedCredentials {
        &self.inner.refused_credentials
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn log_budget(&self) -> &LogBudget {
        &self.inner.log_budget
    }

    /// Returns the cache of the service's documents.
    pub(crate) fn documents(&self) -> &OnceCell<Documents> {
        &self.inner.documents
    }

    pub(crate) fn bodies(&self) -> &BodyBudget {
        &self.settings.bodies
    }

    pub(crate) fn lost_log_lines(&self) -> u64 {
        self.settings.lost_log_lines.as_ref().map_or(0, |count| count())
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        self.settings.body_timeout
    }

    pub(crate) fn app(&self) -> &App {
        &self.inner.app
    }

    pub(crate) fn tokens(&self) -> &Arc<dyn TokenVerifier> {
        &self.inner.tokens
    }

    /// Runs work on the shared runtime to its end, even if the request is dropped.
    ///
    /// # Errors
    /// 503 after [`WORK_DEADLINE`]. The work continues; its writes may still be committed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        match timeout(WORK_DEADLINE, self.inner.runtime.spawn(work)).await {
            Ok(done) => done.map_err(Problem::internal),
            Err(late) => {
                let mut problem = Problem::new(
                    ErrorCode::Unavailable,
                    "the service did not finish in time; the change may still be committed",
                );
                problem.cause = Some(late.into());
                Err(problem)
            }
        }
    }

    /// Runs work on the worker that read the request; tasks that it spawns go to the shared runtime. It is dropped with
    /// the request, so it must leave nothing half done.
    pub(crate) async fn run_here<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _entered = self.inner.runtime.enter();
            work.as_mut().poll(context)
        })
        .await
    }

    /// Runs work that rarely waits: here if it does not wait, otherwise on the shared runtime.
    pub(crate) async fn run_quick<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let mut work: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(work);
        let first = {
            // Work that uses a thread pool must use that of the shared runtime.
            let _entered = self.inner.runtime.enter();
            work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        match first {
            Poll::Ready(done) => Ok(done),
            Poll::Pending => self.run(work).await,
        }
    }
}
