//! Ids of named entities.

use super::NameError;
use crate::uuid::Uuid;
use core::fmt;
use std::collections::HashSet;
use std::sync::Arc;

/// A kind of entity that has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// The environment of the index.
    Environment,
    /// A permission, named by its key.
    Permission,
    /// A role, named by its name.
    Role,
    /// A node, named by its path.
    Node,
    /// An identity, named by any text.
    Identity,
    /// A grant, named by identity, role and node, separated by line breaks.
    Grant,
}

/// A function of the caller that returns ids.
pub(super) type IdFunction = Arc<dyn Fn(IdKind, &str) -> Uuid + Send + Sync>;

/// Creates ids: numbers in the order of the calls, or the results of the caller's function.
#[derive(Clone)]
pub(super) enum Ids {
    Numbered(u64),
    Of { function: IdFunction, taken: HashSet<Uuid> },
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbered(last) => f.debug_tuple("Numbered").field(last).finish(),
            Self::Of { taken, .. } => f
                .debug_struct("Of")
                .field("taken", &taken.len())
                .finish_non_exhaustive(),
        }
    }
}

impl Ids {
    pub(super) fn of(function: IdFunction) -> Self {
        let taken = HashSet::new();
        Self::Of { function, taken }
    }

    /// Returns the id of a new entity.
    pub(super) fn make<T: From<Uuid>>(&mut self, kind: IdKind, name: &str) -> Result<T, NameError> {
        let id = match self {
            Self::Numbered(last) => {
                *last = last.saturating_add(1);
                numbered(kind, *last)
            }
            Self::Of { function, taken } => {
                let id = function(kind, name);
                if id.is_nil() || !taken.insert(id) {
                    let name = name.replace('\n', " ");
                    return Err(NameError::Id { id, name });
                }
                id
            }
        };
        Ok(T::from(id))
    }

    /// Releases the id of a removed entity; the caller's function may return it again.
    pub(super) fn release(&mut self, id: Uuid) {
        if let Self::Of { taken, .. } = self {
            taken.remove(&id);
        }
    }
}

/// Returns a UUID of version 8 (RFC 9562, 5.8) that contains a kind and a number.
fn numbered(kind: IdKind, number: u64) -> Uuid {
    const VERSION_AND_VARIANT: u128 = 0x8000_8000_0000_0000_0000;
    let kind: u128 = match kind {
        IdKind::Environment => 1,
        IdKind::Permission => 2,
        IdKind::Role => 3,
        IdKind::Node => 4,
        IdKind::Identity => 5,
        IdKind::Grant => 6,
    };
    // The number has 48 bits: an index that creates a million entities per second fills it in nine years.
    Uuid::from_u128((kind << 96) | VERSION_AND_VARIANT | u128::from(number & 0xffff_ffff_ffff))
}
