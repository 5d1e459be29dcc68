//! Turns at the connections for transactions: they go round the tenants, and writers and readers leave some to each other.
//!
//! Writers of one environment follow each other anyway. Two of them have connections, so that the second is there when the
//! first commits; the others wait here and leave the pool to other environments.

use canopy_domain::port::{self, Share, StoreError, Turn};
use std::time::Duration;
use tokio::time::timeout;

/// The number of writers of one tenant that have connections.
const WRITERS: usize = 2;

/// The turns of a process.
#[derive(Debug)]
pub(crate) struct Turns {
    writers: port::Turns,
    readers: port::Turns,
    write_timeout: Duration,
    read_timeout: Duration,
}

impl Turns {
    pub(crate) fn new(pool_size: usize, write_timeout: Duration, read_timeout: Duration) -> Self {
        let share = three_quarters(pool_size);
        Self {
            writers: port::Turns::new(share, WRITERS),
            readers: port::Turns::new(share, three_quarters(share)),
            write_timeout,
            read_timeout,
        }
    }

    /// Waits for the turn of a writer.
    pub(crate) async fn write(&self, share: Share) -> Result<Turn, StoreError> {
        take(&self.writers, share, self.write_timeout).await
    }

    /// Waits for the turn of a reader.
    pub(crate) async fn read(&self, share: Share) -> Result<Turn, StoreError> {
        take(&self.readers, share, self.read_timeout).await
    }

    pub(crate) fn close(&self) {
        self.writers.close();
        self.readers.close();
    }
}

/// Three quarters of so many, but neither none nor, of more than one, all.
fn three_quarters(of: usize) -> usize {
    (of - (of / 4).max(1).min(of)).max(1)
}

async fn take(turns: &port::Turns, share: Share, deadline: Duration) -> Result<Turn, StoreError> {
    match timeout(deadline, turns.take(share)).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(closed)) => Err(StoreError::Unavailable(Box::new(closed))),
        Err(elapsed) => Err(StoreError::Busy(Box::new(elapsed))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::EnvironmentId;
    use uuid::Uuid;

    const SHORT: Duration = Duration::from_millis(20);

    fn environment(number: u128) -> Share {
        Share::Environment(EnvironmentId::new(Uuid::from_u128(number)))
    }

    #[test]
    fn a_part_is_left_to_others_where_there_is_one() {
        let parts = [1, 2, 3, 4, 16, 100].map(three_quarters);
        assert_eq!(parts, [1, 1, 2, 3, 12, 75]);
    }

    #[tokio::test]
    async fn writers_of_one_environment_have_two_connections() {
        let turns = Turns::new(8, SHORT, SHORT);
        let first = turns.write(environment(1)).await.unwrap();
        let second = turns.write(environment(1)).await.unwrap();
        assert!(matches!(turns.write(environment(1)).await, Err(StoreError::Busy(_))));
        let _other = turns.write(environment(2)).await.unwrap();
        drop(first);
        turns.write(environment(1)).await.unwrap();
        drop(second);
    }

    #[tokio::test]
    async fn writers_leave_connections_to_readers_and_readers_to_writers_and_other_tenants() {
        let turns = Turns::new(8, SHORT, SHORT);
        let mut held = Vec::new();
        for number in 0..6 {
            held.push(turns.write(environment(number)).await.unwrap());
        }
        assert!(matches!(turns.write(environment(6)).await, Err(StoreError::Busy(_))));
        for _ in 0..5 {
            held.push(turns.read(environment(1)).await.unwrap());
        }
        assert!(matches!(turns.read(environment(1)).await, Err(StoreError::Busy(_))));
        held.push(turns.read(environment(2)).await.unwrap());
        assert!(matches!(turns.read(environment(2)).await, Err(StoreError::Busy(_))));
        held.clear();
        turns.write(environment(6)).await.unwrap();
    }
}
