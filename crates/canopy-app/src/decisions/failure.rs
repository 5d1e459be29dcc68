//! Load failures of an environment that last until an operator acts.

use crate::AppError;
use canopy_domain::port::StoreError;

/// A failure that affects every check of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoadFailure {
    /// Stored data cannot be decoded, or contradicts itself.
    Corrupt(String),
    /// The index would exceed the memory limit.
    TooLarge {
        /// The bytes that it needs.
        bytes: usize,
        /// The bytes that it may use.
        max_bytes: usize,
    },
}

impl LoadFailure {
    /// Returns the failure behind an error; `None` for a temporary one.
    pub(super) fn of(error: &AppError) -> Option<Self> {
        match error {
            AppError::Store(StoreError::Corrupt(what)) => Some(Self::Corrupt(what.clone())),
            AppError::IndexTooLarge { bytes, max_bytes } => Some(Self::TooLarge {
                bytes: *bytes,
                max_bytes: *max_bytes,
            }),
            _ => None,
        }
    }
}

impl From<LoadFailure> for AppError {
    fn from(failure: LoadFailure) -> Self {
        match failure {
            LoadFailure::Corrupt(what) => StoreError::Corrupt(what).into(),
            LoadFailure::TooLarge { bytes, max_bytes } => Self::IndexTooLarge { bytes, max_bytes },
        }
    }
}
