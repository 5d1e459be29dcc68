//! Why an environment cannot be loaded, for a reason that stays until somebody does something about it.

use crate::AppError;
use canopy_domain::port::StoreError;

/// A failure that every question about the environment meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoadFailure {
    /// Stored data cannot be read, or contradicts itself.
    Corrupt(String),
    /// The index would take more memory than one may have.
    TooLarge {
        /// The bytes that it would take.
        bytes: usize,
        /// The bytes that it may take.
        max_bytes: usize,
    },
}

impl LoadFailure {
    /// The failure that an error stands for; `None` for one that may have gone a moment later.
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
