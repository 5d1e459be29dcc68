//! A line budget for the request log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lines per second for refused requests without a valid credential.
pub(crate) const STRANGERS: u64 = 20;
/// Lines per second for refused requests of callers.
pub(crate) const CALLERS: u64 = 100;
/// Lines per second for requests that the service failed to answer.
pub(crate) const FAILURES: u64 = 100;

/// A group of lines with a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Refusals of requests without a valid credential.
    Strangers,
    /// Refusals of callers.
    Callers,
    /// Responses with a status of 500 and above.
    Failures,
}

/// Counts the lines of each second and those that were dropped. Dropped lines are logged as a count.
#[derive(Debug)]
pub(crate) struct LogBudget {
    begun: Instant,
    strangers: Window,
    callers: Window,
    failures: Window,
    left_out: AtomicU64,
}

#[derive(Debug)]
struct Window {
    name: &'static str,
    allowed: u64,
    /// The second, and the number of its lines.
    second: AtomicU64,
    lines: AtomicU64,
    left_out: AtomicU64,
}

impl Window {
    const fn new(name: &'static str, allowed: u64) -> Self {
        Self {
            name,
            allowed,
            second: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Returns whether one more line may be written in this second. Threads that race at its begin may write a few
    /// more.
    fn admits(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        let is_admitted = self.lines.fetch_add(1, Ordering::Relaxed) < self.allowed;
        if !is_admitted {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Takes the number of lines dropped before this second.
    fn take_left_out(&self, second: u64) -> u64 {
        if self.left_out.load(Ordering::Relaxed) == 0 || self.second.load(Ordering::Relaxed) >= second {
            return 0;
        }
        self.left_out.swap(0, Ordering::Relaxed)
    }
}

impl LogBudget {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            strangers: Window::new("requests without a valid credential", STRANGERS),
            callers: Window::new("refused requests of callers", CALLERS),
            failures: Window::new("failed requests", FAILURES),
            left_out: AtomicU64::new(0),
        }
    }

    /// Returns whether one more line of this group may be written.
    pub(crate) fn admits(&self, lines: Lines) -> bool {
        let window = match lines {
            Lines::Strangers => &self.strangers,
            Lines::Callers => &self.callers,
            Lines::Failures => &self.failures,
        };
        let is_admitted = window.admits(self.begun.elapsed().as_secs());
        if !is_admitted {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Returns the number of lines dropped since the start.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Logs the number of lines dropped in past seconds.
    pub(crate) fn report(&self) {
        let second = self.begun.elapsed().as_secs();
        for window in [&self.strangers, &self.callers, &self.failures] {
            let left_out = window.take_left_out(second);
            if left_out > 0 {
                tracing::warn!(
                    left_out,
                    of = window.name,
                    lines_a_second = window.allowed,
                    "log lines dropped over the budget"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_lines_and_the_rest_is_counted() {
        let window = Window::new("test", 3);
        let written = |second| (0..5).filter(|_| window.admits(second)).count();
        assert_eq!(written(1), 3);
        assert_eq!(window.take_left_out(1), 0, "the second is not over");
        assert_eq!(window.take_left_out(2), 2);
        assert_eq!(window.take_left_out(3), 0, "nothing is told twice");
        assert_eq!(written(4), 3);
        assert_eq!(window.take_left_out(5), 2);
    }

    #[test]
    fn groups_do_not_take_from_each_other() {
        let budget = LogBudget::new();
        let strangers = (0..10_000).filter(|_| budget.admits(Lines::Strangers)).count();
        assert!(strangers < 10_000 && budget.left_out() > 0);
        assert!(budget.admits(Lines::Callers) && budget.admits(Lines::Failures));
    }
}
