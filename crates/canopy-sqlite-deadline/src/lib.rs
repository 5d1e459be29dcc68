//! Deadlines of SQLite statements.
//!
//! SQLite calls a *progress handler* every thousand steps of a statement, on the thread that runs it, and interrupts
//! the statement with `SQLITE_INTERRUPT` if the handler returns a value other than zero. [`install`] registers a
//! handler for every connection that this process opens. The handler compares the clock with the deadline of its
//! thread, which [`limited`] sets. Threads without a deadline are never interrupted, so other users of SQLite in the
//! process are not affected.
//!
//! Diesel has no access to its raw connection, and SQLite's own interface requires C function pointers. So this crate
//! has the only unsafe code of the workspace: one registration, and the entry point that SQLite calls (ADR 0037).

use core::cell::Cell;
use core::ffi::{c_char, c_int, c_void};
use core::time::Duration;
use libsqlite3_sys as ffi;
use std::time::Instant;

/// The number of steps of a statement between two reads of the clock: some tens of microseconds.
const STEPS: c_int = 1_000;

/// The deadline of the running statement of a thread.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    /// The time of each statement; `None` without a limit.
    limit: Option<Duration>,
    /// The end of the statement. Set at the first read of the clock, so that short statements cost none.
    ends: Option<Instant>,
    was_interrupted: bool,
}

impl Deadline {
    const NONE: Self = Self {
        limit: None,
        ends: None,
        was_interrupted: false,
    };
}

thread_local! {
    static DEADLINE: Cell<Deadline> = const { Cell::new(Deadline::NONE) };
}

/// SQLite refused the registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SQLite refused the progress handler with code {0}")]
pub struct InstallError(pub i32);

/// Applies the deadlines of threads to every connection that is opened from now on. Repeated calls have no effect.
///
/// # Errors
/// [`InstallError`] if SQLite is out of memory.
#[expect(
    unsafe_code,
    reason = "SQLite has no other way to reach the connections that diesel opens"
)]
pub fn install() -> Result<(), InstallError> {
    // SAFETY: `watch` has the signature of an extension's entry point, and lives as long as the process.
    let code = unsafe { ffi::sqlite3_auto_extension(Some(watch)) };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(InstallError(code))
    }
}

/// Runs work on this thread whose statements take at most `limit` each, and returns whether one was interrupted. SQLite
/// rolls back the transaction of an interrupted statement that wrote.
///
/// A single step, such as the sort of many rows, is not interrupted.
pub fn limited<T>(limit: Duration, work: impl FnOnce() -> T) -> (T, bool) {
    /// Restores the previous deadline, even if the work panics.
    struct Restore(Deadline);

    impl Drop for Restore {
        fn drop(&mut self) {
            DEADLINE.set(self.0);
        }
    }

    let deadline = Deadline {
        limit: Some(limit),
        ..Deadline::NONE
    };
    let _restore = Restore(DEADLINE.replace(deadline));
    let done = work();
    (done, DEADLINE.get().was_interrupted)
}

/// Starts the time limit of another statement on this thread.
pub fn restart() {
    DEADLINE.set(Deadline {
        ends: None,
        ..DEADLINE.get()
    });
}

/// Returns whether the statement of this thread must end.
fn is_over() -> bool {
    let deadline = DEADLINE.get();
    let Some(limit) = deadline.limit else { return false };
    let now = Instant::now();
    let Some(ends) = deadline.ends else {
        DEADLINE.set(Deadline {
            ends: now.checked_add(limit),
            ..deadline
        });
        return false;
    };
    if now < ends {
        return false;
    }
    DEADLINE.set(Deadline {
        was_interrupted: true,
        ..deadline
    });
    true
}

/// The progress handler. A return value other than zero interrupts the statement.
extern "C" fn progress(_: *mut c_void) -> c_int {
    c_int::from(is_over())
}

/// The entry point that SQLite calls for each opened connection.
#[expect(unsafe_code, reason = "SQLite has no other way to set a progress handler")]
extern "C" fn watch(db: *mut ffi::sqlite3, _: *mut *mut c_char, _: *const ffi::sqlite3_api_routines) -> c_int {
    // SAFETY: SQLite passes an open connection that is not in use yet. The handler needs no data and is `'static`.
    unsafe {
        ffi::sqlite3_progress_handler(db, STEPS, Some(progress), core::ptr::null_mut());
    }
    ffi::SQLITE_OK
}

#[cfg(test)]
mod tests {
    use super::{DEADLINE, is_over, limited, restart};
    use core::time::Duration;

    #[test]
    fn a_thread_without_a_limit_is_never_over() {
        assert!(!is_over());
        assert!(!is_over());
    }

    #[test]
    fn each_statement_has_the_whole_limit_and_what_was_before_comes_back() {
        let ((), was_interrupted) = limited(Duration::ZERO, || {
            assert!(!is_over(), "the clock starts at the first look");
            restart();
            assert!(!is_over());
        });
        assert!(!was_interrupted);
        let (inner, was_interrupted) = limited(Duration::from_secs(600), || {
            let inner = limited(Duration::ZERO, || {
                assert!(!is_over());
                is_over()
            });
            assert!(!is_over());
            inner
        });
        assert_eq!((inner, was_interrupted), ((true, true), false));
        assert!(DEADLINE.get().limit.is_none());
    }
}
