//! Bounds on a connection: time for heads, bodies and answers, places, memory for bodies.

use crate::service::{ENV, Service};
use canopy_http::{ServerOptions, server};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

/// The time that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

const SHORT: Duration = Duration::from_millis(150);

/// A deadline that no test waits for.
const LONG: Duration = Duration::from_secs(600);

/// Options none of whose deadlines ends while a test runs.
fn patient() -> ServerOptions {
    ServerOptions {
        keep_alive: LONG,
        head_timeout: LONG,
        answer_timeout: LONG,
        disconnect_timeout: LONG,
        shutdown_timeout: Duration::from_secs(1),
        ..ServerOptions::default()
    }
}

/// Serves on a real socket until the test ends.
fn start(service: &Service, options: &ServerOptions) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server(listener, service.state.clone(), options).unwrap());
    address
}

/// One raw connection.
struct Raw(TcpStream);

impl Raw {
    async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
    }

    /// Everything up to the end of the connection.
    async fn read_to_end(&mut self) -> String {
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut answer)).await;
        // A reset ends it as well.
        read.expect("the connection stays open").ok();
        String::from_utf8(answer).unwrap()
    }

    /// One answer, which has a JSON body.
    async fn read_answer(&mut self) -> String {
        let mut answer = String::new();
        let mut chunk = [0; 4096];
        while !(answer.contains("\r\n\r\n") && answer.ends_with('}')) {
            let read = timeout(PATIENCE, self.0.read(&mut chunk)).await.unwrap().unwrap();
            assert_ne!(read, 0, "the connection was closed after {answer:?}");
            answer.push_str(core::str::from_utf8(&chunk[..read]).unwrap());
        }
        answer
    }

    /// Sends a piece again and again until the connection has ended, and returns what was answered.
    async fn drip(&mut self, piece: &str) -> String {
        let (mut reader, mut writer) = self.0.split();
        let mut ticks = interval(Duration::from_millis(10));
        let mut answer = Vec::new();
        let dripping = async {
            loop {
                tokio::select! {
                    read = reader.read_to_end(&mut answer) => {
                        read.ok();
                        break;
                    }
                    _ = ticks.tick() => drop(writer.write_all(piece.as_bytes()).await),
                }
            }
        };
        timeout(PATIENCE, dripping)
            .await
            .expect("dripping keeps the connection");
        String::from_utf8(answer).unwrap()
    }
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

/// Returns the error of a response on the wire, and checks its form.
#[track_caller]
fn refusal(answer: &str, status: u16, code: &str) -> Value {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let error = body["error"].clone();
    assert_eq!((&error["statusCode"], &error["code"]), (&status.into(), &code.into()));
    let id = error["request_id"].as_str().unwrap();
    assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
    assert_eq!(error["timestamp"], "2026-04-20T12:00:00.000Z");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn every_head_has_a_deadline_not_the_first_alone() {
    let service = Service::new();
    let address = start(
        &service,
        &ServerOptions {
            head_timeout: SHORT,
            ..patient()
        },
    );
    let mut first = Raw::open(address).await;
    refusal(&first.drip("x").await, 408, "request.timeout");
    let mut later = Raw::open(address).await;
    for _ in 0..3 {
        later.send(LIVE).await;
        assert!(later.read_answer().await.starts_with("HTTP/1.1 200 "));
    }
    refusal(&later.drip("x").await, 408, "request.timeout");
    let mut silent = Raw::open(address).await;
    silent.send("GET /health/live HTTP/1.1\r\nho").await;
    refusal(&silent.read_to_end().await, 408, "request.timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_closed_whether_they_have_asked_or_not() {
    let service = Service::new();
    let address = start(
        &service,
        &ServerOptions {
            keep_alive: SHORT,
            ..patient()
        },
    );
    assert_eq!(Raw::open(address).await.read_to_end().await, "");
    let mut asked = Raw::open(address).await;
    asked.send(LIVE).await;
    assert!(asked.read_answer().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(asked.read_to_end().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_does_not_keep_its_connection() {
    let service = Service::new();
    let address = start(
        &service,
        &ServerOptions {
            disconnect_timeout: SHORT,
            ..patient()
        },
    );
    let head = |more: &str| {
        format!("POST {ENV}/roles HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}\r\n\r\n")
    };
    for (more, piece) in [
        ("transfer-encoding: chunked", "1\r\n \r\n"),
        ("content-length: 8000000", " "),
    ] {
        let mut raw = Raw::open(address).await;
        raw.send(head(more)).await;
        let answer = raw.drip(piece).await;
        refusal(&answer, 401, "auth.invalid_token");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let mut nowhere = Raw::open(address).await;
    nowhere
        .send("POST /nowhere HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    refusal(&nowhere.drip("1\r\n \r\n").await, 404, "request.route_not_found");
    // What follows a refusal is not answered a second time.
    let mut broken = Raw::open(address).await;
    broken.send(head("transfer-encoding: chunked") + "zz\r\n").await;
    refusal(&broken.read_to_end().await, 401, "auth.invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_too_slowly_is_refused() {
    let (mut service, admin) = Service::with_acme().await;
    service.state = service.state.clone().with_body_timeout(SHORT);
    let address = start(&service, &patient());
    let mut raw = Raw::open(address).await;
    raw.send(format!(
        "POST {ENV}/roles HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        admin.token
    ))
    .await;
    let mut ticks = interval(Duration::from_millis(10));
    let answer = loop {
        ticks.tick().await;
        raw.send("1\r\n \r\n").await;
        let mut chunk = [0; 4096];
        if let Ok(read) = raw.0.try_read(&mut chunk) {
            break String::from_utf8(chunk[..read].to_vec()).unwrap();
        }
    };
    refusal(&answer, 408, "request.timeout");
}

/// The value of a metric.
async fn metric(address: SocketAddr, name: &str) -> u64 {
    let mut raw = Raw::open(address).await;
    raw.send("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    let text = raw.read_to_end().await;
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    values.next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut_off() {
    let service = Service::new();
    let address = start(
        &service,
        &ServerOptions {
            answer_timeout: SHORT,
            ..patient()
        },
    );
    for path in ["/docs", "/openapi.json"] {
        let before = metric(address, "canopy_closed_connections_total{reason=\"slow_reader\"}").await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut deaf = Raw(socket.connect(address).await.unwrap());
        // More than all buffers between the two hold.
        deaf.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(64))
            .await;
        let cut = async {
            let mut ticks = interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                let now = metric(address, "canopy_closed_connections_total{reason=\"slow_reader\"}").await;
                if now > before {
                    break;
                }
            }
        };
        timeout(PATIENCE, cut).await.expect("it is never cut off");
        drop(deaf);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_only_wait_make_room_for_new_ones() {
    let service = Service::new();
    for options in [
        ServerOptions {
            max_connections: 3,
            ..patient()
        },
        ServerOptions {
            max_connections_per_address: 3,
            ..patient()
        },
    ] {
        let address = start(&service, &options);
        let mut asked = Raw::open(address).await;
        asked.send(LIVE).await;
        asked.read_answer().await;
        let mut slow = Raw::open(address).await;
        slow.send("GET /health/live HTTP").await;
        let mut silent = Raw::open(address).await;
        let mut fourth = Raw::open(address).await;
        fourth.send(LIVE).await;
        assert!(fourth.read_answer().await.starts_with("HTTP/1.1 200 "));
        let mut fifth = Raw::open(address).await;
        fifth.send(LIVE).await;
        assert!(fifth.read_answer().await.starts_with("HTTP/1.1 200 "));
        // Which of the two went first depends on the worker that took it.
        let evicted = slow.read_to_end().await;
        assert!(evicted.is_empty() || evicted.starts_with("HTTP/1.1 503 "), "{evicted}");
        assert_eq!(silent.read_to_end().await, "");
        // The one that has asked before is still served.
        asked.send(LIVE).await;
        assert!(asked.read_answer().await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_refused_where_all_others_are_at_work() {
    let service = Service::new();
    let address = start(
        &service,
        &ServerOptions {
            max_connections: 1,
            ..patient()
        },
    );
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut busy = Raw(socket.connect(address).await.unwrap());
    // More than all buffers between the two hold, so its answers are still being sent.
    busy.send("GET /docs HTTP/1.1\r\nhost: x\r\n\r\n".repeat(64)).await;
    busy.0.readable().await.unwrap();
    tokio::time::sleep(SHORT).await;
    let mut refused = Raw::open(address).await;
    let answer = refused.read_to_end().await;
    refusal(&answer, 503, "server.busy");
    assert!(answer.contains("retry-after: 1"), "{answer}");
}

/// Opens a connection that waits for a body, one that is idle, and a third that waits for a body, where only two are
/// allowed. Returns the first and the third when the idle one was closed for the third.
async fn with_the_idle_one_closed(address: SocketAddr, post: &str) -> Option<(Raw, Raw)> {
    let mut receiving = Raw::open(address).await;
    receiving.send(post).await;
    receiving.0.read_exact(&mut [0; 25]).await.unwrap();
    receiving.send("{").await;
    let mut idle = Raw::open(address).await;
    idle.send(LIVE).await;
    idle.read_answer().await;
    let mut third = Raw::open(address).await;
    third.send(post).await;
    third.0.read_exact(&mut [0; 25]).await.unwrap();
    tokio::select! {
        rest = idle.read_to_end() => {
            assert_eq!(rest, "");
            Some((receiving, third))
        }
        _ = receiving.read_to_end() => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_wait_for_a_body_make_room_after_idle_ones() {
    let (service, admin) = Service::with_acme().await;
    let post = format!(
        "POST {ENV}/roles HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\nexpect: 100-continue\r\n\r\n",
        admin.token
    );
    for options in [
        ServerOptions {
            max_connections: 2,
            ..patient()
        },
        ServerOptions {
            max_connections_per_address: 2,
            ..patient()
        },
    ] {
        let mut closed = None;
        for _ in 0..20 {
            // A client may have read the answer before the server counts the connection as idle: then it is tried again.
            let address = start(&service, &options);
            closed = with_the_idle_one_closed(address, &post)
                .await
                .map(|kept| (address, kept));
            if closed.is_some() {
                break;
            }
        }
        let (address, (mut receiving, mut third)) = closed.expect("the idle connection goes first");
        let mut fourth = Raw::open(address).await;
        fourth.send(LIVE).await;
        assert!(fourth.read_answer().await.starts_with("HTTP/1.1 200 "));
        let answer = receiving.read_to_end().await;
        refusal(&answer, 503, "server.busy");
        assert!(answer.contains("retry-after: 1"), "{answer}");
        // A body that comes in time is read.
        third.send("{}").await;
        refusal(&third.read_answer().await, 400, "request.validation_failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_cannot_be_read_are_answered_in_the_one_shape() {
    let service = Service::new();
    let address = start(&service, &patient());
    let long = "x".repeat(70_000);
    let many: String = (0..100)
        .flat_map(|number| [format!("h{number}"), ": x\r\n".to_owned()])
        .collect();
    let cases = [
        (
            "GET / HTTP/1.1\r\nno header\r\n\r\n".to_owned(),
            400,
            "request.malformed_head",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "request.malformed_head"),
        (
            "GET / HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(),
            400,
            "request.malformed_head",
        ),
        ("\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), 400, "request.malformed_head"),
        (
            format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
            414,
            "request.uri_too_long",
        ),
        (format!("GET /{long}"), 414, "request.uri_too_long"),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            431,
            "request.head_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\na: {long}"),
            431,
            "request.head_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\na: {long}{long}{long}\r\n\r\n"),
            431,
            "request.head_too_large",
        ),
    ];
    let count = cases.len() as u64;
    for (sent, status, code) in cases {
        let mut raw = Raw::open(address).await;
        raw.send(&sent).await;
        let answer = raw.read_to_end().await;
        let error = refusal(&answer, status, code);
        assert_eq!((&error["path"], &error["method"]), (&"".into(), &"".into()));
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(error["details"].get("max_bytes").is_some(), status != 400, "{error}");
    }
    // Behind a request on the same connection, in the same packet.
    let mut raw = Raw::open(address).await;
    raw.send(format!("{LIVE}no request\r\n\r\n")).await;
    let both = raw.read_to_end().await;
    let (first, second) = both.split_once("{\"status\":\"ok\"}").unwrap();
    assert!(first.starts_with("HTTP/1.1 200 "), "{both}");
    refusal(second, 400, "request.malformed_head");
    assert_eq!(metric(address, "canopy_unparsed_requests_total").await, count + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_framing_is_broken_is_answered_in_the_one_shape() {
    let (service, admin) = Service::with_acme().await;
    let address = start(&service, &patient());
    let token = &admin.token;
    let head = format!(
        "POST {ENV}/roles HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let broken = ["zz\r\n", "ffffffffffffffffff\r\n", "3\r\n{\"aXX"];
    for chunk in broken {
        // With the head in one packet, and behind it.
        let mut at_once = Raw::open(address).await;
        at_once.send(format!("{head}{chunk}")).await;
        let mut later = Raw::open(address).await;
        later.send(format!("{head}2\r\n{{ \r\n")).await;
        tokio::time::sleep(SHORT).await;
        later.send(chunk).await;
        for mut raw in [at_once, later] {
            let answer = raw.read_to_end().await;
            // The request may have learned of it before its connection was given up.
            let is_own = answer.contains("\"request.malformed_json\"");
            let code = if is_own {
                "request.malformed_json"
            } else {
                "request.malformed_head"
            };
            refusal(&answer, 400, code);
            assert!(answer.contains("connection: close"), "{answer}");
        }
    }
    // A client that goes away in the middle of its body is told nothing, and is nobody's mistake.
    let counted = metric(address, "canopy_unparsed_requests_total").await;
    let mut gone = Raw::open(address).await;
    gone.send(format!("{head}3\r\n")).await;
    drop(gone);
    assert_eq!(metric(address, "canopy_unparsed_requests_total").await, counted);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_share_a_budget_and_small_ones_need_none() {
    const MIB: usize = 1024 * 1024;
    let (mut service, admin) = Service::with_acme().await;
    let other = service.account("globex").await;
    service.state = service.state.clone().with_body_memory(4, SHORT);
    let address = start(&service, &patient());
    let post = |token: &str, env: &str, more: &str| {
        format!(
            "POST {env}/roles HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{more}\r\n\r\n"
        )
    };
    let whole = format!("content-length: {MIB}\r\nexpect: 100-continue");
    let mut first = Raw::open(address).await;
    first.send(post(&admin.token, ENV, &whole)).await;
    first.0.read_exact(&mut [0; 25]).await.unwrap();
    first.send(vec![b' '; MIB / 2]).await;
    // The share of the tenant is taken, announced or not.
    for (more, sent) in [
        (format!("content-length: {MIB}"), String::new()),
        (
            "transfer-encoding: chunked".to_owned(),
            format!("{:x}\r\n{}\r\n", MIB / 2, " ".repeat(MIB / 2)),
        ),
    ] {
        let mut second = Raw::open(address).await;
        second.send(post(&admin.token, ENV, &more) + &sent).await;
        let answer = second.read_answer().await;
        let error = refusal(&answer, 503, "server.busy");
        assert_eq!(error["details"]["max_mib"], 4);
        assert!(answer.contains("retry-after: 1"), "{answer}");
    }
    let mut small = Raw::open(address).await;
    small.send(post(&admin.token, ENV, "content-length: 2") + "{}").await;
    refusal(&small.read_answer().await, 400, "request.validation_failed");
    let globex = ENV.replace("acme", "globex");
    let mut tenant = Raw::open(address).await;
    tenant
        .send(post(&other.token, &globex, &format!("content-length: {MIB}")) + &" ".repeat(MIB))
        .await;
    refusal(&tenant.read_answer().await, 400, "request.malformed_json");
    // What is given back can be had again.
    first.send(vec![b' '; MIB / 2]).await;
    refusal(&first.read_answer().await, 400, "request.malformed_json");
    let mut third = Raw::open(address).await;
    third
        .send(post(&admin.token, ENV, &format!("content-length: {MIB}")) + &" ".repeat(MIB))
        .await;
    refusal(&third.read_answer().await, 400, "request.malformed_json");
}
