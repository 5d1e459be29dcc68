//! Starting, ending, starting again, and who may start at all.

use crate::process::{Client, Home, Server};
use serde_json::json;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_first_start_makes_what_it_needs_and_serves() {
    let home = Home::new();
    let server = home.serve(&[]);
    let client = Client::new(&server.url, "");
    assert_eq!(client.get("/health/live").await.0, 200);
    assert_eq!(client.get("/health/ready").await.0, 200);
    assert_eq!(client.get("/openapi.json").await.0, 200);
    assert_eq!(client.get("/portal/v1/accounts").await.0, 401);
    assert_eq!(mode(&home.data_dir()), 0o700);
    assert_eq!(mode(&home.data_dir().join("signing-key.pem")), 0o600);
    for file in ["canopy.db", "canopy.db-wal", "canopy.db-shm"] {
        assert_eq!(mode(&home.data_dir().join(file)), 0o600, "{file}");
    }
    server.stop();
}

#[tokio::test]
async fn a_restart_keeps_data_key_and_tokens() {
    let home = Home::new();
    let server = home.serve(&[]);
    let key = fs::read(home.data_dir().join("signing-key.pem")).unwrap();
    let token = home.run(&["token", "--operator"]).ok();
    let client = Client::new(&server.url, token.trim());
    let (status, account) = client.post("/portal/v1/accounts", &json!({"name": "Kept"})).await;
    assert_eq!(status, 201);
    server.stop();
    let left: Vec<String> = fs::read_dir(home.data_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !left.iter().any(|name| name.ends_with("-wal")),
        "the log is moved into the database: {left:?}"
    );

    let server = home.serve(&[]);
    assert_eq!(fs::read(home.data_dir().join("signing-key.pem")).unwrap(), key);
    let client = Client::new(&server.url, token.trim());
    let (_, accounts) = client.get("/portal/v1/accounts").await;
    assert_eq!(accounts["items"], json!([account]));
    server.stop();
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let home = Home::new();
    let server = home.serve(&[]);
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let refused = home.run(arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
        assert!(
            refused.stderr.contains("another process is serving the database"),
            "{refused:?}"
        );
    }
    server.kill();
    home.serve(&[]).stop();
}

#[test]
fn migrate_alone_makes_a_database_that_serve_takes() {
    let home = Home::new();
    let said = home.run(&["migrate"]).ok();
    assert!(said.contains("is up to date"), "{said}");
    assert_eq!(home.run(&["migrate"]).ok(), said);
    home.serve(&[]).stop();
}

#[test]
fn an_interrupt_ends_it_as_well() {
    let home = Home::new();
    let server = home.serve(&[]);
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_openapi_document_needs_no_configuration() {
    let home = Home::new();
    fs::write(home.path().join("canopy.toml"), "nonsense").unwrap();
    let text = home.run(&["openapi"]).ok();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        document["openapi"].as_str().map(|version| version.starts_with("3.1")),
        Some(true)
    );
    assert!(
        text.starts_with("{\n") && text.ends_with("}\n"),
        "for people to read, and to compare"
    );
    assert!(home.run(&["config", "--sample"]).ok().starts_with("# Every setting"));
}

/// A request whose head the server has read and whose body it waits for.
fn half_a_request(server: &Server, token: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST /portal/v1/accounts HTTP/1.1\r\nHost: canopy\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn a_request_that_has_begun_is_finished_before_the_end() {
    let home = Home::new();
    let server = home.serve(&[]);
    let token = home.run(&["token", "--operator"]).ok();
    let body = r#"{"name":"Late"}"#;
    let mut stream = half_a_request(&server, token.trim(), body);
    server.signal("TERM");
    server.wait_for_log("shutting down");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(server.wait().code(), Some(0));

    let server = home.serve(&[]);
    let (_, accounts) = Client::new(&server.url, token.trim()).get("/portal/v1/accounts").await;
    assert_eq!(accounts["items"][0]["slug"], "late", "{accounts}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    let server = home.serve(&[]);
    let token = home.run(&["token", "--operator"]).ok();
    let stream = half_a_request(&server, token.trim(), r#"{"name":"Never"}"#);
    server.signal("TERM");
    server.wait_for_log("shutting down");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
    drop(stream);
    home.serve(&[]).stop();
}
