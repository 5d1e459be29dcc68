//! A connection to a server that can be cut.

use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port that forwards to a server until it is cut. Then nothing is forwarded and nothing is closed, like behind a
/// firewall that drops packets.
#[derive(Debug)]
pub struct Line {
    port: u16,
    is_dead: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    /// Forwards to a port of this machine.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let is_dead = Arc::new(watch::Sender::new(false));
        let state = Arc::clone(&is_dead);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass_on(near, server, state.subscribe()));
            }
        });
        Self { port, is_dead, task }
    }

    /// Returns the port to connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Stops forwarding.
    pub fn go_dead(&self) {
        self.is_dead.send_replace(true);
    }

    /// Forwards new connections again.
    pub fn revive(&self) {
        self.is_dead.send_replace(false);
    }
}

async fn pass_on(mut near: TcpStream, server: u16, mut is_dead: watch::Receiver<bool>) {
    // Both ends stay open, so neither detects the cut, until the line itself is dropped.
    let dead = *is_dead.borrow();
    if !dead && let Ok(mut far) = TcpStream::connect(("127.0.0.1", server)).await {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            _ = is_dead.wait_for(|dead| *dead) => {}
        }
        drop(is_dead.changed().await);
        return;
    }
    drop(is_dead.wait_for(|dead| !*dead).await);
}
