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

/// The time that a request waits for its work: far longer than any store takes, so that nobody waits for ever for one
/// that hangs.
const WORK_DEADLINE: Duration = Duration::from_secs(300);

/// The time that a body waits for its part of the memory for bodies.
pub const BODY_WAIT: Duration = Duration::from_secs(5);

/// The largest document of an environment, in bytes, where nothing else is said.
const IMPORT_BYTES: usize = 256 * 1024 * 1024;

/// The service behind the routes, shared by all workers.
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
    /// Puts the adapter together. Use cases run on `runtime`, which must have several threads: a client that hangs up
    /// cannot cut them there, and a worker that is busy does not hold them up.
    ///
    /// Refused attempts are written to the audit log by a task of its own on `runtime`, which ends, when the last clone of
    /// the state has gone, after it has written what is left.
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

    /// Takes so many items in a bulk call instead of 10,000.
    #[must_use]
    pub fn with_max_items(self, max_items: usize) -> Self {
        self.set(|settings| settings.max_items = max_items)
    }

    /// Answers at most so many bytes at once instead of 64 MiB. What would be larger is refused.
    #[must_use]
    pub fn with_max_answer_bytes(self, max_answer_bytes: usize) -> Self {
        self.set(|settings| settings.max_answer_bytes = max_answer_bytes)
    }

    /// Takes documents of so many bytes in imports, exports and copies instead of 256 MiB.
    #[must_use]
    pub fn with_import_bytes(self, import_bytes: usize) -> Self {
        self.set(|settings| settings.import_bytes = import_bytes)
    }

    /// Waits so long for the whole body of a request; thirty seconds, where this is not said.
    #[must_use]
    pub fn with_body_timeout(self, body_timeout: Duration) -> Self {
        self.set(|settings| settings.body_timeout = body_timeout)
    }

    /// Lets the bodies of requests take so many MiB together instead of 256. A body waits no longer than `wait` for its
    /// part; five seconds, where this is not said.
    #[must_use]
    pub fn with_body_memory(self, mib: u32, wait: Duration) -> Self {
        self.set(|settings| settings.bodies = Arc::new(BodyBudget::new(mib, wait)))
    }

    /// Reports in the metrics how many lines the log could not write.
    #[must_use]
    pub fn with_lost_log_lines(self, count: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.lost_log_lines = Some(Arc::new(count)))
    }

    /// Tells programs that look for its calls that they reach the service at this URL, which has no `/` at its end;
    /// `http://localhost`, where this is not said.
    #[must_use]
    pub fn with_public_url(self, public_url: &str) -> Self {
        self.set(|settings| public_url.clone_into(&mut settings.public_url))
    }

    /// Limits callers like this instead of as [`LimitOptions::default`] says.
    #[must_use]
    pub fn with_limits(self, options: LimitOptions) -> Self {
        self.set(|settings| settings.limits = Arc::new(Limits::new(options)))
    }

    /// Leaves `/metrics` to a [`metrics_server`](crate::metrics_server) of its own.
    #[must_use]
    pub fn with_metrics_apart(self) -> Self {
        self.set(|settings| settings.metrics_apart = true)
    }

    /// Adds a condition for being ready.
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

    /// Lets at most so many bytes of answers wait for their readers instead of 256 MiB. Further ones are refused.
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

    /// The documents of the service, once they are written.
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

    /// Runs work on the shared runtime to its end, whatever becomes of the request.
    ///
    /// # Errors
    /// 503 after [`WORK_DEADLINE`]. The work goes on; what it writes may still be committed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        match timeout(WORK_DEADLINE, self.inner.runtime.spawn(work)).await {
            Ok(done) => done.map_err(Problem::internal),
            Err(late) => {
                let mut problem = Problem::new(
                    ErrorCode::Unavailable,
                    "the service did not finish in time; a change may still be made",
                );
                problem.cause = Some(late.into());
                Err(problem)
            }
        }
    }

    /// Runs work here, on the worker that read the request; what it hands to others goes to the shared runtime. It ends with
    /// the request, so it must leave nothing half done.
    pub(crate) async fn run_here<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _entered = self.inner.runtime.enter();
            work.as_mut().poll(context)
        })
        .await
    }

    /// Runs work that seldom has to wait: here and now if it does not, else on the shared runtime.
    pub(crate) async fn run_quick<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let mut work: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(work);
        let first = {
            // What the work hands to a thread pool must go to that of the shared runtime.
            let _entered = self.inner.runtime.enter();
            work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        match first {
            Poll::Ready(done) => Ok(done),
            Poll::Pending => self.run(work).await,
        }
    }
}
