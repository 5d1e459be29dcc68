//! The keys of one source outside the installation, and their refresh.

use crate::adapter::{DocumentUrl, HttpClient};
use canopy_domain::port::{PrincipalKind, StoreError};
use canopy_http::token::{JwtVerifier, KeyError, SourceId, VerificationKey};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Maximum size of a file or document with keys, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The interval at which files are read again.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum number of calls that wait for one source.
const MAX_WAITING: usize = 256;

/// Maximum wait of a call for the keys of a source.
const WAIT: Duration = Duration::from_secs(6);

/// The intervals between fetches of a key set.
#[derive(Debug, Clone, Copy)]
pub struct FetchIntervals {
    /// Minimum time between two fetches because of unknown keys, and the first pause after a failure.
    pub pause: Duration,
    /// Minimum time between two regular fetches.
    pub shortest: Duration,
    /// Maximum time between two regular fetches, and the default for a source without `max-age`.
    pub longest: Duration,
}

impl Default for FetchIntervals {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(10),
            shortest: Duration::from_secs(60),
            longest: Duration::from_secs(60 * 60),
        }
    }
}

impl FetchIntervals {
    /// Returns the time until the next fetch after a success: randomly up to a tenth less, so that instances do not
    /// fetch in step.
    fn after_success(self, max_age: Option<Duration>, chance: u8) -> Duration {
        let wanted = max_age.unwrap_or(self.longest).clamp(self.shortest, self.longest);
        wanted.mul_f64(1.0 - f64::from(chance) / 2_560.0)
    }

    /// Returns the pause after this number of consecutive failures.
    fn after_failures(self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.pause
            .saturating_mul(doubled)
            .min(self.longest / 12)
            .max(self.pause)
    }
}

/// A source whose keys are fetched by URL.
#[derive(Debug)]
pub struct RemoteKeys {
    url: DocumentUrl,
    client: HttpClient,
    source: SourceId,
    principals: Vec<PrincipalKind>,
    verifier: Arc<JwtVerifier>,
    intervals: FetchIntervals,
    chance: u8,
    state: Mutex<Fetches>,
    waiting: Semaphore,
}

/// The last fetch, and the time of the next one.
#[derive(Debug)]
struct Fetches {
    began: Option<Instant>,
    /// Number of failures since the last success.
    failures: u32,
    due: Instant,
}

/// The reason for which the keys of a document cannot be fetched or used.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error(transparent)]
    Fetch(#[from] crate::adapter::FetchError),
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl RemoteKeys {
    /// Creates a source that has no keys until the first fetch. `chance` spreads the fetches of several instances.
    pub fn new(
        (url, client, intervals, chance): (DocumentUrl, HttpClient, FetchIntervals, u8),
        (source, principals, verifier): (SourceId, Vec<PrincipalKind>, Arc<JwtVerifier>),
    ) -> Self {
        Self {
            url,
            client,
            source,
            principals,
            verifier,
            intervals,
            chance,
            state: Mutex::new(Fetches {
                began: None,
                failures: 0,
                due: Instant::now(),
            }),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Returns the source's id within its verifier.
    pub const fn source(&self) -> SourceId {
        self.source
    }

    /// Fetches the keys whenever a fetch is due.
    pub async fn keep_fresh(&self) -> Infallible {
        loop {
            let due = {
                let mut state = self.state.lock().await;
                if state.due <= Instant::now() {
                    self.fetch(&mut state).await;
                }
                state.due
            };
            sleep_until(due).await;
        }
    }

    /// Fetches the keys because a token names an unknown one: once for all waiting calls, and not again within the
    /// pause.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the last fetch failed, so that it is unknown whether the key exists.
    pub async fn look(&self) -> Result<(), StoreError> {
        let unavailable = |text: &'static str| StoreError::Unavailable(text.into());
        let Ok(_turn) = self.waiting.try_acquire() else {
            return Err(StoreError::Busy(
                "too many calls are waiting for token keys; try again later".into(),
            ));
        };
        let came_at = Instant::now();
        let look = async {
            let mut state = self.state.lock().await;
            let is_due = |began: Instant| began < came_at && began + self.intervals.pause <= Instant::now();
            if state.began.is_none_or(is_due) {
                self.fetch(&mut state).await;
            }
            state.failures == 0
        };
        match timeout(WAIT, look).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(unavailable("the keys of the token's issuer cannot be fetched")),
            Err(_) => Err(unavailable("the keys of the token's issuer were not fetched in time")),
        }
    }

    async fn fetch(&self, state: &mut Fetches) {
        // Set before the fetch, so that a call that is cancelled during it does not cause another one at once.
        state.began = Some(Instant::now());
        state.failures += 1;
        let url = self.url.as_str();
        match self.read().await {
            Ok((keys, max_age)) => {
                let (added, removed) = self.verifier.replace(self.source, keys);
                if added + removed > 0 || state.failures > 1 {
                    tracing::info!(url, added, removed, "token keys fetched");
                }
                state.failures = 0;
                state.due = Instant::now() + self.intervals.after_success(max_age, self.chance);
            }
            Err(error) => {
                let pause = self.intervals.after_failures(state.failures);
                state.due = Instant::now() + pause;
                tracing::warn!(url, %error, retry_in_s = pause.as_secs(), "token keys not fetched; keeping the last ones");
            }
        }
    }

    async fn read(&self) -> Result<(Vec<VerificationKey>, Option<Duration>), SourceError> {
        let document = self.client.get(&self.url, MAX_BYTES).await?;
        let keys = VerificationKey::from_jwks(&document.body)?;
        let vouching = keys.into_iter().map(|key| key.vouching_for(&self.principals));
        Ok((vouching.collect(), document.max_age))
    }
}

/// Parses the keys of a file.
pub type ParseKeys = fn(&[u8]) -> Result<Vec<VerificationKey>, KeyError>;

/// A source whose keys are in a file.
#[derive(Debug)]
pub struct FileKeys {
    path: PathBuf,
    parse: ParseKeys,
    source: SourceId,
    principals: Vec<PrincipalKind>,
    verifier: Arc<JwtVerifier>,
    seen: std::sync::Mutex<Seen>,
}

/// The last state of a file that was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Unreadable,
}

/// The reason for which a key file cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// It contains no usable keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl FileKeys {
    /// Reads the keys of a file for the first time.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(
        (path, parse): (&Path, ParseKeys),
        (source, principals, verifier): (SourceId, &[PrincipalKind], Arc<JwtVerifier>),
    ) -> Result<Self, FileError> {
        let bytes = read(path)?;
        let file = Self {
            path: path.to_owned(),
            parse,
            source,
            principals: principals.to_vec(),
            verifier,
            seen: std::sync::Mutex::new(Seen::Content(Sha256::digest(&bytes).into())),
        };
        file.take_over(&bytes)?;
        Ok(file)
    }

    /// Reads the file periodically.
    pub async fn keep_fresh(self: Arc<Self>) -> Infallible {
        loop {
            sleep(FILE_INTERVAL).await;
            let file = Arc::clone(&self);
            // A hanging file system must not block anything else.
            drop(tokio::task::spawn_blocking(move || file.refresh()).await);
        }
    }

    /// Reads the file again; keeps the last keys if it cannot be used. Returns whether the keys changed.
    pub fn refresh(&self) -> bool {
        let bytes = read(&self.path);
        let now = match &bytes {
            Ok(bytes) => Seen::Content(Sha256::digest(bytes).into()),
            Err(_) => Seen::Unreadable,
        };
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *seen == now {
            return false;
        }
        *seen = now;
        drop(seen);
        let path = self.path.display();
        match bytes.map_err(FileError::from).and_then(|bytes| self.take_over(&bytes)) {
            Ok((added, removed)) => {
                tracing::info!(%path, added, removed, "token key file reloaded");
                added + removed > 0
            }
            Err(error) => {
                tracing::warn!(%path, %error, "token key file cannot be used; keeping the last keys");
                false
            }
        }
    }

    fn take_over(&self, bytes: &[u8]) -> Result<(usize, usize), FileError> {
        let keys = (self.parse)(bytes)?;
        let vouching = keys.into_iter().map(|key| key.vouching_for(&self.principals));
        Ok(self.verifier.replace(self.source, vouching.collect()))
    }
}

/// Reads a file up to the maximum size.
fn read(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = vec![];
    let file = std::fs::File::open(path)?;
    let read = file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if read > MAX_BYTES {
        return Err(std::io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::port::{TokenError, TokenVerifier as _};
    use canopy_http::token::{ClaimMapping, TokenParties, TokenSource};
    use canopy_testkit::clock::noon;
    use canopy_testkit::issuer::{IssuerKey, TestIssuer};
    use serde_json::json;

    const QUICK: FetchIntervals = FetchIntervals {
        pause: Duration::ZERO,
        shortest: Duration::from_millis(1),
        longest: Duration::from_secs(3_600),
    };

    fn parties() -> TokenParties {
        TokenParties {
            issuer: "https://idp.example".to_owned(),
            audience: "canopy".to_owned(),
        }
    }

    fn verifier() -> (Arc<JwtVerifier>, SourceId) {
        let own = TokenParties {
            issuer: "canopy".to_owned(),
            audience: "canopy".to_owned(),
        };
        let verifier = JwtVerifier::new(own, vec![]).unwrap();
        let source = verifier.add_source(TokenSource {
            parties: parties(),
            mapping: ClaimMapping::default(),
        });
        (Arc::new(verifier), source)
    }

    fn token(key: &IssuerKey) -> String {
        key.sign(&json!({
            "iss": "https://idp.example", "aud": "canopy", "exp": noon().as_micros() / 1_000_000 + 60, "principal": "identity",
            "sub": "0198a7b1-7c3e-7000-8000-000000000001", "account": "0198a7b1-7c3e-7000-8000-000000000002",
        }))
    }

    struct Remote {
        issuer: TestIssuer,
        keys: Arc<RemoteKeys>,
        verifier: Arc<JwtVerifier>,
    }

    fn remote(intervals: FetchIntervals) -> Remote {
        let issuer = TestIssuer::start();
        let (verifier, source) = verifier();
        let url = DocumentUrl::parse(&issuer.jwks_url()).unwrap();
        let keys = RemoteKeys::new(
            (url, HttpClient::new().unwrap(), intervals, 0),
            (source, vec![PrincipalKind::Identity], verifier.clone()),
        );
        Remote {
            issuer,
            keys: Arc::new(keys),
            verifier,
        }
    }

    impl Remote {
        fn judge(&self, token: &str) -> Option<TokenError> {
            self.verifier.verify(token, noon()).err()
        }
    }

    #[tokio::test]
    async fn a_new_key_is_found_by_its_name_and_a_removed_one_ends_its_remembered_tokens() {
        let remote = remote(QUICK);
        let [old, new] = [("old", 1), ("new", 2)].map(|(kid, seed)| IssuerKey::ed25519(kid, seed));
        let [first, second] = [&old, &new].map(token);
        remote.issuer.publish(&[&old], "max-age=300");
        assert_eq!(remote.judge(&first), Some(TokenError::UnknownKey));
        remote.keys.look().await.unwrap();
        assert_eq!(remote.judge(&first), None);
        remote.issuer.publish(&[&old, &new], "max-age=300");
        assert_eq!(remote.judge(&second), Some(TokenError::UnknownKey));
        remote.keys.look().await.unwrap();
        assert_eq!([&first, &second].map(|token| remote.judge(token)), [None, None]);
        remote.issuer.publish(&[&new], "max-age=300");
        remote.keys.look().await.unwrap();
        assert_eq!(
            remote.judge(&first),
            Some(TokenError::UnknownKey),
            "though it was verified before"
        );
        assert_eq!(remote.judge(&second), None);
        // Another key with the id of the old one.
        remote.issuer.publish(&[&IssuerKey::ed25519("new", 3)], "max-age=300");
        remote.keys.look().await.unwrap();
        assert_eq!(remote.judge(&second), Some(TokenError::Signature));
    }

    #[tokio::test]
    async fn the_last_good_set_stays_while_the_source_is_down_or_talks_nonsense() {
        let remote = remote(QUICK);
        let key = IssuerKey::ed25519("one", 1);
        let unavailable = |looked: Result<(), StoreError>| matches!(looked, Err(StoreError::Unavailable(_)));
        remote.issuer.reply(503, "no-store", "");
        assert!(unavailable(remote.keys.look().await), "no set was ever fetched");
        remote.issuer.publish(&[&key], "");
        remote.keys.look().await.unwrap();
        assert_eq!(remote.judge(&token(&key)), None);
        let many = json!({ "keys": vec![key.jwk(); VerificationKey::MAX_SET_KEYS + 1] }).to_string();
        let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(MAX_BYTES));
        for (status, body) in [
            (503, ""),
            (200, "nonsense"),
            (200, "{\"keys\":[]}"),
            (200, &many),
            (200, &long),
        ] {
            remote.issuer.reply(status, "max-age=1", body);
            assert!(unavailable(remote.keys.look().await), "{status} {}", body.len());
            assert_eq!(remote.judge(&token(&key)), None);
        }
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_fetches_once_within_the_pause() {
        let remote = remote(FetchIntervals {
            pause: Duration::from_secs(600),
            ..QUICK
        });
        remote.issuer.publish(&[&IssuerKey::ed25519("one", 1)], "max-age=300");
        let mut looks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let keys = Arc::clone(&remote.keys);
            looks.spawn(async move { keys.look().await.is_ok() });
        }
        assert_eq!(looks.join_all().await, [true; 200]);
        remote.keys.look().await.unwrap();
        assert_eq!(remote.issuer.requests(), 1);
        // While the source is down, one failure answers all calls.
        remote.keys.state.lock().await.began = None;
        remote.issuer.reply(500, "", "");
        for _ in 0..10 {
            assert!(remote.keys.look().await.is_err());
        }
        assert_eq!(remote.issuer.requests(), 2);
    }

    #[tokio::test]
    async fn keys_are_fetched_again_when_their_age_ends() {
        let remote = remote(QUICK);
        let [old, new] = [("old", 1), ("new", 2)].map(|(kid, seed)| IssuerKey::ed25519(kid, seed));
        remote.issuer.publish(&[&old], "max-age=0");
        let keys = Arc::clone(&remote.keys);
        let running = tokio::spawn(async move { keys.keep_fresh().await });
        let Remote { issuer, verifier, .. } = remote;
        let waited = tokio::task::spawn_blocking(move || {
            issuer.wait_for_requests(2);
            issuer.publish(&[&new], "max-age=0");
            // The second request from now is sent after the first response was used.
            issuer.wait_for_requests(issuer.requests() + 3);
            (issuer, new)
        });
        let (_issuer, new) = waited.await.unwrap();
        assert_eq!(verifier.verify(&token(&old), noon()), Err(TokenError::UnknownKey));
        assert!(verifier.verify(&token(&new), noon()).is_ok());
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end_for_a_source() {
        let remote = remote(QUICK);
        let held = remote.keys.state.lock().await;
        let mut looks = tokio::task::JoinSet::new();
        for _ in 0..MAX_WAITING + 10 {
            let keys = Arc::clone(&remote.keys);
            looks.spawn(async move { keys.look().await });
        }
        let found = looks.join_all().await;
        let busy = found
            .iter()
            .filter(|one| matches!(one, Err(StoreError::Busy(_))))
            .count();
        let late = found
            .iter()
            .filter(|one| matches!(one, Err(StoreError::Unavailable(_))))
            .count();
        assert_eq!((busy, late), (10, MAX_WAITING));
        drop(held);
    }

    #[test]
    fn the_pace_keeps_between_its_bounds() {
        let intervals = FetchIntervals::default();
        let after = |seconds: Option<u64>, chance| {
            intervals
                .after_success(seconds.map(Duration::from_secs), chance)
                .as_secs()
        };
        assert_eq!(after(None, 0), 3_600);
        assert_eq!(after(Some(0), 0), 60);
        assert_eq!(after(Some(300), 0), 300);
        assert_eq!(after(Some(1_000_000), 0), 3_600);
        assert!((3_240..3_250).contains(&after(None, 255)));
        let failed: Vec<u64> = (1..8)
            .map(|failures| intervals.after_failures(failures).as_secs())
            .collect();
        assert_eq!(failed, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_key_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let [old, new] = [("old", 1), ("new", 2)].map(|(kid, seed)| IssuerKey::ed25519(kid, seed));
        let set = |key: &IssuerKey| json!({ "keys": [key.jwk()] }).to_string();
        std::fs::write(&path, set(&old)).unwrap();
        let (verifier, source) = verifier();
        let file = FileKeys::open(
            (&path, VerificationKey::from_jwks),
            (source, &[PrincipalKind::Identity], verifier.clone()),
        )
        .unwrap();
        let judge = |key: &IssuerKey| verifier.verify(&token(key), noon()).err();
        assert_eq!((judge(&old), judge(&new)), (None, Some(TokenError::UnknownKey)));
        assert!(!file.refresh());
        for broken in ["nonsense", "{\"keys\":[]}"] {
            std::fs::write(&path, broken).unwrap();
            assert!(!file.refresh());
            assert_eq!(judge(&old), None, "{broken}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!file.refresh());
        assert_eq!(judge(&old), None);
        // Replaced by a rename, as deployments do it.
        let beside = folder.path().join("next");
        std::fs::write(&beside, set(&new)).unwrap();
        std::fs::rename(&beside, &path).unwrap();
        assert!(file.refresh());
        assert_eq!((judge(&old), judge(&new)), (Some(TokenError::UnknownKey), None));
    }
}
