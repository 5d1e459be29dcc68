//! Noting when API keys were last at work: now and then, in the background, so that no request writes for it.

use canopy_app::App;
use std::convert::Infallible;
use std::time::Duration;

/// How much later than it was at work a key may be told to have been.
const INTERVAL: Duration = Duration::from_secs(30);

/// Notes it for as long as the service runs.
pub async fn keep_noting(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(INTERVAL).await;
        note(app).await;
    }
}

/// Notes it once. What cannot be noted is of no consequence but to those who look at the list of keys.
pub async fn note(app: &App) {
    if let Err(error) = app.note_key_uses().await {
        tracing::warn!(%error, "the last use of API keys was not noted");
    }
}
