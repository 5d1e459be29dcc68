//! Attacks on raw connections by clients that reach the port, with and without a credential.
//!
//! Each client has an address of its own in the loopback range, as strangers have: bounds by address must not count
//! them against the tenant that asks.

use crate::stage::Stage;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// The time that connections are held.
const FOR: Duration = Duration::from_secs(3);

/// Connects from an address of a stranger; nothing where the server takes no more.
async fn connect(address: &str, stranger: usize) -> Option<TcpStream> {
    let server: SocketAddr = address.parse().unwrap();
    let from = Ipv4Addr::new(127, 0, 1, u8::try_from(stranger % 4 + 1).unwrap());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).ok()?;
    let connecting = tokio::time::timeout(Duration::from_secs(2), socket.connect(server));
    connecting.await.ok()?.ok()
}

/// Holds connections for a while, each of which does something first.
async fn hold<F>(stage: &Stage, count: usize, act: impl Fn(TcpStream, usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        if let Some(stream) = connect(&stage.address, number).await {
            tasks.spawn(tokio::time::timeout(FOR, act(stream, number)));
        }
    }
    tasks.join_all().await;
}

/// Asks for large answers and reads none of them.
pub async fn unread(stage: &Stage, paths: &[String], count: usize) {
    let (paths, token) = (paths.to_vec(), stage.attacker.token.clone());
    hold(stage, count, move |mut stream, number| {
        let path = &paths[number % paths.len()];
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").repeat(4);
        async move {
            stream.write_all(request.as_bytes()).await.ok();
            std::future::pending::<()>().await;
        }
    })
    .await;
}

pub fn large_documents(_: &Stage) -> Vec<String> {
    vec!["/docs".to_owned(), "/openapi.json".to_owned()]
}

/// One request, then heads of which a byte comes now and then.
pub async fn slow_heads(stage: &Stage, count: usize) {
    hold(stage, count, |mut stream, _| async move {
        let whole = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
        if stream.write_all(whole).await.is_err() {
            return;
        }
        let mut answer = [0; 1_024];
        let Ok(1..) = stream.read(&mut answer).await else {
            return;
        };
        for byte in whole.iter().cycle().take(30) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

/// Requests that are refused while their bodies drip.
pub async fn dripping_bodies(stage: &Stage, count: usize) {
    hold(stage, count, |mut stream, _| async move {
        let head = "POST /api/v1/permissions/evaluate HTTP/1.1\r\nHost: x\r\n\
                    Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        for _ in 0..30 {
            if stream.write_all(b"1\r\nx\r\n").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

/// Bodies that are nearly whole, from a tenant with a good credential.
pub async fn bodies_held(stage: &Stage, count: usize) {
    let body = vec![b' '; 8 * 1_024 * 1_024 - 1];
    let head = format!(
        "POST {}/permissions/evaluate/bulk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        stage.attacker.environment,
        stage.attacker.token,
        body.len() + 1
    );
    let body = std::sync::Arc::new(body);
    hold(stage, count, move |mut stream, _| {
        let (head, body) = (head.clone(), std::sync::Arc::clone(&body));
        async move {
            if stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(&body).await.is_ok() {
                std::future::pending::<()>().await;
            }
        }
    })
    .await;
}

/// Requests in a row on one connection, whatever is answered.
async fn flood(stage: &Stage, request: impl Fn(usize, usize) -> String + Clone + Send + Sync + 'static) {
    hold(stage, 16, move |mut stream, client| {
        let request = request.clone();
        async move {
            let mut answer = vec![0; 16 * 1_024];
            for turn in 0.. {
                if stream.write_all(request(client, turn).as_bytes()).await.is_err() {
                    return;
                }
                if !matches!(stream.read(&mut answer).await, Ok(1..)) {
                    return;
                }
            }
        }
    })
    .await;
}

pub async fn invented_keys(stage: &Stage) {
    flood(stage, |client, turn| {
        let key = format!("cnpy_{:0>64x}", client * 1_000_000 + turn);
        format!("GET /api/v1/roles HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n")
    })
    .await;
}

pub async fn unknown_routes(stage: &Stage) {
    flood(stage, |client, turn| {
        format!("GET /nothing/{client}/{turn} HTTP/1.1\r\nHost: x\r\n\r\n")
    })
    .await;
}
