//! Two tenants of one installation: one that asks, and one that attacks.

use crate::probe::Asked;
use crate::process::{Home, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// An account with its default environment.
pub struct Tenant {
    pub account: String,
    /// The path of its development environment.
    pub environment: String,
    /// A token of its admin that names that environment.
    pub token: String,
    /// Some of its identities, members of the application.
    pub people: Vec<String>,
    /// The root of its tree.
    pub root: String,
    /// A role with `note.read`.
    role: String,
}

pub struct Stage {
    pub base: String,
    /// The address for clients that speak no HTTP of a library.
    pub address: String,
    pub http: reqwest::Client,
    pub asker: Tenant,
    pub attacker: Tenant,
}

/// The status and the body of an answer, or nothing of a call that got none.
pub type Reply = Option<(StatusCode, Value)>;

impl Stage {
    pub async fn set(home: &Home, server: &Server) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(120))
            .build()
            .unwrap();
        let operator = home.run(&["token", "--operator"]).ok().trim().to_owned();
        let (base, address) = (server.url.clone(), server.url.replace("http://", ""));
        let mut tenants = Vec::new();
        for name in ["asker", "attacker"] {
            tenants.push(settle(home, &http, (&base, &operator), name).await);
        }
        let attacker = tenants.pop().unwrap();
        let asker = tenants.pop().unwrap();
        Self {
            base,
            address,
            http,
            asker,
            attacker,
        }
    }

    /// A strong check of the tenant that asks, whose answer is yes, and a write of that tenant.
    pub async fn question(&self) -> Asked {
        let asker = &self.asker;
        let body = json!({
            "identity_id": asker.people[0], "permission": "note.read", "scope": "node", "node_id": asker.root,
        });
        let list = format!("{}{}/assignments/app-wide?q=p1@", self.base, asker.environment);
        let held: Value = self
            .http
            .get(list)
            .bearer_auth(&asker.token)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let assignment = held["items"][0]["assignment"]["id"].as_str().unwrap();
        Asked {
            base: self.base.clone(),
            path: format!("{}/permissions/evaluate", asker.environment),
            token: asker.token.clone(),
            body: body.to_string(),
            changed: format!("{}/assignments/{assignment}", asker.environment),
            role: asker.role.clone(),
        }
    }

    /// A call of the attacker. Refusals are its own business; a call that gets no answer is nobody's.
    pub async fn call(&self, method: Method, path: &str, body: Option<String>) -> Reply {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.attacker.token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let bytes = answer.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, Some(body.to_string())).await
    }

    /// The same within the attacker's environment.
    pub async fn post_here(&self, tail: &str, body: &Value) -> Reply {
        self.post(&format!("{}{tail}", self.attacker.environment), body).await
    }
}

async fn settle(home: &Home, http: &reqwest::Client, (base, operator): (&str, &str), name: &str) -> Tenant {
    let send = async |path: String, token: &str, body: Option<Value>| {
        let url = format!("{base}{path}");
        let request = match &body {
            Some(body) => http.post(url).json(body),
            None => http.get(url),
        };
        let answer = request.bearer_auth(token).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    };
    send(
        "/portal/v1/accounts".to_owned(),
        operator,
        Some(json!({"name": name, "slug": name})),
    )
    .await;
    let place = [
        "--account",
        name,
        "--application",
        "default",
        "--environment",
        "development",
    ];
    let token = home
        .run(&[&["token", "--admin"][..], &place].concat())
        .ok()
        .trim()
        .to_owned();
    let application = format!("/portal/v1/accounts/{name}/applications/default");
    let environment = format!("{application}/environments/development");
    let catalog = json!({
        "resources": [{"name": "note", "actions": ["read", "write"]}],
        "roles": [{"name": "Reader", "permission_keys": ["note.read"]}],
    });
    send(format!("{environment}/setup/access-bootstrap"), &token, Some(catalog)).await;
    let roles = send(format!("{environment}/roles?type=custom"), &token, None).await;
    let tree = send(format!("{environment}/nodes"), &token, None).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (role, root) = (text(&roles["items"][0]["id"]), text(&tree["tree"][0]["id"]));
    let mut people = Vec::new();
    for number in 0..20 {
        let body = json!({
            "email": format!("p{number}@{name}.example"), "first_name": "Pat", "last_name": format!("No {number}"),
            "role_id": role, "node_id": root,
        });
        let made = send(format!("{application}/identities"), &token, Some(body)).await;
        people.push(text(&made["id"]));
    }
    Tenant {
        account: format!("/portal/v1/accounts/{name}"),
        environment,
        token,
        people,
        root,
        role,
    }
}
