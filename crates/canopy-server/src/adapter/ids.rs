//! Identifiers: UUIDs of version 7.

use super::OsSecrets;
use canopy_domain::port::{Clock, Ids};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// UUIDs of version 7, each greater than the previous one of this process, even if the clock stops or steps back.
///
/// The first 60 free bits are a clock of 1/4096 ms (RFC 9562, 6.2, method 3), incremented if the clock has not
/// advanced; the other 62 are random.
pub struct UuidV7Ids {
    clock: Arc<dyn Clock>,
    last: AtomicU64,
}

impl std::fmt::Debug for UuidV7Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UuidV7Ids").finish_non_exhaustive()
    }
}

impl UuidV7Ids {
    /// Creates a generator on this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            last: AtomicU64::new(0),
        }
    }

    /// Returns the next tick: that of the clock, or the one after the last.
    fn tick(&self) -> u64 {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(0) << 12;
        let after = |last: u64| now.max(last.saturating_add(1));
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            match self
                .last
                .compare_exchange_weak(last, after(last), Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(last) => return after(last),
                Err(newer) => last = newer,
            }
        }
    }
}

impl Ids for UuidV7Ids {
    fn mint(&self) -> Uuid {
        const VERSION: u64 = 7 << 12;
        const VARIANT: u64 = 0b10 << 62;
        let tick = self.tick();
        let high = ((tick >> 12) << 16) | VERSION | (tick & 0xfff);
        let low = VARIANT | (OsSecrets::number() >> 2);
        Uuid::from_u64_pair(high, low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::Timestamp;
    use std::collections::HashSet;

    struct Still(i64);

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0).unwrap()
        }
    }

    #[test]
    fn ids_are_of_version_7_and_carry_the_time() {
        let id = UuidV7Ids::new(Arc::new(Still(1_700_000_000_123))).mint();
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        assert_eq!(id.as_u128() >> 80, 1_700_000_000_123);
        assert_eq!((id.as_u128() >> 64) & 0xfff, 0);
    }

    #[test]
    fn ids_grow_while_the_clock_stands_still() {
        let ids = UuidV7Ids::new(Arc::new(Still(1_700_000_000_000)));
        let made: Vec<Uuid> = (0..10_000).map(|_| ids.mint()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn threads_never_make_the_same_id() {
        let ids = UuidV7Ids::new(Arc::new(Still(0)));
        let mint = || (0..5_000).map(|_| ids.mint().as_u128() >> 64).collect::<Vec<_>>();
        let made: Vec<Vec<u128>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(mint)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let unique: HashSet<_> = made.iter().flatten().collect();
        assert_eq!(unique.len(), 20_000);
    }
}
