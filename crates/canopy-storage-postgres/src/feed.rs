//! The feed: which environments have moved, told to every instance by `NOTIFY`.
//!
//! It is a hint that spares others a question; nothing depends on its arriving. Commits that happen while a notification
//! is on its way go out together with the next one, by a statement of their own: within a transaction, a `NOTIFY` would
//! let commits wait for each other. Who listens does so on a connection of its own, which is asked every half a second
//! whether it lives.

use crate::connect::{Connector, Dialed};
use crate::error::Fault;
use crate::health::Health;
use crate::pool::Pool;
use crate::statement::Statement;
use canopy_domain::port::{FeedEvent, StoreError};
use canopy_domain::{EnvironmentId, Revision};
use canopy_storage_sql::{SqlText, sql};
use core::convert::Infallible;
use futures_util::StreamExt;
use futures_util::future::{self, Either};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Notification};
use uuid::Uuid;

const CHANNEL: &str = "canopy_revisions";
/// Interval of the health check of the connection.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Maximum time for its response.
const DEADLINE: Duration = Duration::from_secs(3);
/// Pause before publishing again after a failure.
const PAUSE: Duration = Duration::from_millis(250);
/// PostgreSQL takes payloads below 8,000 bytes; an entry has at most 54.
const ENTRIES_IN_PAYLOAD: usize = 140;

/// Tells other instances what was committed here, in the background.
#[derive(Debug)]
pub(crate) struct Notifier {
    outbox: Arc<Outbox>,
    task: JoinHandle<()>,
}

/// Committed but unpublished revisions: the newest one of each environment.
#[derive(Debug, Default)]
struct Outbox {
    waiting: Mutex<HashMap<EnvironmentId, Revision>>,
    filled: Notify,
}

impl Outbox {
    fn put(&self, revisions: &[(EnvironmentId, Revision)]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (environment, revision) in revisions {
            let newest = waiting.entry(*environment).or_insert(*revision);
            *newest = (*newest).max(*revision);
        }
        drop(waiting);
        self.filled.notify_one();
    }

    fn take(&self) -> Vec<(EnvironmentId, Revision)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain().collect()
    }
}

impl Notifier {
    pub(crate) fn start(pool: Arc<Pool>, runtime: &Handle) -> Self {
        let outbox: Arc<Outbox> = Arc::default();
        let task = runtime.spawn(keep_telling(pool, Arc::clone(&outbox)));
        Self { outbox, task }
    }

    /// Notes what was committed, to be told at once or with what is told next.
    pub(crate) fn tell(&self, revisions: &[(EnvironmentId, Revision)]) {
        if !revisions.is_empty() {
            self.outbox.put(revisions);
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_telling(pool: Arc<Pool>, outbox: Arc<Outbox>) {
    loop {
        outbox.filled.notified().await;
        let moved = outbox.take();
        if let Err(error) = tell(&pool, &moved).await {
            tracing::debug!(%error, "commits could not be told to other instances yet");
            outbox.put(&moved);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn tell(pool: &Pool, moved: &[(EnvironmentId, Revision)]) -> Result<(), StoreError> {
    static NOTIFY: SqlText = sql!("SELECT pg_notify('canopy_revisions', payload) FROM unnest($1) AS payload");
    let lease = pool.lend().await?;
    match Statement::new(&NOTIFY)
        .bind(payloads(moved))
        .execute(lease.connection()?)
        .await
    {
        Ok(_) => {
            lease.give_back();
            Ok(())
        }
        Err(error) => {
            lease.discard();
            Err(error)
        }
    }
}

/// A connection that listens, and its notifications. Driven by the runtime of the store.
struct Line {
    client: Client,
    heard: mpsc::UnboundedReceiver<Notification>,
    driver: JoinHandle<()>,
    generation: u64,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Hears what is told, until the line breaks.
pub(crate) async fn listen(
    connector: Arc<Connector>,
    health: &Health,
    runtime: &Handle,
    receive: &(dyn Fn(FeedEvent) + Send + Sync),
) -> Result<Infallible, StoreError> {
    let opening = runtime.spawn(async move { open(&connector).await });
    let mut line = opening
        .await
        .map_err(|error| StoreError::Unavailable(Box::new(error)))??;
    receive(FeedEvent::Connected);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let tick = pin!(heartbeat.tick());
        let heard = pin!(line.heard.recv());
        match future::select(heard, tick).await {
            Either::Left((Some(notification), _)) => {
                let moved = read_payload(notification.payload());
                if !moved.is_empty() {
                    receive(FeedEvent::Revisions(moved));
                }
            }
            Either::Left((None, _)) => {
                return Err(StoreError::Unavailable(Box::new(Fault(
                    "the server has closed the connection",
                ))));
            }
            Either::Right(_) => {
                in_time(line.client.batch_execute("")).await?;
                if health.state().generation != line.generation {
                    // A server that was replaced may go on answering, and tells of no commits any more.
                    return Err(StoreError::Unavailable(Box::new(Fault(
                        "the server was replaced or did not answer",
                    ))));
                }
                receive(FeedEvent::Alive);
            }
        }
    }
}

async fn open(connector: &Connector) -> Result<Line, StoreError> {
    let Dialed {
        client,
        mut connection,
        generation,
    } = connector.dial().await?;
    let (told, heard) = mpsc::unbounded_channel();
    let driver = tokio::spawn(async move {
        let mut messages = pin!(futures_util::stream::poll_fn(
            move |context| connection.poll_message(context)
        ));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                // The other end is gone only when this task is about to be ended.
                let _ = told.send(notification);
            }
        }
    });
    let line = Line {
        client,
        heard,
        driver,
        generation,
    };
    in_time(line.client.batch_execute(&format!("LISTEN {CHANNEL}"))).await?;
    Ok(line)
}

async fn in_time<T>(run: impl Future<Output = Result<T, tokio_postgres::Error>> + Send) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, run).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(StoreError::Unavailable(Box::new(error))),
        Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
    }
}

fn payloads(moved: &[(EnvironmentId, Revision)]) -> Vec<String> {
    let payload = |entries: &[(EnvironmentId, Revision)]| {
        let mut text = String::new();
        for (environment, revision) in entries {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}:{revision},", environment.as_uuid().as_simple());
        }
        text
    };
    moved.chunks(ENTRIES_IN_PAYLOAD).map(payload).collect()
}

/// Parses a payload. Any client can send notifications, so foreign payloads are ignored.
fn read_payload(payload: &str) -> Vec<(EnvironmentId, Revision)> {
    let entry = |entry: &str| {
        let (id, revision) = entry.split_once(':')?;
        let id = Uuid::try_parse(id).ok()?;
        Some((EnvironmentId::new(id), Revision::new(revision.parse().ok()?)))
    };
    payload.split(',').filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_back_and_stay_below_the_limit() {
        let moved: Vec<(EnvironmentId, Revision)> = (0..300_u128)
            .map(|n| (EnvironmentId::new(Uuid::from_u128(n)), Revision::new(u64::MAX - 1)))
            .collect();
        let payloads = payloads(&moved);
        assert_eq!(payloads.len(), 3);
        assert!(payloads.iter().all(|payload| payload.len() < 8_000));
        let back: Vec<(EnvironmentId, Revision)> = payloads.iter().flat_map(|p| read_payload(p)).collect();
        assert_eq!(back, moved);
        assert!(read_payload("hello, world:1, :,").is_empty());
    }
}
