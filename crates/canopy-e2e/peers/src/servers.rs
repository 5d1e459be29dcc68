//! The engines behind a socket: the server of this house, and Cerbos.

use crate::Outcome;
use crate::engine::{Engine, resident};
use crate::facts::Facts;
use crate::load::{Connection, Server, pause, post};
use canopy_domain::{IdentityId, NodeId};
use canopy_storage_sqlite::{SqliteOptions, SqliteStore};
use canopy_testkit::fixture::store_workload;
use canopy_testkit::workload::Asked;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The path of the API keys of the workload's environment.
const KEYS: &str = "/portal/v1/accounts/acme/applications/notes/environments/development/api-keys";

/// The server of this house, on SQLite, asked with an API key. The facts are in its database before it starts.
pub fn canopy(program: &Path, facts: &Facts) -> Outcome<Engine> {
    let folder = tempfile::tempdir()?;
    let location = format!("sqlite://{}", folder.path().join("canopy.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        SqliteStore::migrate(&location)?;
        let store = SqliteStore::open(&location, SqliteOptions::default())?;
        store_workload(&store, &facts.workload).await?;
        Outcome::Ok(())
    })?;
    drop(runtime);

    let at = facts.workload.now.to_string();
    let body = |asked: &Asked| {
        json!({"identity_id": asked.identity.to_string(), "permission": asked.permission,
            "scope": "node", "node_id": asked.node.to_string(), "at": at})
        .to_string()
    };
    let bodies: Vec<String> = facts.questions().iter().map(body).collect();

    let begun = Instant::now();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(folder.path())
            .current_dir(folder.path());
        command
    };
    let mut process = command(&["serve", "--listen", "127.0.0.1:0", "--log-level", "error"])
        .stdout(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(process.stdout.take().ok_or("no output")?);
    let mut server = Server {
        process,
        address: String::new(),
        requests: vec![],
        yes: "\"allowed\":true",
        folder: None,
    };
    for line in said.lines() {
        if let Some((_, address)) = line?.split_once("ready on http://") {
            address.trim().clone_into(&mut server.address);
            break;
        }
    }
    let token = command(&["token", "--admin", "--account", "acme"]).output()?.stdout;
    let header = format!("Authorization: Bearer {}\r\n", String::from_utf8(token)?.trim());
    let wanted = json!({"name": "bench", "access_mode": "full_access"}).to_string();
    let mut connection = Connection::open(&server.address)?;
    let made: Value = serde_json::from_str(connection.exchange(&post(KEYS, &header, &wanted))?)?;
    let header = format!("X-API-Key: {}\r\n", made["key"].as_str().ok_or("no key")?);
    let request = |body: &String| post("/api/v1/permissions/evaluate", &header, body);
    server.requests = bodies.iter().map(request).collect();
    server.folder = Some(folder);
    let remark = "HTTP, SQLite, API key, strong; judges windows and switches itself, names the roles; \
                  load: start to first answer";
    started("Canopy server", remark, begun, server)
}

/// Cerbos: a derived role for each role, which holds where the principal has it at a node of the resource's path. What
/// Canopy stores, assignments and tree, comes with each request: Cerbos keeps neither.
pub fn cerbos(program: &Path, facts: &Facts) -> Outcome<Engine> {
    let folder = tempfile::tempdir()?;
    let roles = facts.roles();
    let derived = roles.iter().map(|role| {
        let label = &role.label;
        let held = format!("has(P.attr.{label}) && hasIntersection(P.attr.{label}, R.attr.path)");
        json!({"name": label, "parentRoles": ["member"], "condition": {"match": {"expr": held}}})
    });
    let rules = roles
        .iter()
        .map(|role| json!({"actions": role.keys, "effect": "EFFECT_ALLOW", "derivedRoles": [role.label]}));
    let version = "api.cerbos.dev/v1";
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies)?;
    let derived = json!({"apiVersion": version,
        "derivedRoles": {"name": "assigned", "definitions": derived.collect::<Vec<_>>()}});
    std::fs::write(policies.join("assigned.json"), derived.to_string())?;
    let rules = json!({"apiVersion": version, "resourcePolicy": {"resource": "node", "version": "default",
        "importDerivedRoles": ["assigned"], "rules": rules.collect::<Vec<_>>()}});
    std::fs::write(policies.join("node.json"), rules.to_string())?;

    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let socket = format!("unix:{}", folder.path().join("grpc").display());
    let config = json!({
        "server": {"httpListenAddr": address, "grpcListenAddr": socket},
        "storage": {"driver": "disk", "disk": {"directory": policies, "watchForChanges": false}},
        "telemetry": {"disabled": true},
    });
    let config_file = folder.path().join("cerbos.json");
    std::fs::write(&config_file, config.to_string())?;
    let begun = Instant::now();
    let process = Command::new(program)
        .args(["server", "--log-level=error", "--config"])
        .arg(&config_file)
        .stdout(Stdio::null())
        .spawn()?;
    let server = Server {
        process,
        address,
        requests: cerbos_requests(facts),
        yes: "\"EFFECT_ALLOW\"",
        folder: Some(folder),
    };
    let remark = "HTTP; spared windows and switches; each request carries the identity's assignments and the node's path; \
                  load: start to first answer";
    started("Cerbos 0.55", remark, begun, server)
}

fn cerbos_requests(facts: &Facts) -> Vec<Vec<u8>> {
    let mut held: HashMap<IdentityId, HashMap<&str, Vec<String>>> = HashMap::new();
    for live in facts.live() {
        let roles = held.entry(live.identity).or_default();
        roles.entry(live.role).or_default().push(live.node.to_string());
    }
    let request = |asked: &Asked| {
        let path: Vec<String> = facts.path(asked.node).iter().map(NodeId::to_string).collect();
        let holds = held
            .get(&asked.identity)
            .map_or_else(|| json!({}), |roles| json!(roles));
        let body = json!({
            "principal": {"id": asked.identity.to_string(), "roles": ["member"], "attr": holds},
            "resources": [{"actions": [asked.permission],
                "resource": {"kind": "node", "id": asked.node.to_string(), "attr": {"path": path}}}],
        });
        post("/api/check/resources", "", &body.to_string())
    };
    facts.questions().iter().map(request).collect()
}

/// Waits for the first answer of a server.
fn started(name: &str, remark: &'static str, begun: Instant, mut server: Server) -> Outcome<Engine> {
    let mut connection = loop {
        match Connection::open(&server.address) {
            Ok(connection) => break connection,
            Err(error) if begun.elapsed() > Duration::from_secs(60) => return Err(error),
            Err(_) if server.process.try_wait()?.is_some() => return Err(format!("{name} has ended").into()),
            Err(_) => pause(Duration::from_millis(5)),
        }
    };
    connection.exchange(server.requests.first().ok_or("no question")?)?;
    Ok(Engine {
        name: name.to_owned(),
        load: begun.elapsed(),
        memory: resident(&server.process.id().to_string())?,
        remark,
        asked: Box::new(server),
    })
}
