//! How many questions a fence gathers before it is asked.

use std::time::Instant;

/// How fast questions come, and what follows from it.
///
/// A query takes about as much of the processors as a check does without it. As long as questions come at [`FREE`](Self::FREE)
/// a second or less, each may have one of its own and nobody waits for company. Above that, a round gathers the more
/// questions the faster they come; they come by themselves within about half a millisecond. Never more than there are who
/// ask at the same time: how many that are is found out by waiting for one more now and then, and for fewer when they did
/// not come.
#[derive(Debug)]
pub(super) struct BatchPolicy {
    /// How many came lately, the older the less they count.
    questions: f64,
    /// In how many seconds.
    seconds: f64,
    /// When the last round was closed.
    last: Option<Instant>,
    /// How many are believed to come.
    limit: usize,
    /// How often in a row just so many did.
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
    /// Questions a second that need no company.
    const FREE: f64 = 8_000.0;
    /// The most that a round waits for.
    const MOST: f64 = 32.0;
    /// How often in a row as many as are believed to come have come before one more is waited for.
    const PROOF: u32 = 128;
    /// How much a round counts beside the one after it.
    const MEMORY: f64 = 0.98;

    /// How many questions a round waits for.
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

    /// Notes a round that was closed with so many questions, and whether those came that it waited for.
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

    /// What a pace wants after rounds of so many questions, so many microseconds apart.
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
        // Six ask at the same time, as fast as they can.
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
