//! Background maintenance: flushes the last use of API keys, deletes expired idempotency records and old change records.

use canopy_app::App;
use std::convert::Infallible;
use std::time::Duration;

/// The interval at which the last use of API keys is flushed: the maximum delay of `last_used_at`.
const KEY_USE_INTERVAL: Duration = Duration::from_secs(30);

/// The interval at which expired idempotency records are deleted.
const IDEMPOTENCY_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The interval at which old change records are deleted.
const HISTORY_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Maintains the store for as long as the service runs. Change records are kept for `retention`, or forever.
pub async fn maintain(app: &App, retention: Option<Duration>) -> Infallible {
    tokio::join!(
        flush_periodically(app),
        expire_responses(app),
        prune_history(app, retention)
    )
    .0
}

async fn prune_history(app: &App, retention: Option<Duration>) -> Infallible {
    let Some(retention) = retention else {
        return std::future::pending().await;
    };
    let seconds = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
    loop {
        tokio::time::sleep(HISTORY_INTERVAL).await;
        if let Err(error) = app.prune_history(seconds).await {
            tracing::warn!(%error, "old change records not deleted; retrying later");
        }
    }
}

async fn flush_periodically(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(KEY_USE_INTERVAL).await;
        flush_key_uses(app).await;
    }
}

/// Flushes `last_used_at` of the API keys used since the last call. A failure is logged and loses only these times.
pub async fn flush_key_uses(app: &App) {
    if let Err(error) = app.note_key_uses().await {
        tracing::warn!(%error, "last use of API keys not flushed");
    }
}

async fn expire_responses(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(IDEMPOTENCY_INTERVAL).await;
        if let Err(error) = app.forget_answers().await {
            tracing::warn!(%error, "expired idempotency records not deleted; retrying later");
        }
    }
}
