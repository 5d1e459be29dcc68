//! Texts of statements.

use std::sync::{LazyLock, Mutex, PoisonError};

/// The text of a statement: put together at its first use and the same from then on, so a connection prepares it once.
///
/// Made with [`sql!`](crate::sql) alone, which notes the place in the source. A test compares the places that were used with
/// those in the source, so no statement goes untested.
#[derive(Debug)]
pub struct SqlText(LazyLock<String>);

/// A place in the source where a statement's text is: its file and line.
pub type Place = (&'static str, u32);

static USED: Mutex<Vec<Place>> = Mutex::new(Vec::new());

impl SqlText {
    #[doc(hidden)]
    pub const fn new(text: fn() -> String) -> Self {
        Self(LazyLock::new(text))
    }

    /// The text.
    pub fn text(&'static self) -> &'static str {
        &self.0
    }
}

/// Notes that the text at a place was used for the first time.
#[doc(hidden)]
pub fn note_use(place: Place) {
    USED.lock().unwrap_or_else(PoisonError::into_inner).push(place);
}

/// The places of the texts that this process has used, for tests.
#[doc(hidden)]
pub fn used() -> Vec<Place> {
    USED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The text of a statement, formatted as by [`format!`]: `static SELECT: SqlText = sql!("SELECT {RoleRow} FROM roles");`.
#[macro_export]
macro_rules! sql {
    ($($text:tt)+) => {
        $crate::text::SqlText::new(|| {
            $crate::text::note_use((::core::file!(), ::core::line!()));
            ::std::format!($($text)+)
        })
    };
}
