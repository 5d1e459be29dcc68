//! All verification keys of tokens: those of the installation, of files and of URLs.

use crate::adapter::{FetchError, HttpClient};
use crate::shared_keys::SharedKeys;
use crate::token_source::{FileKeys, RemoteKeys};
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::{StoreError, TokenError, TokenVerifier, VerifiedToken};
use canopy_http::token::{JwtVerifier, SourceId};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Verifies tokens with the keys of several sources, and refreshes those keys.
#[derive(Debug)]
pub struct KeySources {
    verifier: Arc<JwtVerifier>,
    client: Option<HttpClient>,
    remote: Vec<Arc<RemoteKeys>>,
    files: Vec<Arc<FileKeys>>,
    shared: Option<Arc<SharedKeys>>,
}

impl KeySources {
    /// Creates an instance with the keys of the verifier.
    pub const fn new(verifier: Arc<JwtVerifier>) -> Self {
        Self {
            verifier,
            client: None,
            remote: vec![],
            files: vec![],
            shared: None,
        }
    }

    /// Returns the verifier that uses the keys.
    pub const fn verifier(&self) -> &Arc<JwtVerifier> {
        &self.verifier
    }

    /// Returns the client that fetches keys, created for the first source that needs it.
    ///
    /// # Errors
    /// [`FetchError::Client`].
    pub fn client(&mut self) -> Result<HttpClient, FetchError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => HttpClient::new()?,
        };
        Ok(self.client.insert(client).clone())
    }

    /// Adds a source whose keys are fetched.
    pub fn add_remote(&mut self, keys: RemoteKeys) {
        self.remote.push(Arc::new(keys));
    }

    /// Adds a source whose keys are in a file.
    pub fn add_file(&mut self, keys: FileKeys) {
        self.files.push(Arc::new(keys));
    }

    /// Adds the keys that the processes of the installation share.
    pub fn set_shared(&mut self, keys: Arc<SharedKeys>) {
        self.shared = Some(keys);
    }

    /// Refreshes the keys of files and URLs for as long as it runs.
    pub async fn keep_fresh(&self) -> Infallible {
        let mut running = JoinSet::new();
        for keys in self.remote.iter().map(Arc::clone) {
            running.spawn(async move { keys.keep_fresh().await });
        }
        for keys in self.files.iter().map(Arc::clone) {
            running.spawn(keys.keep_fresh());
        }
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(never) => match never {},
                Err(error) => tracing::error!(%error, "token key source stopped; its keys are no longer refreshed"),
            }
        }
        std::future::pending().await
    }
}

#[async_trait]
impl TokenVerifier for KeySources {
    fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        self.verifier.verify(token, now)
    }

    async fn look_for_key(&self, token: &str) -> Result<bool, StoreError> {
        let mut failed = None;
        let mut has_looked = false;
        for source in self.verifier.sources_without_key(token) {
            let remote = self.remote.iter().find(|keys| keys.source() == source);
            let looked = match (remote, &self.shared) {
                (Some(keys), _) => keys.look().await,
                (None, Some(keys)) if source == SourceId::SHARED => keys.look().await,
                (None, _) => continue,
            };
            match looked {
                Ok(()) => has_looked = true,
                Err(error) => failed = Some(error),
            }
        }
        if has_looked && self.verifier.sources_without_key(token).is_empty() {
            return Ok(true);
        }
        failed.map_or(Ok(false), Err)
    }
}
