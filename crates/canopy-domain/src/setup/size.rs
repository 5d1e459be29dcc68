//! The size of a catalog, and its limits.

use super::Catalog;
use crate::SYSTEM_PERMISSION_KEYS;
use crate::transfer::{Contents, Document};

/// The size of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CatalogSize {
    /// Number of permission keys, including system permissions.
    pub keys: usize,
    /// Number of pairs of a role and one of its permissions, over all roles.
    pub pairs: usize,
}

/// The limits on a catalog, whatever calls create it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogLimits {
    /// Maximum number of permission keys.
    pub keys: usize,
    /// Maximum number of pairs of a role and one of its permissions.
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

/// An error of a catalog that would become too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Too many permission keys.
    #[error("the catalog would have {keys} permission keys; the maximum is {max}")]
    TooManyKeys {
        /// The resulting number.
        keys: usize,
        /// The maximum number.
        max: usize,
    },
    /// Too many pairs of a role and a permission.
    #[error("the roles would bundle {pairs} keys in total; the maximum is {max}")]
    TooManyPairs {
        /// The resulting number.
        pairs: usize,
        /// The maximum number.
        max: usize,
    },
}

impl CatalogLimits {
    /// Checks whether a catalog may change from one size to another. A catalog may always shrink or stay as large,
    /// because a limit can be lowered below the size of an existing one.
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
    /// Returns this size plus a number of keys and pairs.
    #[must_use]
    pub const fn plus(self, keys: usize, pairs: usize) -> Self {
        Self {
            keys: self.keys + keys,
            pairs: self.pairs + pairs,
        }
    }
}

impl Contents {
    /// Returns the size of the catalog.
    pub fn catalog_size(&self) -> CatalogSize {
        CatalogSize {
            keys: self.permissions.len(),
            pairs: self.roles.iter().map(|one| one.permissions.len()).sum(),
        }
    }
}

impl Document {
    /// Returns the size of the catalog of an environment with this document, including the system's rows.
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
    /// Returns its size.
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
            // Created when the limits were higher.
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
