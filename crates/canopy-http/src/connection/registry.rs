//! The registry of all connections: their number, per client address and in total, and which of them only wait.

use core::net::IpAddr;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The phase of a connection in the exchange of requests and responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// A head has begun and is not complete.
    Head,
    /// The last response is sent; the client should close.
    Closing,
    /// No byte of a next head has come.
    Waiting,
    /// A request has begun and its body is incomplete.
    Receiving,
    /// A response is being sent.
    Answering,
    /// A request is being read or processed.
    Busy,
}

impl Phase {
    const ALL: [Self; 6] = [
        Self::Head,
        Self::Closing,
        Self::Waiting,
        Self::Receiving,
        Self::Answering,
        Self::Busy,
    ];

    /// Returns whether the connection waits for its client. Closing it then undoes nothing and loses no response.
    const fn only_waits(self) -> bool {
        matches!(self, Self::Head | Self::Closing | Self::Waiting | Self::Receiving)
    }
}

/// Milliseconds since the start, as of the last sweep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_max(millis, Ordering::Relaxed);
    }
}

/// The state of a connection that other workers can read.
#[derive(Debug)]
struct Shared {
    address: Option<IpAddr>,
    phase: AtomicU8,
    since: AtomicU64,
    /// True if a request of the connection has been answered.
    has_asked: AtomicBool,
    is_evicted: AtomicBool,
    /// Wakes the sweep of its worker.
    sweep: Arc<Notify>,
}

impl Shared {
    fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        Phase::ALL.get(usize::from(phase)).copied().unwrap_or(Phase::Busy)
    }

    /// Returns the eviction rank, lowest first: unfinished heads and connections that never sent a request; then idle
    /// connections that did; then requests that wait for their body. Within a class, the longest wait is first. Returns
    /// `None` for busy connections.
    fn rank(&self) -> Option<Rank> {
        let phase = self.phase();
        let class = match phase {
            Phase::Receiving => 2,
            Phase::Waiting if self.has_asked.load(Ordering::Relaxed) => 1,
            _ => 0,
        };
        phase.only_waits().then(|| (class, self.since.load(Ordering::Relaxed)))
    }
}

/// The eviction order: by class, then by the instant since which a connection waits.
type Rank = (u8, u64);

/// The open connections.
#[derive(Debug)]
pub(crate) struct Registry {
    max_total: usize,
    max_per_address: usize,
    table: Mutex<Table>,
    /// The number of connections, for the metrics.
    count: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Table {
    connections: HashMap<u64, Arc<Shared>>,
    by_address: HashMap<IpAddr, usize>,
    next: u64,
}

impl Table {
    /// Returns the `count` connections to evict first, of one address or of all.
    fn first_to_go(&self, address: Option<IpAddr>, count: usize) -> Vec<u64> {
        let candidates = self.connections.iter().filter_map(|(id, connection)| {
            let concerned = address.is_none() || connection.address == address;
            let rank = connection.rank().filter(|_| concerned)?;
            Some((rank, *id))
        });
        let mut candidates: Vec<(Rank, u64)> = candidates.collect();
        if candidates.len() > count {
            candidates.select_nth_unstable(count);
            candidates.truncate(count);
        }
        candidates.into_iter().map(|(_, id)| id).collect()
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Shared>> {
        let removed = self.connections.remove(&id)?;
        if let Some(address) = removed.address
            && let Some(count) = self.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
        Some(removed)
    }

    fn of(&self, address: Option<IpAddr>) -> usize {
        let count = address.and_then(|address| self.by_address.get(&address));
        count.copied().unwrap_or_default()
    }
}

impl Registry {
    /// Creates a registry for `max_total` connections, and `max_per_address` of each address.
    pub(crate) fn new(max_total: usize, max_per_address: usize, count: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self {
            max_total: max_total.max(1),
            max_per_address: max_per_address.max(1),
            table: Mutex::default(),
            count,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a slot for a connection. If there is none, evicts connections that only wait; those of its own address
    /// if that is at its limit. Returns `None` if all others are busy.
    pub(crate) fn admit(self: &Arc<Self>, address: Option<IpAddr>, sweep: &Arc<Notify>, now: u64) -> Option<Entry> {
        let mut table = self.table();
        if table.of(address) >= self.max_per_address {
            self.evict(&mut table, address)?;
        }
        if table.connections.len() >= self.max_total {
            self.evict(&mut table, None)?;
        }
        let shared = Arc::new(Shared {
            address,
            phase: AtomicU8::new(Phase::Waiting as u8),
            since: AtomicU64::new(now),
            has_asked: AtomicBool::new(false),
            is_evicted: AtomicBool::new(false),
            sweep: Arc::clone(sweep),
        });
        let id = table.next;
        table.next += 1;
        table.connections.insert(id, Arc::clone(&shared));
        if let Some(address) = address {
            *table.by_address.entry(address).or_default() += 1;
        }
        self.count.store(table.connections.len(), Ordering::Relaxed);
        Some(Entry {
            id,
            shared,
            registry: Arc::clone(self),
        })
    }

    /// Evicts several connections at once, so that a flood of new ones does not search all of them each time.
    fn evict(&self, table: &mut Table, address: Option<IpAddr>) -> Option<()> {
        let bound = if address.is_some() {
            self.max_per_address
        } else {
            self.max_total
        };
        let victims = table.first_to_go(address, (bound / 64).clamp(1, 64));
        if victims.is_empty() {
            return None;
        }
        for id in victims {
            if let Some(victim) = table.remove(id) {
                victim.is_evicted.store(true, Ordering::Relaxed);
                victim.sweep.notify_one();
            }
        }
        Some(())
    }
}

/// The slot of one connection, released on drop.
#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    shared: Arc<Shared>,
    registry: Arc<Registry>,
}

impl Entry {
    pub(crate) fn enter(&self, phase: Phase, now: u64) {
        self.shared.phase.store(phase as u8, Ordering::Relaxed);
        self.shared.since.store(now, Ordering::Relaxed);
        if phase == Phase::Busy {
            self.shared.has_asked.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.shared.phase()
    }

    pub(crate) fn since(&self) -> u64 {
        self.shared.since.load(Ordering::Relaxed)
    }

    /// Extends the wait by time in which the worker was stalled.
    pub(crate) fn forgive(&self, millis: u64) {
        self.shared.since.fetch_add(millis, Ordering::Relaxed);
    }

    /// Returns whether the slot was assigned to another connection. A request that began since then is finished first.
    pub(crate) fn is_evicted(&self) -> bool {
        self.shared.is_evicted.load(Ordering::Relaxed) && self.phase().only_waits()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = self.registry.table();
        table.remove(self.id);
        self.registry.count.store(table.connections.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    struct Fixture {
        registry: Arc<Registry>,
        sweep: Arc<Notify>,
        count: Arc<AtomicUsize>,
    }

    impl Fixture {
        fn new(total: usize, per_address: usize) -> Self {
            let count = Arc::new(AtomicUsize::new(0));
            Self {
                registry: Registry::new(total, per_address, Arc::clone(&count)),
                sweep: Arc::new(Notify::new()),
                count,
            }
        }

        fn admit(&self, address: Option<IpAddr>, now: u64) -> Option<Entry> {
            self.registry.admit(address, &self.sweep, now)
        }

        fn count(&self) -> usize {
            self.count.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn unfinished_heads_go_before_idle_connections_and_both_before_nobody() {
        let fixture = Fixture::new(4, 4);
        let [idle, head, fresh, busy] = [1, 2, 3, 4].map(|now| fixture.admit(Some(ip("192.0.2.1")), now).unwrap());
        idle.enter(Phase::Busy, 1);
        idle.enter(Phase::Waiting, 1);
        head.enter(Phase::Head, 2);
        busy.enter(Phase::Busy, 0);
        let evicted = || [&idle, &head, &fresh, &busy].map(Entry::is_evicted);
        let mut kept = vec![fixture.admit(Some(ip("192.0.2.2")), 5).unwrap()];
        assert_eq!(evicted(), [false, true, false, false]);
        kept.push(fixture.admit(Some(ip("192.0.2.2")), 6).unwrap());
        assert_eq!(evicted(), [false, true, true, false]);
        for entry in &kept {
            entry.enter(Phase::Busy, 6);
        }
        kept.push(fixture.admit(Some(ip("192.0.2.2")), 7).unwrap());
        assert_eq!(evicted(), [true, true, true, false]);
        kept[2].enter(Phase::Answering, 7);
        assert!(fixture.admit(Some(ip("192.0.2.2")), 8).is_none(), "all are at work");
        assert_eq!(fixture.count(), 4);
        drop((idle, head, fresh));
        assert_eq!(fixture.count(), 4, "places that were given away are not given back");
        drop((busy, kept));
        assert_eq!(fixture.count(), 0);
        assert!(fixture.registry.table().by_address.is_empty());
    }

    #[test]
    fn connections_that_wait_for_a_body_go_last_the_longest_first() {
        let fixture = Fixture::new(4, 4);
        let [idle, early, late, busy] = [1, 2, 3, 4].map(|now| fixture.admit(None, now).unwrap());
        for entry in [&idle, &early, &late, &busy] {
            entry.enter(Phase::Busy, 4);
        }
        idle.enter(Phase::Waiting, 9);
        early.enter(Phase::Receiving, 5);
        late.enter(Phase::Receiving, 6);
        let evicted = || [&idle, &early, &late, &busy].map(Entry::is_evicted);
        let mut kept = Vec::new();
        for expected in [
            [true, false, false, false],
            [true, true, false, false],
            [true, true, true, false],
        ] {
            let entry = fixture.admit(None, 10).unwrap();
            entry.enter(Phase::Busy, 10);
            kept.push(entry);
            assert_eq!(evicted(), expected);
        }
        assert!(fixture.admit(None, 11).is_none());
        late.enter(Phase::Busy, 12);
        assert!(!late.is_evicted(), "its body has come meanwhile");
    }

    #[test]
    fn an_address_with_too_many_makes_room_among_its_own() {
        let fixture = Fixture::new(10, 2);
        let other = fixture.admit(Some(ip("192.0.2.2")), 0).unwrap();
        let first = fixture.admit(Some(ip("192.0.2.1")), 1).unwrap();
        let second = fixture.admit(Some(ip("192.0.2.1")), 2).unwrap();
        let third = fixture.admit(Some(ip("192.0.2.1")), 3).unwrap();
        assert_eq!(
            [&other, &first, &second, &third].map(Entry::is_evicted),
            [false, true, false, false]
        );
        second.enter(Phase::Busy, 3);
        third.enter(Phase::Busy, 3);
        assert!(fixture.admit(Some(ip("192.0.2.1")), 4).is_none());
        assert!(fixture.admit(Some(ip("192.0.2.2")), 4).is_some());
        // Connections of trusted proxies have no address of their own.
        let proxied: Vec<Entry> = (0..5).filter_map(|now| fixture.admit(None, now)).collect();
        assert_eq!(proxied.len(), 5);
    }

    #[test]
    fn a_request_that_began_meanwhile_is_finished() {
        let fixture = Fixture::new(1, 1);
        let first = fixture.admit(Some(ip("192.0.2.1")), 0).unwrap();
        let _second = fixture.admit(Some(ip("192.0.2.2")), 1).unwrap();
        assert!(first.is_evicted());
        first.enter(Phase::Busy, 2);
        assert!(!first.is_evicted());
        first.enter(Phase::Waiting, 3);
        assert!(first.is_evicted());
    }
}
