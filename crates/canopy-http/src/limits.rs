//! Rate limits: failed authentications per client address, and requests per caller.

use crate::forwarded;
use crate::problem::Problem;
use actix_web::HttpRequest;
use canopy_app::Caller;
use canopy_domain::AccountId;
use canopy_domain::audit::Actor;
use core::hash::{BuildHasher as _, Hash};
use core::net::{IpAddr, Ipv6Addr};
use core::num::NonZeroU32;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The largest number of keys that a limiter remembers.
const CAPACITY: usize = 100_000;

/// Number of checks of a full limiter between two evictions of idle keys.
const CHECKS_BETWEEN_SWEEPS: usize = 1_024;

/// Maximum number of refused attempts of one account in its audit log per minute.
const LOGGED_REFUSALS: NonZeroU32 = NonZeroU32::MIN.saturating_add(299);

/// Rate limits.
#[derive(Debug, Clone)]
pub struct LimitOptions {
    /// Maximum number of refused credentials of a client address per minute; more are answered with 429. A valid
    /// credential is never refused for them.
    pub failed_authentications: NonZeroU32,
    /// Maximum number of requests of a caller per minute, over all its tokens; `None` for no limit.
    pub requests: Option<NonZeroU32>,
    /// The networks of proxies whose `Forwarded` and `X-Forwarded-For` are trusted.
    pub trusted_proxies: Vec<IpNet>,
}

impl LimitOptions {
    /// The default limit of refused credentials of a client address per minute.
    pub const FAILED_AUTHENTICATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(599);
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            failed_authentications: Self::FAILED_AUTHENTICATIONS,
            requests: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// The limits of a service.
pub(crate) struct Limits {
    failed: Limiter<IpAddr>,
    /// Keyed by the hash of the caller.
    requests: Option<Limiter<u64>>,
    hasher: RandomState,
    /// Per account, so that no account fills the log or crowds out others.
    refusals: Limiter<AccountId>,
    trusted_proxies: Vec<IpNet>,
}

impl Limits {
    pub(crate) fn new(options: LimitOptions) -> Self {
        Self {
            failed: Limiter::new(options.failed_authentications, MonotonicClock),
            requests: options.requests.map(|requests| Limiter::new(requests, MonotonicClock)),
            hasher: RandomState::new(),
            refusals: Limiter::new(LOGGED_REFUSALS, MonotonicClock),
            trusted_proxies: options.trusted_proxies,
        }
    }

    /// Counts a refused credential against the client's address.
    ///
    /// # Errors
    /// 429 if the address is over its limit.
    pub(crate) fn failed(&self, http: &HttpRequest) -> Result<(), Problem> {
        self.failed.check(&self.client(http)).into()
    }

    /// Counts a request against its caller, whose credential is valid.
    ///
    /// # Errors
    /// 429 if the caller is over its limit.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        let Some(requests) = &self.requests else {
            return Ok(());
        };
        let Actor { id, kind, .. } = caller.actor();
        let who = self.hasher.hash_one((caller.account(), kind.as_str(), id));
        requests.check(&who).into()
    }

    /// Returns whether one more refused attempt of an account may be logged.
    pub(crate) fn may_log(&self, account: AccountId) -> bool {
        self.refusals.check(&account) == Admission::Allowed
    }

    /// Returns the network of the client: an IPv4 address, or the /64 of an IPv6 address.
    fn client(&self, http: &HttpRequest) -> IpAddr {
        let peer = http
            .peer_addr()
            .map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        network(forwarded::client(peer, http.headers(), &self.trusted_proxies))
    }

    /// Returns the network that a connection counts against; `None` for a trusted proxy, which calls for many clients.
    pub(crate) fn connection_address(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let is_proxy = self.trusted_proxies.iter().any(|network| network.contains(&peer));
        (!is_proxy).then(|| network(peer))
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Allowed,
    /// Not before this many seconds have passed.
    Wait(u32),
}

impl From<Admission> for Result<(), Problem> {
    fn from(admission: Admission) -> Self {
        match admission {
            Admission::Allowed => Ok(()),
            Admission::Wait(seconds) => Err(Problem::rate_limited(seconds)),
        }
    }
}

/// The instant at which the quota of each key is full again, for at most `CAPACITY` keys. All other keys share one
/// quota, so that a caller with ever new keys gains nothing.
struct Counts<K> {
    slots: Mutex<Slots<K>>,
    capacity: usize,
}

struct Slots<K> {
    own: HashMap<K, Nanos>,
    shared: Option<Nanos>,
}

impl<K> Counts<K> {
    fn new(capacity: usize) -> Self {
        let slots = Slots {
            own: HashMap::new(),
            shared: None,
        };
        Self {
            slots: Mutex::new(slots),
            capacity,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots<K>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Hash + Eq> StateStore for Counts<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut slots = self.slots();
        let own = slots.own.get(key).copied();
        if own.is_some() || slots.own.len() < self.capacity {
            let (allowed, next) = measure(own)?;
            slots.own.insert(key.clone(), next);
            Ok(allowed)
        } else {
            let (allowed, next) = measure(slots.shared)?;
            slots.shared = Some(next);
            Ok(allowed)
        }
    }
}

impl<K: Clone + Hash + Eq> ShrinkableKeyedStateStore<K> for Counts<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.slots().own.retain(|_, at| *at > drop_below);
    }

    fn len(&self) -> usize {
        self.slots().own.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Counts by key in bounded memory: keys with a full quota are evicted.
pub(crate) struct Limiter<K: Clone + Hash + Eq, C: Clock = MonotonicClock> {
    counts: RateLimiter<K, Counts<K>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    capacity: usize,
    checks_when_full: AtomicUsize,
}

impl<K: Clone + Hash + Eq, C: Clock + Clone> Limiter<K, C> {
    /// Allows `a_minute` per minute for each key, in a burst or evenly.
    pub(crate) fn new(a_minute: NonZeroU32, clock: C) -> Self {
        Self::with_capacity(a_minute, clock, CAPACITY)
    }

    fn with_capacity(a_minute: NonZeroU32, clock: C, capacity: usize) -> Self {
        Self {
            counts: RateLimiter::new(Quota::per_minute(a_minute), Counts::new(capacity), clock.clone()),
            clock,
            capacity,
            checks_when_full: AtomicUsize::new(0),
        }
    }

    /// Checks whether a key may go on, and counts it if so.
    pub(crate) fn check(&self, key: &K) -> Admission {
        if self.counts.len() >= self.capacity {
            let checks = self.checks_when_full.fetch_add(1, Ordering::Relaxed);
            if checks.is_multiple_of(CHECKS_BETWEEN_SWEEPS) {
                self.counts.retain_recent();
            }
        }
        match self.counts.check_key(key) {
            Ok(()) => Admission::Allowed,
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now());
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Admission::Wait(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use governor::clock::FakeRelativeClock;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_key_has_its_own_count_which_comes_back_with_time() {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::new(number(60), clock.clone());
        for _ in 0..60 {
            assert_eq!(limiter.check(&'a'), Admission::Allowed);
        }
        assert_eq!(limiter.check(&'a'), Admission::Wait(1));
        assert_eq!(limiter.check(&'b'), Admission::Allowed);
        clock.advance(Duration::from_secs(2));
        assert_eq!(limiter.check(&'a'), Admission::Allowed);
        assert_eq!(limiter.check(&'a'), Admission::Allowed);
        assert_eq!(limiter.check(&'a'), Admission::Wait(1));
        let slow = Limiter::new(number(2), clock);
        assert_eq!(
            (slow.check(&'a'), slow.check(&'a')),
            (Admission::Allowed, Admission::Allowed)
        );
        assert_eq!(slow.check(&'a'), Admission::Wait(30));
    }

    #[test]
    fn memory_is_bounded_and_comes_back_with_time() {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::with_capacity(number(60), clock.clone(), 10);
        for key in 0..10 {
            assert_eq!(limiter.check(&key), Admission::Allowed);
        }
        // All other keys share one quota; known keys keep their own.
        let allowed = (10..5_000).filter(|key| limiter.check(key) == Admission::Allowed);
        assert_eq!(allowed.count(), 60);
        let own = (0..100).filter(|_| limiter.check(&3) == Admission::Allowed);
        assert_eq!(own.count(), 59);
        assert_eq!(limiter.check(&4), Admission::Allowed);
        assert_eq!(limiter.counts.len(), 10);
        clock.advance(Duration::from_secs(61));
        for key in 5_000..5_000 + 2 * CHECKS_BETWEEN_SWEEPS {
            limiter.check(&key);
        }
        assert_eq!(limiter.counts.len(), 10);
        assert_eq!(
            limiter.check(&3),
            Admission::Wait(1),
            "it was forgotten, and shares with the rest"
        );
    }

    #[test]
    fn one_subscriber_is_one_client() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_ne!(network(ip("2001:db8:1:2::")), network(ip("2001:db8:1:3::")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_ne!(network(ip("192.0.2.1")), network(ip("192.0.2.2")));
    }

    #[test]
    fn connections_of_trusted_proxies_count_against_nobody() {
        let limits = Limits::new(LimitOptions {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..LimitOptions::default()
        });
        assert_eq!(limits.connection_address(ip("::ffff:10.1.2.3")), None);
        assert_eq!(limits.connection_address(ip("192.0.2.1")), Some(ip("192.0.2.1")));
        let subscriber = Some(ip("2001:db8:1:2::"));
        assert_eq!(limits.connection_address(ip("2001:db8:1:2:3::4")), subscriber);
    }
}
