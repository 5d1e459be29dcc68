//! One consistent state of the store, for look-ups that seldom need one.

use crate::AppError;
use canopy_domain::port::{ReadTx, Share, Store};

/// The source of facts that are not cached.
#[derive(Clone, Copy)]
pub(super) enum Source<'s> {
    /// None: whatever needs the store fails.
    Memory,
    Store(&'s dyn Store),
}

impl<'s> Source<'s> {
    /// Returns the store. Call it before anything that waits.
    ///
    /// # Errors
    /// [`AppError::Broken`] where there is memory alone.
    pub(super) fn store(self) -> Result<&'s dyn Store, AppError> {
        match self {
            Self::Memory => Err(MEMORY_ALONE),
            Self::Store(store) => Ok(store),
        }
    }
}

/// Reads facts in one consistent state of the store, which is opened by the first read.
pub(super) struct Reader<'s> {
    source: Source<'s>,
    tx: Option<Box<dyn ReadTx>>,
}

/// The error of a read where there is memory alone. [`Sessions::recall`](super::Sessions::recall) drops it.
const MEMORY_ALONE: AppError = AppError::Broken("a fact is not cached, and the store must not be read");

impl<'s> Reader<'s> {
    pub(super) const fn new(source: Source<'s>) -> Self {
        Self { source, tx: None }
    }

    /// The source of its reads.
    pub(super) const fn source(&self) -> Source<'s> {
        self.source
    }

    /// Returns the transaction. The tenant that opens it pays for it.
    ///
    /// # Errors
    /// [`AppError::Broken`] where there is memory alone; [`AppError::Store`].
    pub(super) async fn tx(&mut self, share: impl Into<Share>) -> Result<&mut dyn ReadTx, AppError> {
        let tx = if let Some(tx) = self.tx.take() {
            tx
        } else {
            let share = share.into();
            self.source.store()?.read_for(share).await?
        };
        Ok(self.tx.insert(tx).as_mut())
    }
}
