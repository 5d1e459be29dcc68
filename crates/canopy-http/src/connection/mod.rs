//! Connections: their number, and the deadlines of heads, responses and idle connections.
//!
//! actix has a deadline for the first head of a connection and one for idle connections. This layer lies between its
//! HTTP/1 dispatcher and the socket. The [`GuardedStream`](stream::GuardedStream) watches the bytes, the router marks
//! the begin and end of requests, and one [sweep](worker::WorkerConnections::sweep) per worker closes connections that
//! are over a deadline. The [`Registry`](registry::Registry) bounds the number of connections, per client address and
//! in total. It evicts connections that only wait.
//!
//! The hot path costs two relaxed stores per change of phase. Time is read from a clock that the sweeps advance, so
//! deadlines are exact to one sweep interval.

pub(crate) mod refusal;
pub(crate) mod registry;
pub(crate) mod stream;
pub(crate) mod worker;

use crate::state::HttpState;
use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use registry::{Clock, Entry, Phase};
use std::rc::Rc;
use tokio::net::TcpStream;

/// Maximum number of bytes of a head. The parser has its own, larger bound.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Minimum rate, in bytes per second, at which a client must read a response, once the socket's buffer is full and
/// `answer_timeout` has passed.
pub(crate) const MIN_ANSWER_RATE: u64 = 16 * 1024;

/// Deadlines of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// From the first byte of a head to its last.
    pub(crate) head: Duration,
    /// Without any byte of a next head.
    pub(crate) idle: Duration,
    /// Of a response that the client reads more slowly than [`MIN_ANSWER_RATE`].
    pub(crate) answer: Duration,
    /// Between the last response and the client's end of a connection.
    pub(crate) close: Duration,
}

/// The reason for which the server closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The head did not arrive in time.
    SlowHead,
    /// The head grew past [`MAX_HEAD_BYTES`].
    LargeHead,
    /// No byte came before the idle deadline.
    Idle,
    /// The client reads the response too slowly.
    SlowReader,
    /// The client did not close after the last response.
    NotClosed,
    /// The connection was evicted for another one.
    Evicted,
}

impl Cut {
    /// Returns its label in the metrics.
    const fn as_str(self) -> &'static str {
        match self {
            Self::SlowHead => "slow_head",
            Self::LargeHead => "large_head",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::NotClosed => "not_closed",
            Self::Evicted => "evicted",
        }
    }
}

/// The time in which writes were blocked, and the bytes written in it.
#[derive(Debug, Clone, Copy, Default)]
struct Blocked {
    /// The instant at which the currently blocked write was first refused.
    since: Option<u64>,
    /// Milliseconds of earlier blocked writes.
    earlier: u64,
    /// Bytes written since writes were first blocked.
    written: u64,
}

/// One connection: its socket and its phase in the exchange of requests and responses. It stays on one worker.
pub(crate) struct Connection {
    socket: RefCell<TcpStream>,
    entry: Entry,
    clock: Clock,
    state: HttpState,
    /// Bytes since the head began.
    head_bytes: Cell<usize>,
    /// Bytes of the request line received so far.
    line_bytes: Cell<usize>,
    line_is_open: Cell<bool>,
    blocked: Cell<Blocked>,
    /// The instant since which the body of the request is waited for.
    body_since: Cell<Option<u64>>,
    /// True if the last response closes the connection.
    closes: Cell<bool>,
    cut: Cell<Option<Cut>>,
    /// A response that replaces the parser's own, and the number of bytes of it that were sent.
    refusal: RefCell<Option<(Vec<u8>, usize)>>,
    /// True if unread input may be left. Closing at once would then discard the response.
    lingers: Cell<bool>,
    /// True if the client has closed its side.
    has_hung_up: Cell<bool>,
    /// True if a request is being answered whose body is incomplete.
    awaits_body: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    fn new(socket: TcpStream, entry: Entry, clock: Clock, state: HttpState) -> Rc<Self> {
        Rc::new(Self {
            socket: RefCell::new(socket),
            entry,
            clock,
            state,
            head_bytes: Cell::new(0),
            line_bytes: Cell::new(0),
            line_is_open: Cell::new(true),
            blocked: Cell::default(),
            body_since: Cell::new(None),
            closes: Cell::new(false),
            cut: Cell::new(None),
            refusal: RefCell::new(None),
            lingers: Cell::new(false),
            has_hung_up: Cell::new(false),
            awaits_body: Cell::new(false),
            waker: RefCell::new(None),
        })
    }

    /// Marks the begin of a request whose head is complete.
    pub(crate) fn begin_request(&self, has_body: bool) {
        self.entry.enter(Phase::Busy, self.clock.now());
        self.blocked.set(Blocked::default());
        self.body_since.set(None);
        self.awaits_body.set(has_body);
    }

    /// Marks that the request waits for bytes of its body. The wait counts from the first call.
    pub(crate) fn wait_for_body(&self) {
        let since = self.body_since.get().unwrap_or_else(|| self.clock.now());
        self.body_since.set(Some(since));
        self.entry.enter(Phase::Receiving, since);
    }

    /// Marks that bytes of the body have come, or that nothing waits for them any more.
    pub(crate) fn resume_request(&self) {
        if self.entry.phase() == Phase::Receiving {
            self.entry.enter(Phase::Busy, self.clock.now());
        }
    }

    /// Returns whether the connection was evicted for another one.
    pub(crate) fn is_evicted(&self) -> bool {
        self.cut.get() == Some(Cut::Evicted)
    }

    /// Marks the end of the body of a request.
    pub(crate) fn finish_body(&self) {
        self.awaits_body.set(false);
    }

    /// Marks the end of a request: its response is ready to be sent, and is the last one if the connection `closes`.
    pub(crate) fn end_request(&self, closes: bool) {
        self.closes.set(closes);
        self.awaits_body.set(false);
        self.entry.enter(Phase::Answering, self.clock.now());
    }

    /// Returns whether the client has closed its side of the connection.
    pub(crate) const fn has_hung_up(&self) -> bool {
        self.has_hung_up.get()
    }

    fn note_read(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.has_hung_up.set(true);
        }
        match self.entry.phase() {
            Phase::Waiting => {
                self.entry.enter(Phase::Head, self.clock.now());
                self.head_bytes.set(0);
                self.line_bytes.set(0);
                self.line_is_open.set(true);
            }
            Phase::Head => {}
            Phase::Receiving | Phase::Busy | Phase::Answering | Phase::Closing => return,
        }
        self.head_bytes.set(self.head_bytes.get() + bytes.len());
        if self.line_is_open.get() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.line_is_open.set(end.is_none());
            self.line_bytes.set(self.line_bytes.get() + end.unwrap_or(bytes.len()));
        }
    }

    fn note_flushed(&self) {
        if self.entry.phase() == Phase::Answering {
            let next = if self.closes.get() {
                Phase::Closing
            } else {
                Phase::Waiting
            };
            self.entry.enter(next, self.clock.now());
        }
    }

    fn note_written(&self, bytes: usize) {
        let mut blocked = self.blocked.get();
        if let Some(since) = blocked.since.take() {
            blocked.earlier += self.clock.now().saturating_sub(since);
        }
        if blocked.earlier > 0 {
            blocked.written += bytes as u64;
            self.blocked.set(blocked);
        }
        if self.entry.phase() == Phase::Waiting {
            // A response that is sent in parts goes on.
            self.entry.enter(Phase::Answering, self.clock.now());
        }
    }

    fn note_blocked(&self) {
        let mut blocked = self.blocked.get();
        if blocked.since.is_none() {
            blocked.since = Some(self.clock.now());
            self.blocked.set(blocked);
        }
    }

    /// Returns the reason for which the connection must be closed now, if there is one.
    fn overdue(&self, now: u64, deadlines: &Deadlines) -> Option<Cut> {
        if self.entry.is_evicted() {
            return Some(Cut::Evicted);
        }
        let over = |deadline: Duration| u128::from(now.saturating_sub(self.entry.since())) > deadline.as_millis();
        match self.entry.phase() {
            Phase::Head if self.head_bytes.get() > MAX_HEAD_BYTES => Some(Cut::LargeHead),
            Phase::Head if over(deadlines.head) => Some(Cut::SlowHead),
            Phase::Waiting if over(deadlines.idle) => Some(Cut::Idle),
            Phase::Closing if over(deadlines.close) => Some(Cut::NotClosed),
            _ => self.is_slow_reader(now, deadlines).then_some(Cut::SlowReader),
        }
    }

    fn is_slow_reader(&self, now: u64, deadlines: &Deadlines) -> bool {
        let Blocked {
            since,
            earlier,
            written,
        } = self.blocked.get();
        let Some(since) = since else {
            return false;
        };
        let millis = earlier + now.saturating_sub(since);
        u128::from(millis) > deadlines.answer.as_millis() && written < millis * MIN_ANSWER_RATE / 1_000
    }

    /// Ends the connection: reads see its end, writes fail, and its task is woken.
    fn cut(&self, why: Cut) {
        if self.cut.get().is_some() {
            return;
        }
        // A part of an earlier response may be stuck in front of the socket, so nothing can follow it.
        let begun = match self.entry.phase() {
            Phase::Head => true,
            Phase::Receiving => self.blocked.get().since.is_none(),
            Phase::Closing | Phase::Waiting | Phase::Answering | Phase::Busy => false,
        };
        let answer = match why {
            Cut::SlowHead => Some(refusal::slow_head()),
            Cut::LargeHead => Some(self.large_head()),
            // The slot is needed now, so the connection does not linger.
            Cut::Evicted if begun => Some(refusal::too_many_connections()),
            Cut::Evicted | Cut::Idle | Cut::SlowReader | Cut::NotClosed => None,
        };
        if let Some(problem) = answer {
            let bytes = refusal::write(problem, &self.state);
            // Bytes that do not fit are not worth waiting for.
            self.socket.borrow().try_write(&bytes).ok();
            self.lingers.set(why != Cut::Evicted);
        }
        self.state.metrics().count_cut(why.as_str());
        self.cut.set(Some(why));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Returns the refusal of a head past the limit, depending on which part of it is too long.
    fn large_head(&self) -> crate::problem::Problem {
        if self.line_is_open.get() || self.line_bytes.get() >= MAX_HEAD_BYTES - 2 {
            refusal::long_uri()
        } else {
            refusal::large_head()
        }
    }

    fn remember_waker(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|known| !known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    /// Answers a request whose body breaks the framing of HTTP. The dispatcher treats this like a client that has gone:
    /// it drops the request without a response.
    fn refuse_broken_body(&self) {
        if !self.awaits_body.get() || self.has_hung_up.get() || self.cut.get().is_some() {
            return;
        }
        let bytes = refusal::write(refusal::broken_body(), &self.state);
        // Bytes that do not fit are not worth waiting for.
        self.socket.borrow().try_write(&bytes).ok();
        self.lingers.set(true);
    }

    /// Closes the connection so that the client can read the last response: sends the end, then reads on for a while.
    async fn close(self: Rc<Self>, deadline: Duration) {
        self.refuse_broken_body();
        if !self.lingers.get() {
            return;
        }
        self.entry.enter(Phase::Closing, self.clock.now());
        // From here on, a cut ends the lingering.
        self.cut.set(None);
        let closing = core::future::poll_fn(|context| self.poll_close(context));
        tokio::time::timeout(deadline, closing).await.ok();
    }

    fn poll_close(&self, context: &mut Context<'_>) -> Poll<()> {
        use core::pin::Pin;
        use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
        if self.cut.get().is_some() {
            return Poll::Ready(());
        }
        self.remember_waker(context);
        let mut socket = self.socket.borrow_mut();
        if Pin::new(&mut *socket).poll_shutdown(context).is_pending() {
            return Poll::Pending;
        }
        let mut bytes = [0; 4096];
        // A few reads per turn, so that a client that sends fast does not block the worker.
        for _ in 0..16 {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
