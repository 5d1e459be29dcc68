//! Verifying tokens with the keys of all instances on one database.

use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::{Installation, PrincipalKind, StoreError, TokenClaims, TokenError, TokenVerifier};
use canopy_http::token::{JwtVerifier, VerificationKey};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

/// No more often than this are keys read because of a token.
const PAUSE: Duration = Duration::from_secs(1);

/// This often they are read anyway: a key that was taken away ends then.
const INTERVAL: Duration = Duration::from_secs(60);

/// Verifies with the keys of the configuration and with those that the instances have registered.
pub struct SharedKeys {
    verifier: JwtVerifier,
    installation: Arc<dyn Installation>,
    last_read: Mutex<Option<LastRead>>,
}

/// The last time that the keys were read.
#[derive(Debug, Clone, Copy)]
struct LastRead {
    began: Instant,
    /// When it failed, if it did.
    failed: Option<Instant>,
}

impl SharedKeys {
    /// Begins with the keys that the verifier has.
    pub fn new(verifier: JwtVerifier, installation: Arc<dyn Installation>) -> Self {
        Self {
            verifier,
            installation,
            last_read: Mutex::default(),
        }
    }

    /// Reads the keys again from time to time.
    pub async fn keep_fresh(&self) -> Infallible {
        loop {
            sleep(INTERVAL).await;
            let mut last = self.last_read.lock().await;
            if let Err(error) = self.read(&mut last).await {
                tracing::warn!(%error, "the signing keys of other instances cannot be read");
            }
        }
    }

    async fn read(&self, last: &mut Option<LastRead>) -> Result<(), StoreError> {
        let began = Instant::now();
        let registered = self.installation.signing_keys().await;
        let failed = registered.is_err().then(Instant::now);
        *last = Some(LastRead { began, failed });
        let mut keys = vec![];
        for key in registered? {
            match VerificationKey::from_ed25519(key.kid.clone(), &key.public_key) {
                Ok(usable) => keys.push(usable.vouching_for(PrincipalKind::ALL)),
                Err(error) => tracing::warn!(%error, kid = key.kid, "a registered signing key cannot be used"),
            }
        }
        self.verifier.share(keys);
        Ok(())
    }
}

#[async_trait]
impl TokenVerifier for SharedKeys {
    fn verify(&self, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError> {
        self.verifier.verify(token, now)
    }

    /// Reads the keys once for all who wait. A made-up key costs its sender a second, and the database next to nothing.
    async fn look_for_key(&self, token: &str) -> Result<bool, StoreError> {
        if !self.verifier.names_unknown_key(token) {
            return Ok(false);
        }
        let came_at = Instant::now();
        let mut last = self.last_read.lock().await;
        match *last {
            // Somebody else could not read them meanwhile, or did.
            Some(last) if last.failed.is_some_and(|failed| failed >= came_at) => {
                return Err(StoreError::Unavailable("the signing keys cannot be read".into()));
            }
            Some(last) if last.began >= came_at && last.failed.is_none() => {}
            before => {
                if let Some(before) = before {
                    sleep_until(before.began + PAUSE).await;
                }
                self.read(&mut last).await?;
            }
        }
        drop(last);
        Ok(!self.verifier.names_unknown_key(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::port::SigningKey;
    use canopy_http::token::{TokenParties, TokenSigner};
    use canopy_storage_memory::MemoryStore;
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
                // So that the others come before it has failed.
                tokio::task::yield_now().await;
                return Err(StoreError::Unavailable("cut".into()));
            }
            self.store.signing_keys().await
        }

        async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError> {
            self.store.register_signing_key(key).await
        }

        async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
            self.store.secret(name, fresh).await
        }
    }

    fn noon() -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).unwrap()
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

    fn keys() -> (SharedKeys, Arc<Counting>) {
        let own = signer(0);
        let parties = TokenParties {
            issuer: "canopy".to_owned(),
            audience: "canopy".to_owned(),
        };
        let verifier = JwtVerifier::new(parties, vec![own.verification_key().clone()]).unwrap();
        let installation: Arc<Counting> = Arc::default();
        (SharedKeys::new(verifier, installation.clone()), installation)
    }

    #[tokio::test]
    async fn a_key_that_another_instance_registers_is_found_with_its_first_token() {
        let (keys, installation) = keys();
        keys.verify(&token(0), noon()).unwrap();
        assert_eq!(keys.verify(&token(1), noon()), Err(TokenError::Invalid));
        installation
            .register_signing_key(&signer(1).public_key(noon()))
            .await
            .unwrap();
        assert!(keys.look_for_key(&token(1)).await.unwrap());
        keys.verify(&token(1), noon()).unwrap();
        assert_eq!(installation.reads.load(Ordering::SeqCst), 1);
        // What is wrong with these is not their key.
        for other in [token(0), token(1), "a.b.c".to_owned(), String::new()] {
            assert!(!keys.look_for_key(&other).await.unwrap());
        }
        assert_eq!(installation.reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn many_made_up_keys_are_looked_for_at_once() {
        let (keys, installation) = keys();
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
        let (keys, installation) = keys();
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
