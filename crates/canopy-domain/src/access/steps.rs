//! Passes that can pause and stop: each calls back every few steps, and ends with the first error returned.

use core::convert::Infallible;

/// Steps between two calls: about ten microseconds of work.
pub(super) const STEPS: u32 = 1_024;

/// Counts the steps of a pass and calls back periodically.
pub(super) struct Steps<F> {
    left: u32,
    call: F,
}

impl<E, F: FnMut() -> Result<(), E>> Steps<F> {
    pub(super) const fn new(call: F) -> Self {
        Self { left: STEPS, call }
    }

    /// Counts one step.
    #[inline]
    pub(super) fn take(&mut self) -> Result<(), E> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.take_long(),
        }
    }

    /// Counts a step that is as long as many.
    pub(super) fn take_long(&mut self) -> Result<(), E> {
        self.left = STEPS;
        (self.call)()
    }
}

/// Continues always.
#[expect(clippy::unnecessary_wraps, reason = "it stands for what may stop")]
pub(super) const fn on() -> Result<(), Infallible> {
    Ok(())
}
