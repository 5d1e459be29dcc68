//! Turns at the connections for transactions: they go round the accounts, and writers and readers leave some to each other.
//!
//! Writers of one environment follow each other anyway. Two of them have connections, so that the second is there when the
//! first commits; the others wait here and leave the pool to the account's other environments. Where an account may have no
//! more than two writers, it is one.

use canopy_domain::port::{self, LockScope, Share, StoreError, Turn, TurnBounds, TurnTaker};
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// The largest number of writers of one scope that have connections.
const WRITERS: usize = 2;

/// The turns of a process.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Turns at the row that a scope locks.
    rows: port::Turns<Uuid>,
    writers: port::Turns,
    readers: port::Turns,
    write_timeout: Duration,
    read_timeout: Duration,
}

impl Turns {
    pub(crate) fn new(pool_size: usize, write_timeout: Duration, read_timeout: Duration) -> Self {
        let share = three_quarters(pool_size);
        let of_account = share.div_ceil(2);
        Self {
            rows: port::Turns::new(TurnBounds::new(usize::MAX, WRITERS.min(of_account - 1).max(1))),
            writers: port::Turns::new(TurnBounds::new(share, of_account)),
            readers: port::Turns::new(TurnBounds::new(share, three_quarters(share))),
            write_timeout,
            read_timeout,
        }
    }

    /// Waits for the turn of a writer: first among those that lock the same row, then of its account.
    pub(crate) async fn write(&self, scope: &LockScope) -> Result<HeldTurn, StoreError> {
        let waiting = async {
            let row = match scope {
                LockScope::Installation => None,
                _ => Some(take(&self.rows, scope.id()).await?),
            };
            let own = take(&self.writers, scope.share()).await?;
            Ok(HeldTurn { _own: own, _row: row })
        };
        within(self.write_timeout, waiting).await
    }

    /// Waits for the turn of a reader.
    pub(crate) async fn read(&self, share: Share) -> Result<HeldTurn, StoreError> {
        let waiting = async {
            let own = take(&self.readers, share).await?;
            Ok(HeldTurn { _own: own, _row: None })
        };
        within(self.read_timeout, waiting).await
    }

    pub(crate) fn close(&self) {
        self.rows.close();
        self.writers.close();
        self.readers.close();
    }
}

/// Three quarters of so many, but neither none nor, of more than one, all.
fn three_quarters(of: usize) -> usize {
    (of - (of / 4).max(1).min(of)).max(1)
}

/// The turns that a unit of work holds.
#[derive(Debug)]
pub(crate) struct HeldTurn {
    _own: Turn,
    _row: Option<Turn<Uuid>>,
}

async fn take<K: TurnTaker>(turns: &port::Turns<K>, party: K) -> Result<Turn<K>, StoreError> {
    let turn = turns.take(party).await;
    turn.map_err(|closed| StoreError::Unavailable(Box::new(closed)))
}

async fn within<T>(deadline: Duration, waiting: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let waited = timeout(deadline, waiting).await;
    waited.unwrap_or_else(|elapsed| Err(StoreError::Busy(Box::new(elapsed))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::{AccountId, EnvironmentRef};

    const SHORT: Duration = Duration::from_millis(20);

    /// An environment of an account, both by their numbers.
    fn environment(account: u128, number: u128) -> LockScope {
        LockScope::Environment(EnvironmentRef {
            account: AccountId::new(Uuid::from_u128(account)),
            application: canopy_domain::ApplicationId::new(Uuid::from_u128(account)),
            environment: canopy_domain::EnvironmentId::new(Uuid::from_u128(number)),
        })
    }

    #[test]
    fn a_part_is_left_to_others_where_there_is_one() {
        let parts = [1, 2, 3, 4, 16, 100].map(three_quarters);
        assert_eq!(parts, [1, 1, 2, 3, 12, 75]);
    }

    #[tokio::test]
    async fn writers_of_one_environment_have_two_connections() {
        let turns = Turns::new(8, SHORT, SHORT);
        let first = turns.write(&environment(1, 1)).await.unwrap();
        let second = turns.write(&environment(1, 1)).await.unwrap();
        assert!(matches!(
            turns.write(&environment(1, 1)).await,
            Err(StoreError::Busy(_))
        ));
        let _other = turns.write(&environment(1, 2)).await.unwrap();
        drop(first);
        turns.write(&environment(1, 1)).await.unwrap();
        drop(second);
    }

    #[tokio::test]
    async fn writers_of_one_environment_leave_a_small_pool_to_others_of_the_account() {
        for pool_size in [4, 5] {
            let turns = Turns::new(pool_size, SHORT, SHORT);
            let _first = turns.write(&environment(1, 1)).await.unwrap();
            assert!(matches!(
                turns.write(&environment(1, 1)).await,
                Err(StoreError::Busy(_))
            ));
            turns.write(&environment(1, 2)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_account_with_many_environments_has_half_of_the_writers() {
        let turns = Turns::new(8, SHORT, SHORT);
        let mut held = Vec::new();
        for number in 0..3 {
            held.push(turns.write(&environment(1, number)).await.unwrap());
        }
        assert!(matches!(
            turns.write(&environment(1, 3)).await,
            Err(StoreError::Busy(_))
        ));
        for number in 4..7 {
            held.push(turns.write(&environment(2, number)).await.unwrap());
        }
        assert!(matches!(
            turns.write(&environment(3, 7)).await,
            Err(StoreError::Busy(_))
        ));
    }

    #[tokio::test]
    async fn writers_leave_connections_to_readers_and_readers_to_writers_and_other_tenants() {
        let turns = Turns::new(8, SHORT, SHORT);
        let mut held = Vec::new();
        for number in 0..6 {
            held.push(turns.write(&environment(number, number)).await.unwrap());
        }
        let [first, second] = [1, 2].map(|number| environment(number, number).share());
        assert!(matches!(
            turns.write(&environment(6, 6)).await,
            Err(StoreError::Busy(_))
        ));
        for _ in 0..5 {
            held.push(turns.read(first).await.unwrap());
        }
        assert!(matches!(turns.read(first).await, Err(StoreError::Busy(_))));
        held.push(turns.read(second).await.unwrap());
        assert!(matches!(turns.read(second).await, Err(StoreError::Busy(_))));
        held.clear();
        turns.write(&environment(6, 6)).await.unwrap();
    }
}
