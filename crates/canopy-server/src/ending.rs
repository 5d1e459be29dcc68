//! The end of the process within a time limit.

use std::io;
use std::process::exit;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time for writing the last log line before a hard end.
const LAST_LINE: Duration = Duration::from_millis(200);

/// A hard end of the process at a deadline. It runs on its own thread, so that nothing that hangs elsewhere can prevent
/// it. Dropping it cancels it.
#[derive(Debug)]
pub struct HardEnd {
    begun: Instant,
    timeout: Duration,
    stage: Arc<Mutex<&'static str>>,
    _armed: Sender<()>,
}

impl HardEnd {
    /// Ends the process with exit code 1 after this time.
    ///
    /// # Errors
    /// Fails if the system refuses the thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "the main thread may hang, so it cannot return an exit code"
    )]
    pub fn after(timeout: Duration) -> io::Result<Self> {
        let stage = Arc::new(Mutex::new("nothing yet"));
        let (armed, called_off) = channel();
        let unfinished = Arc::clone(&stage);
        thread::Builder::new().name("hard end".to_owned()).spawn(move || {
            if called_off.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
                let unfinished = *unfinished.lock().unwrap_or_else(PoisonError::into_inner);
                tracing::error!(unfinished, "shutdown timeout; ending at once");
                called_off.recv_timeout(LAST_LINE).ok();
                exit(1);
            }
        })?;
        Ok(Self {
            begun: Instant::now(),
            timeout,
            stage,
            _armed: armed,
        })
    }

    /// Sets the name of the current stage.
    pub fn enter(&self, stage: &'static str) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Returns the time for running requests: the later stages need a part of the whole.
    pub fn time_for_requests(&self) -> Duration {
        self.timeout.saturating_sub(self.time_afterwards())
    }

    fn time_afterwards(&self) -> Duration {
        (self.timeout / 4).min(Duration::from_secs(5))
    }

    /// Returns most of the remaining time, for one of the last stages.
    pub fn time_left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed()) * 3 / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_most_of_the_time_and_the_rest_has_some() {
        let requests = |seconds| {
            let end = HardEnd::after(Duration::from_secs(seconds)).unwrap();
            end.time_for_requests()
        };
        assert_eq!(requests(60), Duration::from_secs(55));
        assert_eq!(requests(8), Duration::from_secs(6));
        let end = HardEnd::after(Duration::from_secs(600)).unwrap();
        assert!(end.time_left() <= Duration::from_secs(450) && end.time_left() > Duration::from_secs(400));
    }
}
