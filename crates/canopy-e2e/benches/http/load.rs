//! Load by `wrk`, and the handler that does nothing.

use crate::Scale;
use actix_web::{App, HttpResponse, HttpServer, web};
use canopy_testkit::workload::Workload;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Answers any JSON with a small JSON, and does nothing.
pub fn bare() -> String {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "parsed, as a real service would, and not looked at")]
    struct Question {
        identity_id: String,
        permission: String,
        scope: String,
        node_id: String,
    }
    #[derive(serde::Serialize)]
    struct Answer {
        allowed: bool,
        granting_roles: [&'static str; 1],
    }
    async fn answer(_: web::Json<Question>) -> HttpResponse {
        HttpResponse::Ok().json(Answer {
            allowed: true,
            granting_roles: ["Role 1"],
        })
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = HttpServer::new(|| App::new().default_service(web::post().to(answer)));
    tokio::spawn(server.workers(2).listen(listener).unwrap().run());
    base
}

/// The output of one run of wrk.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub requests_per_second: f64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
}

/// Sends what the script says over this many connections.
pub fn wrk(base: &str, script: &Path, connections: u32, scale: Scale) -> Load {
    let output = Command::new("wrk")
        .args(["-t2", "--latency"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{}s", scale.seconds()))
        .arg("-s")
        .arg(script)
        .arg(base)
        .output()
        .unwrap_or_else(|error| panic!("wrk cannot be run: {error}"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let field = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let milliseconds = |figure: String| {
        let number = |unit: &str| figure.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
        number("us")
            .map(|us| us / 1_000.0)
            .or_else(|| number("ms"))
            .or_else(|| Some(number("s")? * 1_000.0))
            .unwrap_or_else(|| panic!("{figure}"))
    };
    Load {
        requests_per_second: field("Requests/sec:").parse().unwrap(),
        p50: milliseconds(field("50%")),
        p99: milliseconds(field("99%")),
    }
}

/// Runs that follow each other, so that what disturbs the machine disturbs all.
pub fn wrk_in_turn<const N: usize>(base: &str, scripts: [&PathBuf; N], connections: u32, scale: Scale) -> [Load; N] {
    scripts.map(|script| wrk(base, script, connections, scale))
}

/// The requests that a client repeats: paths and bodies.
#[derive(Debug, Clone)]
pub struct Client {
    /// The header that says who it is.
    credential: (&'static str, String),
    requests: Vec<(String, String)>,
}

impl Client {
    /// With an access token.
    pub const fn of(token: String, requests: Vec<(String, String)>) -> Self {
        Self {
            credential: ("Authorization", token),
            requests,
        }
    }

    /// One that puts the questions of a workload to a path.
    pub fn asking(
        workload: &Workload,
        path: &str,
        credential: &(&'static str, String),
        consistency: &'static str,
    ) -> Self {
        let request = |asked: &canopy_testkit::workload::Asked| {
            let body = json!({"identity_id": asked.identity.to_string(), "permission": asked.permission, "scope": "node",
                "node_id": asked.node.to_string(), "consistency": consistency});
            (path.to_owned(), body.to_string())
        };
        Self {
            credential: credential.clone(),
            requests: workload.questions.iter().take(5_000).map(request).collect(),
        }
    }

    /// A script for `wrk`.
    pub fn script(&self, file: PathBuf) -> PathBuf {
        let (name, value) = &self.credential;
        let mut lua = String::from("local requests = {\n");
        for (path, body) in &self.requests {
            writeln!(lua, "{{[==[{path}]==], [==[{body}]==]}},").unwrap();
        }
        write!(
            lua,
            "}}\nlocal next = 0\nlocal headers = {{[\"Content-Type\"] = \"application/json\", [\"{name}\"] = \"{value}\"}}\n\
             function request()\n  next = next % #requests + 1\n  \
             return wrk.format(\"POST\", requests[next][1], headers, requests[next][2])\nend\n"
        )
        .unwrap();
        std::fs::write(&file, lua).unwrap();
        file
    }

    /// Asks so many times a second over a few connections, whatever the server does. Times are from when a question was
    /// due, where an answer was late for it.
    pub fn paced(&self, base: &str, each_second: u32, length: Duration) -> Load {
        const CONNECTIONS: u32 = 8;
        let address = base.trim_start_matches("http://");
        let gap = Duration::from_secs(1) * CONNECTIONS / each_second;
        let begun = Instant::now();
        let mut times: Vec<Duration> = std::thread::scope(|scope| {
            let ask = |number: u32| self.keep_asking(address, begun + gap * number / CONNECTIONS, gap, length);
            let threads: Vec<_> = (0..CONNECTIONS)
                .map(|number| scope.spawn(move || ask(number)))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let took = begun.elapsed();
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1_000.0;
        Load {
            requests_per_second: f64::from(u32::try_from(times.len()).unwrap()) / took.as_secs_f64(),
            p50: at(50),
            p99: at(99),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of its own, which waits until the next question is due"
    )]
    fn keep_asking(&self, address: &str, first: Instant, gap: Duration, length: Duration) -> Vec<Duration> {
        let (name, value) = &self.credential;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut times = Vec::new();
        let mut due = first;
        let mut answer = [0; 4096];
        let mut free = Instant::now();
        for (path, body) in self.requests.iter().cycle() {
            if first.elapsed() > length {
                break;
            }
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(early);
            }
            let from = if free > due { due } else { Instant::now() };
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{name}: {value}\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).unwrap();
            let read = stream.read(&mut answer).unwrap();
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
            free = Instant::now();
            times.push(free - from);
            due += gap;
        }
        times
    }
}
