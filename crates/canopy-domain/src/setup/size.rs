//! The size that a catalog may have.

use super::Catalog;
use crate::SYSTEM_PERMISSION_KEYS;
use crate::transfer::{Contents, Document};

/// The size of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CatalogSize {
    /// Permission keys, those of the system among them.
    pub keys: usize,
    /// Pairs of a role and a key that it bundles, in all roles together.
    pub pairs: usize,
}

/// The largest size of a catalog, whatever calls it is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogLimits {
    /// The largest number of permission keys.
    pub keys: usize,
    /// The largest number of pairs of a role and a key that it bundles.
    pub pairs: usize,
}

impl Default for CatalogLimits {
    fn default() -> Self {
        Self {
            keys: 50_000,
            pairs: 1_000_000,
        }
    }
}

/// Why a catalog cannot become as large as a call would make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Too many permission keys.
    #[error("the catalog would have {keys} permission keys; it can have {max}")]
    TooManyKeys {
        /// The number that it would have.
        keys: usize,
        /// The number that it can have.
        max: usize,
    },
    /// Too many pairs of a role and a key.
    #[error("the roles would bundle {pairs} keys in all; they can bundle {max}")]
    TooManyPairs {
        /// The number that they would bundle.
        pairs: usize,
        /// The number that they can bundle.
        max: usize,
    },
}

impl CatalogLimits {
    /// Makes sure that a catalog may go from one size to another. One that shrinks, or stays as large, always may: limits can
    /// be lowered below what an environment has.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub const fn admit(&self, before: CatalogSize, after: CatalogSize) -> Result<(), CatalogError> {
        if after.keys > self.keys && after.keys > before.keys {
            return Err(CatalogError::TooManyKeys {
                keys: after.keys,
                max: self.keys,
            });
        }
        if after.pairs > self.pairs && after.pairs > before.pairs {
            return Err(CatalogError::TooManyPairs {
                pairs: after.pairs,
                max: self.pairs,
            });
        }
        Ok(())
    }
}

impl CatalogSize {
    /// This size with more keys and pairs.
    #[must_use]
    pub const fn plus(self, keys: usize, pairs: usize) -> Self {
        Self {
            keys: self.keys + keys,
            pairs: self.pairs + pairs,
        }
    }
}

impl Contents {
    /// The size of the catalog.
    pub fn catalog_size(&self) -> CatalogSize {
        CatalogSize {
            keys: self.permissions.len(),
            pairs: self.roles.iter().map(|one| one.permissions.len()).sum(),
        }
    }
}

impl Document {
    /// The size of the catalog of an environment that is what the document says: what the system adds is counted too.
    pub fn catalog_size(&self) -> CatalogSize {
        let system = SYSTEM_PERMISSION_KEYS.len();
        CatalogSize {
            keys: self.permissions.len() + system,
            pairs: self
                .roles
                .values()
                .map(|role| role.permission_keys.len())
                .sum::<usize>()
                + system,
        }
    }
}

impl Catalog {
    /// Its size.
    pub fn size(&self) -> CatalogSize {
        CatalogSize {
            keys: self.permissions.len(),
            pairs: self.roles.values().map(|role| role.permissions.len()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(keys: usize, pairs: usize) -> CatalogSize {
        CatalogSize { keys, pairs }
    }

    #[test]
    fn a_catalog_grows_up_to_its_limits_and_always_shrinks() {
        let limits = CatalogLimits { keys: 10, pairs: 20 };
        for (before, after, expected) in [
            (size(0, 0), size(10, 20), Ok(())),
            (
                size(0, 0),
                size(11, 21),
                Err(CatalogError::TooManyKeys { keys: 11, max: 10 }),
            ),
            (
                size(9, 20),
                size(10, 21),
                Err(CatalogError::TooManyPairs { pairs: 21, max: 20 }),
            ),
            // Made when the limits were higher.
            (size(30, 60), size(30, 60), Ok(())),
            (size(30, 60), size(29, 59), Ok(())),
            (
                size(30, 60),
                size(31, 5),
                Err(CatalogError::TooManyKeys { keys: 31, max: 10 }),
            ),
            (
                size(30, 60),
                size(5, 61),
                Err(CatalogError::TooManyPairs { pairs: 61, max: 20 }),
            ),
        ] {
            assert_eq!(limits.admit(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_real_cloud_catalog_fits_the_defaults() {
        assert_eq!(
            CatalogLimits::default().admit(size(14, 14), size(13_804, 165_193)),
            Ok(())
        );
    }
}
