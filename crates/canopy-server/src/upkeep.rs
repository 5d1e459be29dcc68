//! What is done now and then, in the background, so that no request has to: noting when API keys were last at work, and
//! removing answers that are no longer told to repetitions of their requests.

use canopy_app::App;
use std::convert::Infallible;
use std::time::Duration;

/// How much later than it was at work a key may be told to have been.
const NOTING: Duration = Duration::from_secs(30);

/// How much longer than they count answers may be kept.
const FORGETTING: Duration = Duration::from_secs(10 * 60);

/// The interval at which old change records are deleted.
const PRUNING: Duration = Duration::from_secs(10 * 60);

/// Does it for as long as the service runs. Change records are kept for `retention`, or forever.
pub async fn keep_up(app: &App, retention: Option<Duration>) -> Infallible {
    tokio::join!(keep_noting(app), keep_forgetting(app), keep_pruning(app, retention)).0
}

async fn keep_pruning(app: &App, retention: Option<Duration>) -> Infallible {
    let Some(retention) = retention else {
        return std::future::pending().await;
    };
    let seconds = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
    loop {
        tokio::time::sleep(PRUNING).await;
        if let Err(error) = app.prune_history(seconds).await {
            tracing::warn!(%error, "old change records not deleted; retrying later");
        }
    }
}

async fn keep_noting(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(NOTING).await;
        note(app).await;
    }
}

/// Notes once when keys were last at work. What cannot be noted is of no consequence but to those who look at the list of
/// keys.
pub async fn note(app: &App) {
    if let Err(error) = app.note_key_uses().await {
        tracing::warn!(%error, "last use of API keys not flushed; retrying later");
    }
}

async fn keep_forgetting(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(FORGETTING).await;
        if let Err(error) = app.forget_answers().await {
            tracing::warn!(%error, "expired idempotency records not deleted; retrying later");
        }
    }
}
