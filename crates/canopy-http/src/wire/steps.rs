//! The work of readers, counted for tests of its bound.

use core::cell::Cell;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Counts work of a reader on this thread: a byte that is looked at, a pair that is compared.
pub(super) fn step(count: usize) {
    STEPS.with(|steps| steps.set(steps.get() + count));
}

/// Takes the number of steps that readers have made on this thread since the last call.
pub(crate) fn take_steps() -> usize {
    STEPS.with(Cell::take)
}
