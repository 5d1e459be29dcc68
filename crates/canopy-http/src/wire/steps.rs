//! Counts of parser steps, for tests of their bound.

use core::cell::Cell;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Counts parser steps on this thread: a byte that is examined, a pair that is compared.
pub(super) fn step(count: usize) {
    STEPS.with(|steps| steps.set(steps.get() + count));
}

/// Returns the number of parser steps on this thread since the last call.
pub(crate) fn take_steps() -> usize {
    STEPS.with(Cell::take)
}
