//! Background tasks of a running server that keep its indexes current and their memory bounded.

use crate::backoff::Backoff;
use canopy_app::App;
use std::convert::Infallible;
use std::time::Duration;

/// Follows the change feed of other instances; reconnects when it disconnects.
pub(super) async fn follow(app: &App) -> Infallible {
    let mut backoff = Backoff::new();
    loop {
        if let Err(error) = app.decisions().follow().await {
            tracing::warn!(%error, "change feed disconnected; reconnecting");
        }
        backoff.wait().await;
    }
}

/// The interval at which idle memory of indexes is released.
const EVICT_INTERVAL: Duration = Duration::from_secs(5);

/// Evicts idle indexes periodically.
pub(super) async fn evict_idle(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(EVICT_INTERVAL).await;
        app.decisions().evict_idle().await;
    }
}

/// The interval at which changes with a lost notification are fetched.
const CATCH_UP_INTERVAL: Duration = Duration::from_secs(5);

/// Fetches changes periodically, because the feed may lose some.
pub(super) async fn catch_up(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(CATCH_UP_INTERVAL).await;
        if let Err(error) = app.decisions().catch_up().await {
            tracing::debug!(%error, "changes not fetched; retrying later");
        }
    }
}
