//! Windows of time: half open, closed at the start and open at the end.

use crate::{AssignmentStatus, Timestamp};

/// A half-open window: it holds while `from <= now < to`, and forever without an end.
///
/// ```
/// # use canopy_domain::{AssignmentStatus, Timestamp, Window};
/// let at = |millis| Timestamp::from_millis(millis).expect("a small number");
/// let window = Window::new(at(10), Some(at(20)))?;
/// assert_eq!(window.status_at(at(9)), AssignmentStatus::Scheduled);
/// assert_eq!(window.status_at(at(10)), AssignmentStatus::Active);
/// assert_eq!(window.status_at(at(19)), AssignmentStatus::Active);
/// assert_eq!(window.status_at(at(20)), AssignmentStatus::Expired);
/// assert!(Window::new(at(10), Some(at(10))).is_err());
/// # Ok::<(), canopy_domain::WindowError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    from: Timestamp,
    to: Option<Timestamp>,
}

/// The end of a window is not after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`effective_to` must be after `effective_from`")]
pub struct WindowError;

impl Window {
    /// The window that holds at every instant.
    pub const ALWAYS: Self = Self {
        from: Timestamp::MIN,
        to: None,
    };

    /// Creates a window from `from` up to, but not including, `to`.
    ///
    /// # Errors
    /// [`WindowError`] if the end is not after the start.
    pub fn new(from: Timestamp, to: Option<Timestamp>) -> Result<Self, WindowError> {
        if to.is_some_and(|to| to <= from) {
            return Err(WindowError);
        }
        Ok(Self { from, to })
    }

    /// Creates a window from a store that kept instants finer than a millisecond. A window that truncation left empty
    /// lasts one millisecond, so that no stored row is lost.
    ///
    /// # Errors
    /// [`WindowError`] if the end is before the start.
    pub fn restored(from: Timestamp, to: Option<Timestamp>) -> Result<Self, WindowError> {
        let next = Timestamp::from_millis(from.as_millis().saturating_add(1)).ok();
        Self::new(from, if to == Some(from) { next } else { to })
    }

    /// Returns the first instant in it.
    pub const fn from(&self) -> Timestamp {
        self.from
    }

    /// Returns the first instant after it; `None` if it never ends.
    pub const fn to(&self) -> Option<Timestamp> {
        self.to
    }

    /// Returns the smallest window that contains both.
    #[must_use]
    pub fn joined_with(&self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.zip(other.to).map(|(one, two)| one.max(two)),
        }
    }

    /// Returns the status of the window at an instant.
    pub fn status_at(&self, now: Timestamp) -> AssignmentStatus {
        if now < self.from {
            AssignmentStatus::Scheduled
        } else if self.to.is_none_or(|to| now < to) {
            AssignmentStatus::Active
        } else {
            AssignmentStatus::Expired
        }
    }

    /// Returns whether it is open at `now` and ends within the following
    /// [`EXPIRING_SOON_SECONDS`](crate::EXPIRING_SOON_SECONDS).
    pub fn is_expiring_soon(&self, now: Timestamp) -> bool {
        let soon = now.plus_seconds(crate::EXPIRING_SOON_SECONDS);
        self.status_at(now) == AssignmentStatus::Active && self.to.is_some_and(|to| to <= soon)
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use crate::{AssignmentStatus as S, Timestamp};

    const DAY: i64 = 24 * 3600 * 1_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn status_changes_exactly_at_the_borders() {
        let window = Window::new(at(10), Some(at(12))).unwrap();
        let seen: Vec<S> = (9..=13).map(|now| window.status_at(at(now))).collect();
        assert_eq!(seen, [S::Scheduled, S::Active, S::Active, S::Expired, S::Expired]);
        let endless = Window::new(at(10), None).unwrap();
        assert_eq!(endless.status_at(Timestamp::MAX), S::Active);
    }

    #[test]
    fn the_end_must_lie_after_the_start() {
        assert!(Window::new(at(10), Some(at(11))).is_ok());
        assert!(Window::new(at(10), Some(at(10))).is_err());
        assert!(Window::new(at(10), Some(at(9))).is_err());
    }

    #[test]
    fn a_kept_window_that_truncation_left_empty_lasts_a_millisecond() {
        let fine = |micros| Timestamp::from_micros(micros).unwrap();
        let restored = |from, to| Window::restored(fine(from), Some(fine(to)));
        assert_eq!(restored(10_100, 10_400), Window::new(at(10), Some(at(11))));
        assert_eq!(restored(10_100, 12_400), Window::new(at(10), Some(at(12))));
        assert!(restored(10_100, 9_000).is_err());
        assert_eq!(Window::restored(at(10), None), Window::new(at(10), None));
        assert!(
            Window::new(fine(10_100), Some(fine(10_400))).is_err(),
            "a new one is refused"
        );
    }

    #[test]
    fn expiring_soon_is_active_and_ending_within_seven_days() {
        let window = Window::new(at(0), Some(at(8 * DAY))).unwrap();
        assert!(!window.is_expiring_soon(at(DAY - 1)));
        assert!(window.is_expiring_soon(at(DAY)));
        assert!(window.is_expiring_soon(at(8 * DAY - 1)));
        assert!(!window.is_expiring_soon(at(8 * DAY)));
        assert!(!Window::new(at(0), None).unwrap().is_expiring_soon(at(DAY)));
    }
}
