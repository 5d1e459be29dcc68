//! Load by `wrk`, and the handler that does nothing.

use crate::{ENV, Scale};
use actix_web::{App, HttpResponse, HttpServer, web};
use canopy_testkit::workload::Workload;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let server = HttpServer::new(|| App::new().route(&format!("{ENV}/permissions/evaluate"), web::post().to(answer)));
    tokio::spawn(server.workers(2).listen(listener).unwrap().run());
    base
}

/// What one run of wrk printed.
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

/// A script that asks the questions of a workload in turn.
pub fn script(folder: &Path, workload: &Workload, token: &str, consistency: &str) -> PathBuf {
    let mut lua = String::from("local bodies = {\n");
    for asked in workload.questions.iter().take(5_000) {
        let body = json!({"identity_id": asked.identity.to_string(), "permission": asked.permission, "scope": "node",
            "node_id": asked.node.to_string(), "consistency": consistency});
        writeln!(lua, "[==[{body}]==],").unwrap();
    }
    write!(
        lua,
        "}}\nlocal next = 0\nlocal headers = {{[\"Content-Type\"] = \"application/json\", [\"Authorization\"] = \"Bearer {token}\"}}\n\
         function request()\n  next = next % #bodies + 1\n  return wrk.format(\"POST\", \"{ENV}/permissions/evaluate\", headers, bodies[next])\nend\n"
    )
    .unwrap();
    let path = folder.join(format!("{consistency}.lua"));
    std::fs::write(&path, lua).unwrap();
    path
}
