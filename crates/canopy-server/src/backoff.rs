//! Exponential backoff between retries.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles the wait after each failure, up to a few seconds. A try that lasted longer than that resets it.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    tried: Instant,
}

impl Backoff {
    /// Creates a backoff before the first try.
    pub fn new() -> Self {
        Self {
            next: FIRST,
            tried: Instant::now(),
        }
    }

    /// Waits before the next try.
    pub async fn wait(&mut self) {
        let pause = self.take(self.tried.elapsed());
        tokio::time::sleep(pause).await;
        self.tried = Instant::now();
    }

    fn take(&mut self, lasted: Duration) -> Duration {
        let pause = if lasted > LONGEST { FIRST } else { self.next };
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_ever_longer_until_something_lasts() {
        let mut backoff = Backoff::new();
        let mut pause = |lasted| backoff.take(Duration::from_millis(lasted)).as_millis();
        let pauses: Vec<u128> = [0, 10, 0, 0, 5_000, 0, 0, 0].map(&mut pause).into();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!([pause(5_001), pause(0)], [100, 200]);
    }
}
