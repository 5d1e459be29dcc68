//! Signals that end the process.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals for a shutdown: SIGINT (Ctrl-C) and SIGTERM.
#[derive(Debug)]
pub struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// Catches these signals, so that they no longer end the process by themselves. Requires a runtime.
    ///
    /// # Errors
    /// Fails if the system refuses to install a handler.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
