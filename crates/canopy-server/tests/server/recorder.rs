//! Calls whose requests, answers and times are written down, for the history checker.

use canopy_conformance::history::{Answer, Call, History, ItemAnswer, Request, State, check};
use canopy_domain::{AssignmentId, AssignmentKey, IdentityId, NodeId, RoleId};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The target of the calls.
pub const ENVIRONMENT: &str = "/portal/v1/accounts/acme/applications/notes/environments/development";

pub fn id<T: From<Uuid>>(json: &Value) -> T {
    json.as_str().unwrap().parse::<Uuid>().unwrap().into()
}

/// The responses to all clients of a run.
pub struct Recorder {
    begun: Instant,
    calls: Mutex<Vec<Call>>,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            calls: Mutex::default(),
        })
    }

    /// Returns the number of calls with a response of this kind.
    pub fn count(&self, wanted: impl Fn(&Call) -> bool) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| wanted(call)).count()
    }

    /// Waits until this many calls are recorded.
    pub async fn reach(&self, calls: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.count(|_| true) < calls {
            assert!(Instant::now() < deadline, "the load has come to a halt");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Makes sure that a serial order explains everything.
    #[track_caller]
    pub fn check(&self, start: &State) {
        let history = History {
            start: start.clone(),
            calls: self.calls.lock().unwrap().clone(),
        };
        if let Err(violation) = check(&history) {
            let mut calls = history.calls;
            calls.sort_by_key(|call| call.begun);
            for call in &calls {
                eprintln!("{call:?}");
            }
            panic!("{violation}");
        }
    }
}

/// A client of one server whose calls are recorded.
#[derive(Clone)]
pub struct Clerk {
    http: reqwest::Client,
    base: String,
    token: String,
    number: usize,
    recorder: Arc<Recorder>,
}

/// The response to a call.
struct Reply {
    status: u16,
    revision: Option<u64>,
    body: Value,
}

impl Clerk {
    pub fn new(recorder: &Arc<Recorder>, base: &str, token: &str) -> Self {
        Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
            base: base.to_owned(),
            token: token.to_owned(),
            number: 0,
            recorder: Arc::clone(recorder),
        }
    }

    /// The same client under another number.
    pub fn numbered(&self, number: usize) -> Self {
        Self { number, ..self.clone() }
    }

    fn request(&self, method: Method, tail: &str) -> RequestBuilder {
        let url = format!("{}{ENVIRONMENT}{tail}", self.base);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// Waits while the server runs and is not ready. Returns whether it answers again.
    pub async fn comes_back(&self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            match self.http.get(format!("{}/health/ready", self.base)).send().await {
                Ok(answer) if answer.status() == 200 => return true,
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(_) => return false,
            }
        }
        panic!("the server does not become ready again")
    }

    /// Sends a call and writes down what it was answered. `patience` is for clients that hang up.
    async fn record(
        &self,
        request: Request,
        send: RequestBuilder,
        patience: Option<Duration>,
        read: impl Fn(&Request, Reply) -> Answer,
    ) -> Answer {
        let begun = self.recorder.begun.elapsed();
        let exchange = async {
            let response = send.send().await?;
            let status = response.status().as_u16();
            let revision = response.headers().get("canopy-revision");
            let revision = revision.map(|header| header.to_str().unwrap().parse().unwrap());
            let bytes = response.bytes().await?;
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            reqwest::Result::Ok(Reply { status, revision, body })
        };
        let reply = match patience {
            Some(patience) => tokio::time::timeout(patience, exchange).await.ok(),
            None => Some(exchange.await),
        };
        let answer = match reply {
            // It never reached the server.
            Some(Err(error)) if error.is_connect() => return Answer::Open,
            None | Some(Err(_)) => Answer::Open,
            Some(Ok(reply)) if reply.status == 503 => Answer::Open,
            Some(Ok(reply)) => read(&request, reply),
        };
        let call = Call {
            client: self.number,
            begun,
            ended: self.recorder.begun.elapsed(),
            request,
            answer: answer.clone(),
        };
        self.recorder.calls.lock().unwrap().push(call);
        answer
    }

    /// Creates assignments: one by the call for one, others by the call for many.
    pub async fn create(&self, items: Vec<AssignmentKey>, atomic: bool, patience: Option<Duration>) -> Answer {
        let item = |key: &AssignmentKey| {
            let AssignmentKey { identity, role, node } = key;
            json!({"identity_id": identity.to_string(), "role_id": role.to_string(), "node_id": node.to_string()})
        };
        let send = match items.as_slice() {
            [one] => self.request(Method::POST, "/assignments").json(&item(one)),
            many => {
                let many: Vec<Value> = many.iter().map(item).collect();
                let body = json!({"assignments": many, "atomic": atomic});
                self.request(Method::POST, "/assignments/bulk-create").json(&body)
            }
        };
        let request = Request::Create { items, atomic };
        self.record(request, send, patience, |request, reply| {
            let outcome = |status: &Value, data: &Value, error: &Value| match status.as_u64() {
                Some(201) => ItemAnswer::Stored(id(&data["id"])),
                Some(409) => ItemAnswer::Taken(Some(id(&error["details"]["assignment_id"]))),
                Some(404) => ItemAnswer::NoSuchNode,
                Some(424) => ItemAnswer::RolledBack,
                _ => panic!("{request:?}: {}", reply.body),
            };
            Answer::Created(match reply.body["results"].as_array() {
                Some(results) => {
                    assert!(reply.status == 200 || reply.status == 207, "{}", reply.body);
                    let items = results.iter();
                    items
                        .map(|item| outcome(&item["code"], &item["data"], &item["error"]))
                        .collect()
                }
                None => vec![outcome(&json!(reply.status), &reply.body, &reply.body["error"])],
            })
        })
        .await
    }

    /// Removes assignments: one by the call for one, others by the call for many.
    pub async fn remove(&self, rows: Vec<(AssignmentId, AssignmentKey)>) -> Answer {
        let send = match rows.as_slice() {
            [(id, _)] => self.request(Method::DELETE, &format!("/assignments/{id}")),
            many => {
                let ids: Vec<String> = many.iter().map(|(id, _)| id.to_string()).collect();
                let body = json!({"assignment_ids": ids});
                self.request(Method::POST, "/assignments/bulk-remove").json(&body)
            }
        };
        self.record(Request::Remove { rows }, send, None, |request, reply| {
            let Request::Remove { rows } = request else {
                panic!("{request:?}")
            };
            match (reply.status, rows.as_slice()) {
                (204, _) => Answer::Removed,
                (404, [(id, _)]) => Answer::NotThere([*id].into()),
                (404, _) => {
                    let told = reply.body["error"]["details"]["assignment_ids"].as_array().unwrap();
                    Answer::NotThere(told.iter().map(id).collect())
                }
                _ => panic!("{}", reply.body),
            }
        })
        .await
    }

    /// Sets the permissions of a role.
    pub async fn set_permissions(&self, role: RoleId, keys: BTreeSet<String>) -> Answer {
        let tail = format!("/roles/{role}/permissions");
        let send = self.request(Method::PUT, &tail).json(&json!({"permission_keys": keys}));
        let request = Request::SetPermissions { role, keys };
        self.record(request, send, None, |_, reply| {
            assert_eq!(reply.status, 200, "{}", reply.body);
            Answer::Done
        })
        .await
    }

    /// Makes a team.
    pub async fn create_node(&self, parent: NodeId) -> Answer {
        let body = json!({"parent_node_id": parent.to_string(), "node_type": "team", "name": "New team"});
        let send = self.request(Method::POST, "/nodes").json(&body);
        self.record(Request::CreateNode { parent }, send, None, |_, reply| {
            assert_eq!(reply.status, 201, "{}", reply.body);
            Answer::NodeCreated(id(&reply.body["id"]))
        })
        .await
    }

    /// Asks.
    pub async fn evaluate(&self, identity: IdentityId, permission: &str, node: NodeId, is_strong: bool) -> Answer {
        let body = json!({"identity_id": identity.to_string(), "permission": permission, "scope": "node",
            "node_id": node.to_string(), "consistency": if is_strong { "strong" } else { "eventual" }});
        let send = self.request(Method::POST, "/permissions/evaluate").json(&body);
        let request = Request::Evaluate {
            identity,
            permission: permission.to_owned(),
            node,
            is_strong,
        };
        self.record(request, send, None, |_, reply| {
            assert_eq!(reply.status, 200, "{}", reply.body);
            let roles = reply.body["granting_roles"].as_array().unwrap();
            Answer::Decided {
                revision: reply.revision.unwrap(),
                is_allowed: reply.body["allowed"].as_bool().unwrap(),
                granting_roles: roles.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            }
        })
        .await
    }

    /// Reads all assignments, page by page.
    pub async fn list(&self) -> Answer {
        let begun = self.recorder.begun.elapsed();
        let mut held = Vec::new();
        for page in 1.. {
            let tail = format!("/assignments/app-wide?take=100&page={page}");
            let response = self.request(Method::GET, &tail).send().await.unwrap();
            assert_eq!(response.status(), 200);
            let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            for row in body["items"].as_array().unwrap() {
                let key = AssignmentKey {
                    identity: id(&row["identity"]["id"]),
                    role: id(&row["role"]["id"]),
                    node: id(&row["assignment"]["source_node_id"]),
                };
                held.push((key, id(&row["assignment"]["id"])));
            }
            if body["pagination"]["has_next_page"] == false {
                break;
            }
        }
        let count = held.len();
        let held: std::collections::BTreeMap<_, _> = held.into_iter().collect();
        assert_eq!(held.len(), count, "nothing is given twice");
        let answer = Answer::Held(held);
        self.recorder.calls.lock().unwrap().push(Call {
            client: self.number,
            begun,
            ended: self.recorder.begun.elapsed(),
            request: Request::List,
            answer: answer.clone(),
        });
        answer
    }
}
