//! Signals that end the process.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that ask the process to end: SIGINT (Ctrl-C) and SIGTERM.
#[derive(Debug)]
pub struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// From now on these signals no longer end the process by themselves. Needs a runtime.
    ///
    /// # Errors
    /// When the system does not let go of a signal.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of them, and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
