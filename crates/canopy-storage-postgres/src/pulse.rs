//! The heartbeat: a connection of its own that finds out when the server stops answering.

use crate::connect::{Connector, Dialed, is_silence, single_row};
use crate::health::{Health, State};
use canopy_domain::port::StoreError;
use futures_util::future::{self, Either};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The interval at which the server is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// The pause before a server that could not be reached is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// Asks the server in the background, for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Pulse(JoinHandle<()>);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pulse {
    /// `deadline` is how long one answer may take.
    pub(crate) fn start(connector: Arc<Connector>, health: Arc<Health>, deadline: Duration, runtime: &Handle) -> Self {
        Self(runtime.spawn(async move {
            loop {
                let before = health.state();
                match connector.dial().await {
                    Ok(dialed) => {
                        let generation = dialed.generation;
                        if keep_asking(dialed, &health, deadline).await && health.fell_silent(generation) {
                            tracing::warn!("PostgreSQL does not answer; closing all connections");
                        }
                    }
                    Err(error) => {
                        report(&health, before, &error);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }))
    }
}

fn report(health: &Health, before: State, error: &StoreError) {
    if !is_silence(error) {
        // It refuses quickly, so calls may find out for themselves when it is back.
        health.answered();
    } else if health.unreached_since(before) {
        tracing::warn!("PostgreSQL cannot be reached in time; closing all connections");
    }
}

/// Asks until the connection breaks or is of an older generation. Returns whether an answer did not come in time.
async fn keep_asking(dialed: Dialed, health: &Health, deadline: Duration) -> bool {
    let Dialed {
        client,
        connection,
        generation,
    } = dialed;
    let asking = async {
        while health.state().generation == generation {
            tokio::time::sleep(INTERVAL).await;
            match tokio::time::timeout(deadline, client.simple_query("SELECT pg_is_in_recovery()")).await {
                Ok(Ok(answer)) if single_row(&answer, 0) == Some("f") => {}
                Ok(_) => return false,
                Err(_) => return true,
            }
        }
        false
    };
    match future::select(pin!(asking), pin!(connection)).await {
        Either::Left((is_silent, _)) => is_silent,
        Either::Right(_) => false,
    }
}
