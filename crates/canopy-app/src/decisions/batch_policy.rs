//! The policy for the size of a batch of checks that share a fence query.

use std::time::Instant;

/// Chooses the size of the next batch from the recent rate of checks.
///
/// A fence query costs about as much processor time as a check. Up to [`FREE`](Self::FREE) checks a second, each check
/// gets its own query and never waits for others. Above that rate the batch size grows with the square of the rate,
/// since further checks then arrive within about half a millisecond. The number of concurrent callers caps the size.
/// The cap is learned: it grows by one after [`PROOF`](Self::PROOF) full batches in a row, and shrinks when a batch
/// times out.
#[derive(Debug)]
pub(super) struct BatchPolicy {
    /// Recent checks, weighted by age.
    questions: f64,
    /// Seconds in which they arrived, with the same weights.
    seconds: f64,
    /// The time of the last closed batch.
    last: Option<Instant>,
    /// The learned number of concurrent callers.
    limit: usize,
    /// Number of full batches of this size in a row.
    proven: u32,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        Self {
            questions: 0.0,
            seconds: 0.0,
            last: None,
            limit: 1,
            proven: 0,
        }
    }
}

impl BatchPolicy {
    /// Rate, in checks per second, up to which each check gets its own query.
    const FREE: f64 = 8_000.0;
    /// Maximum size of a batch.
    const MOST: f64 = 32.0;
    /// Number of full batches in a row after which the cap grows by one.
    const PROOF: u32 = 128;
    /// Weight of a batch relative to the next one.
    const MEMORY: f64 = 0.98;

    /// Returns the number of checks that the next batch waits for.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 32"
    )]
    pub(super) fn wanted(&self) -> usize {
        let rate = self.questions / self.seconds.max(f64::MIN_POSITIVE);
        let wanted = (rate / Self::FREE).powi(2).round().clamp(1.0, Self::MOST) as usize;
        wanted.min(self.limit)
    }

    /// Records a closed batch: its number of checks, and whether it reached its size.
    #[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
    pub(super) fn note(&mut self, questions: usize, is_full: bool, now: Instant) {
        if !is_full {
            self.limit = (self.limit * 3 / 4).max(1);
            self.proven = 0;
        } else if self.wanted() == self.limit {
            self.proven += 1;
            if self.proven == Self::PROOF {
                self.limit += 1;
                self.proven = 0;
            }
        }
        if let Some(last) = self.last.replace(now) {
            let seconds = now.saturating_duration_since(last).as_secs_f64();
            self.questions = self.questions * Self::MEMORY + questions as f64;
            self.seconds = self.seconds * Self::MEMORY + seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BatchPolicy;
    use core::time::Duration;
    use std::time::Instant;

    /// Returns the wanted size after batches of given sizes and distances in microseconds.
    fn wanted(rounds: &[(usize, u64)], times: usize) -> usize {
        let (mut policy, mut now) = (BatchPolicy::default(), Instant::now());
        for (questions, micros) in rounds.iter().cycle().take(rounds.len() * times) {
            now += Duration::from_micros(*micros);
            policy.note(*questions, true, now);
        }
        policy.wanted()
    }

    #[test]
    fn questions_wait_for_company_only_where_they_come_fast() {
        assert_eq!(wanted(&[], 0), 1);
        assert_eq!(wanted(&[(1, 200)], 100), 1, "5,000 a second");
        assert_eq!(wanted(&[(1, 20), (1, 380)], 50), 1, "not evenly");
        assert_eq!(wanted(&[(4, 160)], 100), 1, "25,000 a second, but not for long");
        assert_eq!(wanted(&[(4, 160)], 5_000), 10, "25,000 a second");
        assert_eq!(wanted(&[(1_000, 1_000)], 5_000), 32, "a million a second");
        let then_idle = [vec![(16, 500); 5_000], vec![(1, 1_000_000)]].concat();
        assert_eq!(wanted(&then_idle, 1), 1, "a pause is noticed at once");
    }

    #[test]
    fn who_does_not_come_is_not_waited_for_again() {
        let (mut policy, mut now) = (BatchPolicy::default(), Instant::now());
        let mut all = Vec::new();
        // Six concurrent callers, as fast as they can.
        for _ in 0..10_000 {
            now += Duration::from_micros(100);
            let wanted = policy.wanted();
            policy.note(6, wanted <= 6, now);
            all.push(wanted);
        }
        let in_vain = all.iter().filter(|wanted| **wanted > 6).count();
        assert!((10..80).contains(&in_vain), "{in_vain}");
        assert_eq!(all.iter().max(), Some(&7));
    }
}
