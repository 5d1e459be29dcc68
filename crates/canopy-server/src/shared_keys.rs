//! The signing keys of all instances on one database.

use canopy_domain::port::{Clock, Installation, PrincipalKind, SigningKey, StoreError};
use canopy_http::token::{JwtVerifier, VerificationKey};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Minimum time between two reads because of unknown keys.
const PAUSE: Duration = Duration::from_secs(1);

/// The interval of regular reads. A deleted key is refused after it.
const INTERVAL: Duration = Duration::from_secs(60);

/// The interval at which the process registers its key again and deletes unused keys.
const RENEWAL: Duration = Duration::from_secs(60 * 60);

/// Maximum number of calls that wait for a read. Most of them invented their key.
const MAX_WAITING: usize = 1_024;

/// Maximum wait of a call for a read.
const WAIT: Duration = Duration::from_secs(5);

/// Reads the keys that the instances have registered, and keeps the key of this process registered.
pub struct SharedKeys {
    verifier: Arc<JwtVerifier>,
    installation: Arc<dyn Installation>,
    clock: Arc<dyn Clock>,
    own: SigningKey,
    last_read: Mutex<Option<LastRead>>,
    waiting: Semaphore,
}

impl std::fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedKeys")
            .field("own", &self.own.kid)
            .finish_non_exhaustive()
    }
}

/// The last read of the keys.
#[derive(Debug, Clone, Copy)]
struct LastRead {
    began: Instant,
    /// The time of its failure, if it failed.
    failed: Option<Instant>,
}

impl SharedKeys {
    /// Adds the keys of the installation to the verifier; `own` is the key of this process.
    pub fn new(
        verifier: Arc<JwtVerifier>,
        installation: Arc<dyn Installation>,
        clock: Arc<dyn Clock>,
        own: SigningKey,
    ) -> Self {
        Self {
            verifier,
            installation,
            clock,
            own,
            last_read: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Reads the keys periodically, and renews the registration of the own key.
    pub async fn keep_fresh(&self) -> Infallible {
        let mut renewed = Instant::now();
        loop {
            sleep(INTERVAL).await;
            let mut last = self.last_read.lock().await;
            if let Err(error) = self.read(&mut last).await {
                tracing::warn!(%error, "signing keys of other instances not read; keeping the last ones");
            }
            drop(last);
            if renewed.elapsed() >= RENEWAL {
                match self.renew().await {
                    Ok(()) => renewed = Instant::now(),
                    Err(error) => tracing::warn!(%error, "signing key not renewed; retrying"),
                }
            }
        }
    }

    /// Registers the own key again, and deletes keys that are unused or over the limit.
    async fn renew(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let own = SigningKey {
            created_at: now,
            ..self.own.clone()
        };
        self.installation.register_signing_key(&own).await?;
        let since = SigningKey::registered_since(now);
        let deleted = self
            .installation
            .delete_signing_keys(since, SigningKey::MAX_REGISTERED)
            .await?;
        if deleted > 0 {
            tracing::info!(deleted, "unused signing keys deleted");
        }
        Ok(())
    }

    async fn read(&self, last: &mut Option<LastRead>) -> Result<(), StoreError> {
        let began = Instant::now();
        let registered = self.installation.signing_keys().await;
        let failed = registered.is_err().then(Instant::now);
        *last = Some(LastRead { began, failed });
        let since = SigningKey::registered_since(self.clock.now());
        let current = registered?.into_iter().rev().filter(|key| key.created_at >= since);
        let mut keys = vec![];
        for key in current.take(SigningKey::MAX_REGISTERED) {
            match VerificationKey::from_ed25519(key.kid.clone(), &key.public_key) {
                Ok(usable) => keys.push(usable.vouching_for(PrincipalKind::ALL)),
                Err(error) => tracing::warn!(%error, kid = key.kid, "registered signing key is invalid; ignoring it"),
            }
        }
        self.verifier.share(keys);
        Ok(())
    }

    /// Reads the keys because a token names an unknown one: a single read for all waiting calls. An invented key delays
    /// its sender by a second, and costs the database next to nothing.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read before the deadline.
    pub async fn look(&self) -> Result<(), StoreError> {
        let Ok(_turn) = self.waiting.try_acquire() else {
            return Err(StoreError::Busy(
                "too many calls are waiting for signing keys; try again later".into(),
            ));
        };
        let late = |_| StoreError::Unavailable("the signing keys were not read in time".into());
        timeout(WAIT, self.read_for_all()).await.map_err(late)?
    }

    async fn read_for_all(&self) -> Result<(), StoreError> {
        let came_at = Instant::now();
        let mut last = self.last_read.lock().await;
        match *last {
            // Another call has read them meanwhile, or failed to.
            Some(last) if last.failed.is_some_and(|failed| failed >= came_at) => {
                Err(StoreError::Unavailable("the signing keys cannot be read".into()))
            }
            Some(last) if last.began >= came_at && last.failed.is_none() => Ok(()),
            before => {
                if let Some(before) = before {
                    sleep_until(before.began + PAUSE).await;
                }
                self.read(&mut last).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_sources::KeySources;
    use async_trait::async_trait;
    use canopy_domain::Timestamp;
    use canopy_domain::port::{Store as _, TokenClaims, TokenError, TokenVerifier as _};
    use canopy_http::token::{TokenParties, TokenSigner};
    use canopy_storage_memory::MemoryStore;
    use canopy_testkit::FixedClock;
    use canopy_testkit::clock::noon;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[derive(Default)]
    struct Counting {
        store: MemoryStore,
        reads: AtomicUsize,
        is_down: AtomicBool,
    }

    #[async_trait]
    impl Installation for Counting {
        async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            if self.is_down.load(Ordering::SeqCst) {
                // Lets the other calls join before this one fails.
                tokio::task::yield_now().await;
                return Err(StoreError::Unavailable("cut".into()));
            }
            self.store.installation().signing_keys().await
        }

        async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError> {
            self.store.installation().register_signing_key(key).await
        }

        async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError> {
            self.store.installation().delete_signing_keys(since, keep).await
        }

        async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
            self.store.installation().secret(name, fresh).await
        }
    }

    fn signer(seed: u8) -> TokenSigner {
        let parties = TokenParties {
            issuer: "canopy".to_owned(),
            audience: "canopy".to_owned(),
        };
        TokenSigner::from_seed([seed; 32], parties).unwrap()
    }

    fn token(seed: u8) -> String {
        let claims = TokenClaims {
            subject: "root".into(),
            principal: PrincipalKind::Operator,
            account: None,
            environment: None,
            expires_at: noon().plus_seconds(60),
        };
        signer(seed).sign(&claims, noon()).unwrap()
    }

    fn keys() -> (KeySources, Arc<SharedKeys>, Arc<Counting>) {
        let own = signer(0);
        let parties = TokenParties {
            issuer: "canopy".to_owned(),
            audience: "canopy".to_owned(),
        };
        let verifier = JwtVerifier::new(parties, vec![own.verification_key().clone()]).unwrap();
        let installation: Arc<Counting> = Arc::default();
        let mut keys = KeySources::new(Arc::new(verifier));
        let clock = FixedClock::new(noon());
        let own = own.public_key(noon());
        let shared = SharedKeys::new(keys.verifier().clone(), installation.clone(), Arc::new(clock), own);
        let shared = Arc::new(shared);
        keys.set_shared(shared.clone());
        (keys, shared, installation)
    }

    #[tokio::test]
    async fn a_key_ends_that_no_instance_has_registered_for_long() {
        let (keys, shared, installation) = keys();
        let days = |days: i64| noon().plus_seconds(-days * 24 * 60 * 60);
        for (seed, registered) in [
            (1, days(SigningKey::DAYS_UNUSED)),
            (2, days(SigningKey::DAYS_UNUSED + 1)),
        ] {
            let key = signer(seed).public_key(registered);
            installation.register_signing_key(&key).await.unwrap();
        }
        assert!(keys.look_for_key(&token(1)).await.unwrap());
        keys.verify(&token(1), noon()).unwrap();
        assert_eq!(keys.verify(&token(2), noon()), Err(TokenError::UnknownKey));
        shared.renew().await.unwrap();
        let left: Vec<String> = installation
            .signing_keys()
            .await
            .unwrap()
            .into_iter()
            .map(|key| key.kid)
            .collect();
        let kid = |seed| signer(seed).public_key(noon()).kid;
        assert_eq!(left, [kid(1), kid(0)], "the own key is registered again");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end_for_keys_and_not_everybody_may_wait() {
        let (keys, shared, _) = keys();
        let held = shared.last_read.lock().await;
        let keys = Arc::new(keys);
        let mut looks = tokio::task::JoinSet::new();
        for _ in 0..MAX_WAITING + 10 {
            let keys = keys.clone();
            looks.spawn(async move { keys.look_for_key(&token(1)).await });
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
        assert!(!keys.look_for_key(&token(1)).await.unwrap());
    }

    #[tokio::test]
    async fn a_key_that_another_instance_registers_is_found_with_its_first_token() {
        let (keys, _, installation) = keys();
        keys.verify(&token(0), noon()).unwrap();
        assert_eq!(keys.verify(&token(1), noon()), Err(TokenError::UnknownKey));
        installation
            .register_signing_key(&signer(1).public_key(noon()))
            .await
            .unwrap();
        assert!(keys.look_for_key(&token(1)).await.unwrap());
        keys.verify(&token(1), noon()).unwrap();
        assert_eq!(installation.reads.load(Ordering::SeqCst), 1);
        // These tokens are invalid for reasons other than their key.
        for other in [token(0), token(1), "a.b.c".to_owned(), String::new()] {
            assert!(!keys.look_for_key(&other).await.unwrap());
        }
        assert_eq!(installation.reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn many_made_up_keys_are_looked_for_at_once() {
        let (keys, _, installation) = keys();
        let keys = Arc::new(keys);
        let begun = Instant::now();
        let mut looks = tokio::task::JoinSet::new();
        for seed in 1..=40 {
            let keys = keys.clone();
            looks.spawn(async move { keys.look_for_key(&token(seed)).await.unwrap() });
        }
        let found = looks.join_all().await;
        assert_eq!(found, [false; 40]);
        assert!(installation.reads.load(Ordering::SeqCst) <= 2);
        assert!(begun.elapsed() < 3 * PAUSE);
    }

    #[tokio::test]
    async fn nobody_is_told_that_a_key_is_unknown_while_keys_cannot_be_read() {
        let (keys, _, installation) = keys();
        let keys = Arc::new(keys);
        installation.is_down.store(true, Ordering::SeqCst);
        let mut looks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let keys = keys.clone();
            looks.spawn(async move { keys.look_for_key(&token(1)).await });
        }
        for look in looks.join_all().await {
            assert!(matches!(look, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(installation.reads.load(Ordering::SeqCst), 1);
    }
}
