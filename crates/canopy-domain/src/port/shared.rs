//! The interface of a store that several processes write to.

use super::{CommitTag, StoreError};
use crate::{EnvironmentId, Revision, Slug};
use async_trait::async_trait;

/// The newest revision of an environment, with its slugs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The environment.
    pub environment: EnvironmentId,
    /// Its newest committed revision.
    pub revision: Revision,
    /// The tag of that revision, if the store has tags.
    pub tag: Option<CommitTag>,
    /// The slug of its application. That of its account never changes.
    pub application_slug: Slug,
    /// Its own slug.
    pub slug: Slug,
}

/// An event of the change feed of a store that several processes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEvent {
    /// The feed is connected (again). Revisions published before are not delivered.
    Connected,
    /// These environments have reached these revisions, or newer ones.
    Revisions(Vec<(EnvironmentId, Revision)>),
    /// A heartbeat, at least once a second.
    Alive,
}

/// A store that other processes write to as well, so that no process knows the newest revision by itself.
#[async_trait]
pub trait SharedStore: Send + Sync {
    /// Returns the head of each of these environments that exists. One small query, which sees every commit before the
    /// call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Busy`] if the store does not answer.
    async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError>;

    /// Returns the number of failovers to another server. Rises before the first read from or commit to the new server,
    /// which may lack commits of the old one.
    fn epoch(&self) -> u64 {
        0
    }

    /// Publishes committed revisions, and deleted environments ([`Revision::END`]), to every process that listens. A
    /// hint, sent in the background: it may be lost, late or repeated.
    fn publish(&self, revisions: &[(EnvironmentId, Revision)]);

    /// Passes the events of the feed to `receive`, until the feed disconnects.
    ///
    /// # Errors
    /// Always returns one: the reason of the disconnect. Listen again.
    async fn listen(
        &self,
        receive: &(dyn Fn(FeedEvent) + Send + Sync),
    ) -> Result<core::convert::Infallible, StoreError>;
}
