//! What a store offers when several processes write to it.

use super::{CommitTag, StoreError};
use crate::{EnvironmentId, Revision, Slug};
use async_trait::async_trait;

/// How far an environment has come, and by which names it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The environment.
    pub environment: EnvironmentId,
    /// Its newest committed revision.
    pub revision: Revision,
    /// The tag of that revision, where the store keeps tags.
    pub tag: Option<CommitTag>,
    /// The slug of its application. That of its account never changes.
    pub application_slug: Slug,
    /// Its own slug.
    pub slug: Slug,
}

/// News of a store that several processes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEvent {
    /// The line is up (again). What was announced before is not heard any more.
    Connected,
    /// These environments have reached these revisions, or newer ones.
    Revisions(Vec<(EnvironmentId, Revision)>),
    /// Nothing, but the line is up. Comes at least once a second.
    Alive,
}

/// A store that other processes may write to as well, so that a process cannot know by itself what is newest.
#[async_trait]
pub trait SharedStore: Send + Sync {
    /// The head of each of these environments that exists: one small query, answered from no older state than the moment of
    /// the call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Busy`] when that cannot be had.
    async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError>;

    /// The number of times that another server took the place of the one before, such as by a failover. Rises before
    /// anything is read from or committed to the new server, which may lack what the old one had.
    fn epoch(&self) -> u64 {
        0
    }

    /// Tells every process that listens of revisions that were committed, and of environments that are gone
    /// ([`Revision::END`]). A hint, sent in the background: it may be lost,
    /// late or repeated.
    fn publish(&self, revisions: &[(EnvironmentId, Revision)]);

    /// Hears what others announce, until the line breaks.
    ///
    /// # Errors
    /// Always ends with one: why the line broke. Listen again.
    async fn listen(
        &self,
        receive: &(dyn Fn(FeedEvent) + Send + Sync),
    ) -> Result<core::convert::Infallible, StoreError>;
}
