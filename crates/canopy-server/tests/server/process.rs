//! Starting, asking and ending the server's process.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Maximum time of any step before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder to work in; the data directory lies in it.
pub struct Home {
    folder: tempfile::TempDir,
    database_url: Option<String>,
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            database_url: None,
        }
    }

    /// A folder whose commands work on a database of PostgreSQL.
    pub fn on_postgres(url: impl Into<String>) -> Self {
        Self {
            database_url: Some(url.into()),
            ..Self::new()
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path().join("canopy-data")
    }

    /// The binary with these arguments, in this folder, with nothing in its environment but the database's URL.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canopy"));
        command
            .args(arguments)
            .env_clear()
            .envs(self.database_url.iter().map(|url| ("CANOPY_DATABASE_URL", url)))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(arguments).output().unwrap())
    }

    /// Starts a server on a free port and waits until it is ready.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        let server = self.serve_early(arguments);
        assert!(server.is_ready, "the server waits for its database");
        server
    }

    /// Starts a server on a free port and waits until it listens: its database may not be there.
    pub fn serve_early(&self, arguments: &[&str]) -> Server {
        let all = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        Server::start(self.command(&all))
    }
}

/// The result of a command.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output of a command that went well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }
}

/// A running server; killed when it is dropped.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: Receiver<String>,
    pub url: String,
    /// Returns whether its first line reports readiness.
    pub is_ready: bool,
}

const READY: &str = "Canopy is ready on ";

/// The URL in a first line that says that the server listens, and whether it is ready.
fn listens(line: &str) -> Option<(&str, bool)> {
    let waiting = || {
        line.strip_prefix("Canopy listens on ")?
            .strip_suffix(" and waits for its database")
    };
    line.strip_prefix(READY)
        .map(|url| (url, true))
        .or_else(|| Some((waiting()?, false)))
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some((url, is_ready)) = listens(line.trim_end()) else {
            child.kill().ok();
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("not listening: {line:?} {stderr}");
        };
        // The log is read as it comes, so that it does not fill its pipe.
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (send, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let url = url.to_owned();
        Self {
            child,
            stdout,
            log,
            url,
            is_ready,
        }
    }

    /// Waits until a server whose database was not there is ready.
    pub fn wait_until_ready(&mut self) {
        let line = self.read_line();
        assert_eq!(line.strip_prefix(READY), Some(self.url.as_str()), "{line}");
        self.is_ready = true;
    }

    /// Lines of standard output after the ready line, up to and with the `count`th that begins with `curl`.
    pub fn read_until_commands(&mut self, count: usize) -> String {
        let mut text = String::new();
        while text.lines().filter(|line| line.starts_with("curl ")).count() < count {
            assert_ne!(self.stdout.read_line(&mut text).unwrap(), 0, "{text}");
        }
        text
    }

    /// The next line of standard output that is not empty.
    pub fn read_line(&mut self) -> String {
        let mut line = String::new();
        while line.trim().is_empty() {
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0);
        }
        line.trim().to_owned()
    }

    /// Waits for a line of the log with this text.
    pub fn wait_for_log(&self, text: &str) {
        while !self.log.recv_timeout(PATIENCE).unwrap().contains(text) {}
    }

    /// The next line of the log with this text.
    pub fn next_log(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub fn wait(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Ends the process in an orderly way.
    pub fn stop(self) {
        self.signal("TERM");
        assert_eq!(self.wait().code(), Some(0));
    }

    /// Ends the process as the loss of power would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A client with a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    pub fn new(url: &str, token: &str) -> Self {
        Self {
            http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(),
            base: url.to_owned(),
            token: token.to_owned(),
        }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// The answer that a call gets, with its headers.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::Response {
        self.request(method, path, body).send().await.unwrap()
    }

    /// The status and body that a call gets, or why it got none.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let answer = self.request(method, path, body).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.try_send(Method::GET, path, None).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.try_send(Method::POST, path, Some(body)).await.unwrap()
    }
}
