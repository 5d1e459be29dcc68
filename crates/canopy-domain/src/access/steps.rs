//! Passes that pause and stop: each calls back after so many steps, and ends with the error it is given.

use core::convert::Infallible;

/// Steps between two calls: some ten microseconds of work.
pub(super) const STEPS: u32 = 1_024;

/// Counts the steps of a pass and calls back now and then.
pub(super) struct Steps<F> {
    left: u32,
    call: F,
}

impl<E, F: FnMut() -> Result<(), E>> Steps<F> {
    pub(super) const fn new(call: F) -> Self {
        Self { left: STEPS, call }
    }

    /// Takes one step.
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

    /// Takes a step that is as long as many.
    pub(super) fn take_long(&mut self) -> Result<(), E> {
        self.left = STEPS;
        (self.call)()
    }
}

/// Never stops.
#[expect(clippy::unnecessary_wraps, reason = "it stands for what may stop")]
pub(super) const fn on() -> Result<(), Infallible> {
    Ok(())
}
