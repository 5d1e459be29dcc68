//! The caller of a request, the place that it is about, and the caller's right to be there.
//!
//! A credential becomes a principal, and a path or the credential becomes a tenancy. [`Sessions::recall`] does both from
//! memory, without waiting; [`Sessions::enter`] takes the same steps and reads from the store what is not cached. Caches may
//! be behind other processes, so [`Sessions::confirm`] makes sure of what a call rests on before it is answered; questions
//! confirm it by their own fence. [`Requires`] judges the principal by what the call requires.

mod cache;
mod confirm;
mod identity_names;
mod key;
mod key_lookup;
mod name;
mod place;
mod reader;
mod right;
mod tenancy;
mod token;

pub use confirm::Basis;
pub use place::AskedEnvironment;
pub use right::Requires;
pub use tenancy::{
    AccountReach, ApplicationReach, ByCredential, ByPath, EndUser, FromCredential, FromPath, Installation, Level,
    Locate, Resolver, Slugs, Tenancy,
};

pub(crate) use identity_names::IdentityNames;
pub(crate) use key::digest;
pub(crate) use right::check_write;

use crate::decisions::Decisions;
use crate::{AppError, Caller};
use canopy_domain::Timestamp;
use canopy_domain::api_key::KeyUse;
use canopy_domain::port::{Clock, Store, VerifiedToken};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use key::Keys;
use place::Places;
use reader::{Reader, Source};
use std::sync::Arc;

/// A credential whose form and signature are good.
#[derive(Debug, Clone)]
pub enum Credential<T> {
    /// An access token.
    Token(VerifiedToken),
    /// The text of an API key.
    Key(T),
}

impl Credential<&str> {
    /// The same credential, owned.
    pub fn into_owned(self) -> Credential<String> {
        match self {
            Self::Token(token) => Credential::Token(token),
            Self::Key(text) => Credential::Key(text.to_owned()),
        }
    }
}

/// A caller that was let in, and the tenancy of its call.
#[derive(Debug)]
pub struct Entered<T> {
    /// The caller.
    pub caller: Caller,
    /// The tenancy, or why the caller may not be there.
    pub tenancy: Result<T, AppError>,
}

/// Turns credentials into callers and paths into tenancies, with the caches for it.
pub struct Sessions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    decisions: Arc<Decisions>,
    places: Places,
    keys: Keys,
    names: IdentityNames,
}

impl core::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Nothing is cached yet.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, decisions: Arc<Decisions>) -> Self {
        Self {
            names: IdentityNames::new(store.shared().is_some()),
            store,
            clock,
            decisions,
            places: Places::default(),
            keys: Keys::default(),
        }
    }

    /// Returns the caller and its tenancy, if both are known without a read from the store or a fence. Never waits.
    pub fn recall<L: Locate<T>, T>(&self, credential: &Credential<&str>, slugs: Slugs<&str>) -> Option<Entered<T>> {
        // Every step that would wait fails instead, so the first poll is the last one.
        let entering = pin!(self.enter_from::<L, T, _>(credential, slugs, Source::Memory));
        match entering.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(entered)) => entered.tenancy.is_ok().then_some(entered),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }

    /// Returns the caller and its tenancy, reading from the store what is not cached.
    ///
    /// # Errors
    /// [`AppError::Token`] and [`AppError::InvalidApiKey`] for a credential that is not valid; [`AppError::Store`].
    pub async fn enter<L: Locate<T>, T: Send>(
        &self,
        credential: &Credential<String>,
        slugs: Slugs<&str>,
    ) -> Result<Entered<T>, AppError> {
        let source = Source::Store(self.store.as_ref());
        let entered = self.enter_from::<L, T, _>(credential, slugs, source).await?;
        if entered.tenancy.is_err() {
            // Whoever has a key that was revoked learns that, and nothing else.
            self.confirm(&entered.caller, Basis::Key).await?;
        }
        Ok(entered)
    }

    async fn enter_from<L: Locate<T>, T, C: AsRef<str> + Sync>(
        &self,
        credential: &Credential<C>,
        slugs: Slugs<&str>,
        source: Source<'_>,
    ) -> Result<Entered<T>, AppError> {
        let caller = self.caller(credential, source).await?;
        let mut resolver = Resolver {
            sessions: self,
            caller: &caller,
            slugs,
            reader: Reader::new(source),
        };
        let tenancy = L::resolve(&mut resolver).await;
        drop(resolver);
        Ok(Entered { caller, tenancy })
    }

    /// Turns a credential into a caller.
    ///
    /// # Errors
    /// [`AppError::Token`] and [`AppError::InvalidApiKey`] for a credential that is not valid; [`AppError::Store`].
    pub async fn authenticate<C: AsRef<str> + Sync>(&self, credential: &Credential<C>) -> Result<Caller, AppError> {
        self.caller(credential, Source::Store(self.store.as_ref())).await
    }

    async fn caller<C: AsRef<str> + Sync>(
        &self,
        credential: &Credential<C>,
        source: Source<'_>,
    ) -> Result<Caller, AppError> {
        match credential {
            Credential::Token(token) => self.token_caller(token, &mut Reader::new(source)).await,
            Credential::Key(text) => self.key_caller(text.as_ref(), source).await,
        }
    }

    /// Resolves the tenancy that a path names for a caller.
    ///
    /// # Errors
    /// As [`FromPath::resolve`].
    pub async fn resolve<T: FromPath>(&self, caller: &Caller, slugs: Slugs<&str>) -> Result<T, AppError> {
        let mut resolver = Resolver {
            sessions: self,
            caller,
            slugs,
            reader: Reader::new(Source::Store(self.store.as_ref())),
        };
        T::resolve(&mut resolver).await
    }

    /// The names of identities that are cached.
    pub(crate) const fn names(&self) -> &IdentityNames {
        &self.names
    }

    /// Clears the cached names, after a write that may have renamed an identity.
    pub(crate) fn forget_names(&self) {
        self.names.clear();
    }

    /// Clears the cached places, after a write that may have moved one.
    pub(crate) fn forget_places(&self) {
        self.places.clear();
    }

    /// Returns the uses of keys since the last call.
    pub(crate) fn take_key_uses(&self) -> Vec<KeyUse> {
        self.keys.take_uses()
    }

    /// Returns whether other processes may write to the store.
    fn is_shared(&self) -> bool {
        self.store.shared().is_some()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
