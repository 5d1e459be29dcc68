//! Bounds of the process: open files, a log that nobody reads, the time to end, one server for each database.

use crate::process::{Client, Finished, Home, Server};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary with a limit on open files.
fn under_limit(home: &Home, files: u32, arguments: &[&str]) -> Command {
    let binary = home.command(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")])
        .arg(binary.get_program())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .env_clear()
        .current_dir(home.path())
        .stdin(Stdio::null());
    command
}

/// Lets this process open as many files as it may.
fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[test]
fn slow_connections_do_not_keep_others_out() {
    open_many_files();
    let home = Home::new();
    let server = Server::start(under_limit(&home, 1_024, &[]));
    server.wait_for_log("fewer connections than configured");
    let address = server.url.strip_prefix("http://").unwrap();
    for begun in ["GET /health/live HTTP/1.1\r\nhost: x\r\nslow: ", ""] {
        let slow: Vec<TcpStream> = (0..1_100)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                // One that has lost its place already is closed.
                stream.write_all(begun.as_bytes()).ok();
                stream
            })
            .collect();
        let asked = Instant::now();
        for _ in 0..20 {
            // A connection of its own each time.
            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        }
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        drop(slow);
    }
    server.stop();
}

/// A server whose standard error is this.
struct Muted {
    child: Child,
    url: String,
}

impl Muted {
    fn start(home: &Home, stderr: Stdio, arguments: &[&str]) -> Self {
        let all = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut child = home
            .command(&all)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("Canopy is ready on ").unwrap().to_owned();
        Self { child, url }
    }

    /// Answers many requests, each of which is logged, and then ends in order and in time.
    async fn serves_and_ends(mut self) {
        let client = Client::new(&self.url, "nonsense");
        for _ in 0..2_000 {
            // 429 after the first 600.
            let (status, _) = client.get("/portal/v1/accounts").await;
            assert!(status == 401 || status == 429, "{status}");
        }
        assert_eq!(client.get("/health/ready").await.0, 200);
        let line = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(asked.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Muted {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_stops_nobody() {
    let home = Home::new();
    let mut server = Muted::start(&home, Stdio::piped(), &["--log-level", "debug"]);
    drop(server.child.stderr.take());
    server.serves_and_ends().await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nobody() {
    let home = Home::new();
    let mut server = Muted::start(&home, Stdio::piped(), &["--log-level", "debug"]);
    let unread = server.child.stderr.take();
    server.serves_and_ends().await;
    drop(unread);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_log_on_a_full_disk_stops_nobody() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let home = Home::new();
    let server = Muted::start(&home, full().into(), &["--log-level", "debug"]);
    let client = Client::new(&server.url, "");
    client.get("/nowhere").await;
    let answer = client.send(reqwest::Method::GET, "/metrics", None).await;
    let text = answer.text().await.unwrap();
    let lost = text
        .lines()
        .find_map(|line| line.strip_prefix("canopy_log_lines_lost_total "))
        .unwrap();
    assert!(lost.parse::<u64>().unwrap() > 0, "{text}");
    server.serves_and_ends().await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_complaint_that_cannot_be_written_keeps_its_exit_code() {
    let home = Home::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = home
        .command(&["token", "--operator"])
        .stderr(full)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_ready_line_that_cannot_be_written_stops_nobody() {
    let home = Home::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = home
        .command(&["serve", "--listen", &free.to_string()])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let complained = log
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("cannot write to standard output"));
    assert!(complained);
    let client = Client::new(&format!("http://{free}"), "");
    assert_eq!(client.get("/health/ready").await.0, 200);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn strangers_do_not_fill_the_log() {
    let home = Home::new();
    let server = home.serve(&[]);
    let client = Client::new(&server.url, "nonsense");
    let begun = Instant::now();
    for _ in 0..1_000 {
        client.get("/nowhere").await;
        client.get("/portal/v1/accounts").await;
        client.post("/access/v1/evaluation", &serde_json::json!({})).await;
    }
    let seconds = begun.elapsed().as_secs() + 2;
    server.wait_for_log("log lines dropped over the budget");
    let (_, metrics) = (server.id(), client.send(reqwest::Method::GET, "/metrics", None).await);
    let text = metrics.text().await.unwrap();
    let left_out = text
        .lines()
        .find_map(|line| line.strip_prefix("canopy_log_lines_left_out_total "))
        .unwrap();
    assert!(
        left_out.parse::<u64>().unwrap() >= 3_000 - 20 * seconds,
        "{left_out} in {seconds} s"
    );
    server.stop();
}

/// A writer that holds the database and does not end.
fn hold(home: &Home) -> SqliteConnection {
    let path = home.data_dir().join("canopy.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("BEGIN IMMEDIATE").unwrap();
    connection
}

#[tokio::test]
async fn a_store_that_hangs_does_not_keep_the_process() {
    let home = Home::new();
    let server = home.serve(&["--shutdown-timeout", "2s"]);
    let token = home.run(&["token", "--operator"]).ok();
    let client = Client::new(&server.url, token.trim());
    let held = hold(&home);
    let body = serde_json::json!({"name": "Waits"});
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let (client, body) = (client.clone(), body.clone());
            tokio::spawn(async move {
                client
                    .try_send(reqwest::Method::POST, "/portal/v1/accounts", Some(&body))
                    .await
            })
        })
        .collect();
    // They are read once this is answered on the same workers.
    client.get("/health/live").await;
    let asked = Instant::now();
    server.signal("TERM");
    let _status = server.wait();
    let took = asked.elapsed();
    assert!(took < Duration::from_millis(3_500), "{took:?}");
    for one in waiting {
        one.await.unwrap().ok();
    }
    drop(held);
    home.serve(&[]).stop();
}

#[test]
fn a_second_server_by_another_name_of_the_database_is_refused() {
    let home = Home::new();
    let server = home.serve(&[]);
    let database = home.data_dir().join("canopy.db");
    let link = home.path().join("link.db");
    fs::hard_link(&database, &link).unwrap();
    fs::remove_file(home.data_dir().join("canopy.db.lock")).unwrap();
    for url in [
        format!("sqlite://{}", link.display()),
        format!("sqlite://{}", database.display()),
    ] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
            let refused = home.run(&[command, &["--database-url", &url]].concat());
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{url}");
            assert!(
                refused.stderr.contains("another process is serving the database"),
                "{refused:?}"
            );
        }
    }
    // The locks of SQLite are whole: the server writes, and a look-up beside it reads.
    assert_eq!(home.run(&["token", "--operator"]).code, Some(0));
    server.kill();
    home.serve(&[]).stop();
}

#[test]
fn drafts_of_a_killed_first_start_are_removed() {
    let home = Home::new();
    home.serve(&[]).stop();
    let draft = home.data_dir().join(".signing-key-4711-0000abcd.tmp");
    let mut file = File::create(&draft).unwrap();
    file.write_all(b"half a key").unwrap();
    drop(file);
    home.serve(&[]).stop();
    assert!(!draft.exists());
}

#[test]
fn a_command_from_the_wrong_folder_makes_nothing() {
    let home = Home::new();
    let refused = |arguments: &[&str], message: &str| {
        let Finished { code, stdout, stderr } = home.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments:?} {stderr}");
        assert!(stderr.contains(message) && stderr.contains("--data-dir"), "{stderr}");
        assert!(stderr.contains(home.path().to_str().unwrap()), "{stderr}");
    };
    let nothing = || assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    for principal in [&["--operator"][..], &["--admin", "--account", "acme"]] {
        let token = [&["token"], principal].concat();
        refused(&token, "there is no data directory");
        nothing();
        refused(&[&token[..], &["--data-dir", "elsewhere"]].concat(), "elsewhere");
        nothing();
    }
    home.run(&["config"]).ok();
    nothing();
    fs::create_dir(home.data_dir()).unwrap();
    refused(&["token", "--operator"], "there is no database");
    assert_eq!(fs::read_dir(home.data_dir()).unwrap().count(), 0);
    let mut log = String::new();
    home.serve(&[]).stop();
    File::open(home.data_dir().join("signing-key.pem"))
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    home.run(&["token", "--operator"]).ok();
}
