//! Nothing tells what belongs to others from what is not there: every id in every path, query and body of every call is
//! swapped for one of another account, application and environment, and for one that names nothing. The answers are the
//! same but for the id, and nobody's data changes.

use crate::world::{NOBODY, World};
use canopy_testkit::server::{Answer, Api, TestServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The kind of thing that an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Application,
    Identity,
    Permission,
    Role,
    Node,
    Assignment,
    ApiKey,
    AuditEvent,
}

use Kind::{ApiKey, Application, Assignment, AuditEvent, Identity, Node, Permission, Role};

/// One thing of each kind.
struct Things {
    world: World,
    key: Api,
    ids: Vec<(Kind, String)>,
}

impl Things {
    fn id(&self, kind: Kind) -> &str {
        let (_, id) = self.ids.iter().find(|(of, _)| *of == kind).unwrap();
        id
    }

    /// Furnishes the environment of a world.
    async fn furnish(server: &TestServer, world: World, prefix: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (_, editor) = world.bootstrap().await;
        let schema = json!({"node_types": ["root", "team"], "allowed_children": {"root": ["team"], "team": ["team"]},
            "max_depth": 4, "root_node_type": "root"});
        let found = world.get("hierarchy-schema").await;
        let version = found.header("etag").unwrap().trim_matches('"').parse().ok();
        world
            .admin
            .patch(&format!("{}/hierarchy-schema", world.env), version, &schema)
            .await
            .expect(200);
        world
            .admin
            .put(&format!("{}/access-model", world.env), &json!({"model": "hierarchy"}))
            .await
            .expect(200);
        let team = json!({"parent_node_id": world.root, "node_type": "team", "name": "Team"});
        let node = text(&world.post("nodes", &team).await.expect(201)["id"]);
        let person = world.members(prefix, 1).await.remove(0);
        let item = json!({"identity_id": person, "node_id": node, "role_id": editor});
        let assignment = text(&world.post("assignments", &item).await.expect(201)["id"]);
        let permissions = world.get("permissions?source=custom").await.expect(200);
        let made = world
            .post("api-keys", &json!({"name": "k", "access_mode": "full_access"}))
            .await
            .expect(201);
        let environment = text(&world.admin.get(&world.env).await.expect(200)["id"]);
        let log = world
            .admin
            .get(&format!("{}/audit-log?environment_id={environment}", world.acc))
            .await
            .expect(200);
        let application = text(&world.admin.get(&world.app).await.expect(200)["id"]);
        let ids = vec![
            (Application, application),
            (Identity, person),
            (Permission, text(&permissions["items"][0]["id"])),
            (Role, editor),
            (Node, node),
            (Assignment, assignment),
            (ApiKey, text(&made["id"])),
            (AuditEvent, text(&log["items"][0]["id"])),
        ];
        let key = server.anonymous().with_api_key(text(&made["key"]));
        Self { world, key, ids }
    }

    /// All that can be read of it, its own audit log aside.
    async fn state(&self) -> Vec<Value> {
        let world = &self.world;
        let mut state = Vec::new();
        for path in [
            world.acc.clone(),
            format!("{}/applications", world.acc),
            format!("{}/identities?take=100", world.acc),
            format!("{}/environments", world.app),
            format!("{}/identities?take=100", world.app),
            format!("{}/export", world.env),
            format!("{}/assignments/app-wide?take=100", world.env),
            format!("{}/api-keys", world.env),
            format!("{}/nodes", world.env),
            format!("{}/roles?include_inactive=true", world.env),
            format!("{}/permissions", world.env),
            format!("{}/hierarchy-schema", world.env),
        ] {
            let mut body = world.admin.get(&path).await.expect(200);
            if let Some(keys) = body["items"].as_array_mut() {
                // A key that is used is a key that was used later.
                for key in keys {
                    key["last_used_at"] = Value::Null;
                }
            }
            state.push(body);
        }
        state
    }

    async fn audit_log(&self) -> Value {
        self.world
            .admin
            .get(&format!("{}/audit-log?limit=200", self.world.acc))
            .await
            .expect(200)
    }
}

/// A call with ids in it.
struct Sample {
    method: Method,
    path: String,
    body: Option<Value>,
    version: Option<u64>,
    by_key: bool,
}

impl Sample {
    async fn send(&self, mine: &Things, swap: Option<(&str, &str)>) -> Answer {
        let put = |text: String| match swap {
            Some((own, other)) => text.replace(own, other),
            None => text,
        };
        let api = if self.by_key { &mine.key } else { &mine.world.admin };
        let mut request = api.request(self.method.clone(), &put(self.path.clone()));
        if let Some(version) = self.version {
            request = request.header("If-Match", version.to_string());
        }
        if let Some(body) = &self.body {
            let body: Value = serde_json::from_str(&put(body.to_string())).unwrap();
            request = request.json(&body);
        }
        Api::send(request).await
    }

    fn names(&self, id: &str) -> bool {
        self.path.contains(id) || self.body.as_ref().is_some_and(|body| body.to_string().contains(id))
    }
}

/// One sample for each call of the document that has an id in its path, query or body.
#[expect(clippy::too_many_lines, reason = "a list of calls")]
fn samples(mine: &Things) -> Vec<Sample> {
    let (world, id) = (&mine.world, |kind| mine.id(kind));
    let (acc, app, env) = (world.acc.as_str(), world.app.as_str(), world.env.as_str());
    let (identity, role, node) = (id(Identity), id(Role), id(Node));
    let (permission, assignment) = (id(Permission), id(Assignment));
    let question = json!({"identity_id": identity, "permission": "note.read", "scope": "node", "node_id": node});
    let item = json!({"identity_id": identity, "node_id": node, "role_id": role});
    let child = json!({"parent_node_id": node, "node_type": "team", "name": "Child"});
    let mut samples = Vec::new();
    let mut add = |method: Method, path: String, body: Option<Value>, version: Option<u64>, public: bool| {
        if public {
            let tail = path.strip_prefix(env).or_else(|| path.strip_prefix(app)).unwrap();
            let path = format!("/api/v1{tail}");
            let (method, body) = (method.clone(), body.clone());
            samples.push(Sample {
                method,
                path,
                body,
                version,
                by_key: true,
            });
        }
        samples.push(Sample {
            method,
            path,
            body,
            version,
            by_key: false,
        });
    };
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let (patch, delete) = (Method::PATCH, Method::DELETE);
    // Assignments.
    add(
        get.clone(),
        format!("{env}/assignments/app-wide?role_id={role}&source_node_id={node}"),
        None,
        None,
        true,
    );
    add(
        post.clone(),
        format!("{env}/assignments"),
        Some(item.clone()),
        None,
        true,
    );
    for method in [&get, &delete] {
        add(
            method.clone(),
            format!("{env}/assignments/{assignment}"),
            None,
            None,
            true,
        );
    }
    add(
        patch.clone(),
        format!("{env}/assignments/{assignment}"),
        Some(json!({"role_id": role})),
        None,
        true,
    );
    for atomic in [true, false] {
        let body = json!({"assignments": [item], "atomic": atomic});
        add(
            post.clone(),
            format!("{env}/assignments/bulk-create"),
            Some(body),
            None,
            true,
        );
    }
    let some = json!({"assignment_ids": [assignment]});
    add(
        post.clone(),
        format!("{env}/assignments/bulk-remove"),
        Some(some),
        None,
        true,
    );
    let change = json!({"assignment_ids": [assignment], "role_id": role});
    add(
        post.clone(),
        format!("{env}/assignments/bulk-change-role"),
        Some(change),
        None,
        true,
    );
    // Roles and permissions.
    add(get.clone(), format!("{env}/roles/{role}"), None, None, true);
    add(
        patch.clone(),
        format!("{env}/roles/{role}"),
        Some(json!({"name": "Other"})),
        Some(1),
        true,
    );
    add(
        delete.clone(),
        format!("{env}/roles/{role}?force=true"),
        None,
        Some(1),
        true,
    );
    add(get.clone(), format!("{env}/roles/{role}/permissions"), None, None, true);
    add(
        put.clone(),
        format!("{env}/roles/{role}/permissions"),
        Some(json!({"permission_keys": []})),
        None,
        true,
    );
    add(get.clone(), format!("{env}/permissions/{permission}"), None, None, true);
    add(
        patch.clone(),
        format!("{env}/permissions/{permission}"),
        Some(json!({"category": "x"})),
        Some(1),
        true,
    );
    add(
        delete.clone(),
        format!("{env}/permissions/{permission}?force=true"),
        None,
        Some(1),
        true,
    );
    let more = json!({"resources": [], "role_permissions": [{"role_id": role, "permission_keys": ["role.read"]}]});
    add(
        post.clone(),
        format!("{env}/setup/resource-permissions"),
        Some(more),
        None,
        false,
    );
    // Evaluation.
    for check in ["evaluate", "explain"] {
        add(
            post.clone(),
            format!("{env}/permissions/{check}"),
            Some(question.clone()),
            None,
            true,
        );
    }
    add(
        post.clone(),
        format!("{env}/permissions/evaluate/bulk"),
        Some(json!({"evaluations": [question]})),
        None,
        true,
    );
    add(
        get.clone(),
        format!("{env}/identities/{identity}/permissions?node_id={node}"),
        None,
        None,
        true,
    );
    for list in [format!("identities/{identity}/nodes"), format!("nodes/{node}/who-can")] {
        add(
            get.clone(),
            format!("{env}/{list}?permission=note.read"),
            None,
            None,
            true,
        );
    }
    // Hierarchy.
    add(post.clone(), format!("{env}/nodes"), Some(child.clone()), None, true);
    add(
        post.clone(),
        format!("{env}/nodes/bulk-create"),
        Some(json!({"nodes": [child]})),
        None,
        true,
    );
    for tail in ["", "/tree", "/children", "/ancestors", "/identities/summary"] {
        add(get.clone(), format!("{env}/nodes/{node}{tail}"), None, None, true);
    }
    let people = format!("{env}/nodes/{node}/identities?role_id={role}&source_node_id={node}");
    add(get.clone(), people, None, None, true);
    add(
        patch.clone(),
        format!("{env}/nodes/{node}"),
        Some(json!({"name": "Other"})),
        Some(1),
        true,
    );
    add(
        patch.clone(),
        format!("{env}/nodes/{}", world.root),
        Some(json!({"parent_node_id": node})),
        Some(1),
        true,
    );
    add(
        post.clone(),
        format!("{env}/nodes/{node}/move"),
        Some(json!({"parent_node_id": world.root})),
        Some(1),
        true,
    );
    add(
        delete.clone(),
        format!("{env}/nodes/{node}?force=true"),
        None,
        Some(1),
        true,
    );
    // Identities and memberships.
    let person =
        json!({"email": "new@example.com", "first_name": "N", "last_name": "N", "application_id": id(Application)});
    add(post.clone(), format!("{acc}/identities"), Some(person), None, false);
    let people = json!({"identities": [{"email": "n@example.com", "first_name": "N", "last_name": "N"}],
        "application_id": id(Application)});
    add(
        post.clone(),
        format!("{acc}/identities/bulk-create"),
        Some(people),
        None,
        false,
    );
    add(
        get.clone(),
        format!("{acc}/identities?not_in_app={}", id(Application)),
        None,
        None,
        false,
    );
    for method in [&get, &delete] {
        add(
            method.clone(),
            format!("{acc}/identities/{identity}"),
            None,
            None,
            false,
        );
    }
    add(
        patch.clone(),
        format!("{acc}/identities/{identity}"),
        Some(json!({"first_name": "X"})),
        None,
        false,
    );
    add(
        patch.clone(),
        format!("{acc}/identities/{identity}/status"),
        Some(json!({"is_active": false})),
        None,
        false,
    );
    let join = json!({"application_id": id(Application)});
    add(
        post.clone(),
        format!("{acc}/identities/{identity}/app-memberships"),
        Some(join),
        None,
        false,
    );
    let membership = format!("{acc}/identities/{identity}/app-memberships/{}", id(Application));
    add(delete.clone(), membership, None, None, false);
    let attach = json!({"identity_ids": [identity]});
    add(
        post.clone(),
        format!("{app}/app-memberships/bulk-attach"),
        Some(attach),
        None,
        false,
    );
    let placed =
        json!({"email": "m@example.com", "first_name": "M", "last_name": "M", "role_id": role, "node_id": node});
    samples_in_application(&mut add, app, identity, &placed);
    // API keys and the audit log.
    add(
        delete.clone(),
        format!("{env}/api-keys/{}", id(ApiKey)),
        None,
        None,
        true,
    );
    add(
        post.clone(),
        format!("{env}/api-keys/{}/rotate", id(ApiKey)),
        Some(json!({"overlap_seconds": 0})),
        None,
        true,
    );
    add(
        get.clone(),
        format!("{acc}/audit-log/{}", id(AuditEvent)),
        None,
        None,
        false,
    );
    add(
        get.clone(),
        format!("{acc}/audit-log/{}/details", id(AuditEvent)),
        None,
        None,
        false,
    );
    samples.push(Sample {
        method: get.clone(),
        path: format!("/api/v1/audit-events/{}/details", id(AuditEvent)),
        body: None,
        version: None,
        by_key: true,
    });
    samples.push(Sample {
        method: get,
        path: format!("/api/v1/audit-events/{}", id(AuditEvent)),
        body: None,
        version: None,
        by_key: true,
    });
    let (subject, resource) = (
        json!({"type": "user", "id": identity}),
        json!({"type": "team", "id": node}),
    );
    let action = json!({"name": "note.read"});
    let whole = json!({"subject": subject, "action": action, "resource": resource});
    for (tail, body) in [
        ("evaluation", whole.clone()),
        ("evaluations", json!({"evaluations": [whole]})),
        (
            "search/subject",
            json!({"subject": {"type": "user"}, "action": action, "resource": resource}),
        ),
        (
            "search/resource",
            json!({"subject": subject, "action": action, "resource": {"type": "team"}}),
        ),
        ("search/action", json!({"subject": subject, "resource": resource})),
    ] {
        samples.push(Sample {
            method: Method::POST,
            path: format!("/access/v1/{tail}"),
            body: Some(body),
            version: None,
            by_key: true,
        });
    }
    samples
}

type Add<'a> = dyn FnMut(Method, String, Option<Value>, Option<u64>, bool) + 'a;

fn samples_in_application(add: &mut Add<'_>, app: &str, identity: &str, placed: &Value) {
    add(
        Method::POST,
        format!("{app}/identities"),
        Some(placed.clone()),
        None,
        true,
    );
    for tail in ["", "/detail", "/assignments"] {
        add(
            Method::GET,
            format!("{app}/identities/{identity}{tail}"),
            None,
            None,
            true,
        );
    }
    add(
        Method::PATCH,
        format!("{app}/identities/{identity}"),
        Some(json!({"first_name": "X"})),
        None,
        true,
    );
    add(Method::DELETE, format!("{app}/identities/{identity}"), None, None, true);
    for tail in ["activate", "deactivate", "suspend"] {
        add(
            Method::POST,
            format!("{app}/identities/{identity}/{tail}"),
            None,
            None,
            true,
        );
    }
}

/// The answer without what may differ: the time, the request's id, the path, and the id that was asked for.
fn masked(answer: &Answer, id: &str) -> (u16, Value) {
    let mut body: Value = serde_json::from_str(&answer.body.to_string().replace(id, NOBODY)).unwrap();
    if body["error"].is_object() {
        for field in ["timestamp", "request_id", "path"] {
            body["error"][field] = Value::Null;
        }
    }
    (answer.status, body)
}

/// Swaps every id of `mine` in every sample for the other's of the same kind. A call of the portal that is about a whole
/// application has all environments of it in reach.
async fn swap_all(mine: &Things, other: &Things, kinds: &[Kind]) {
    let reaches =
        |sample: &Sample| mine.world.app == other.world.app && !sample.by_key && !sample.path.contains(&mine.world.env);
    for sample in samples(mine).into_iter().filter(|sample| !reaches(sample)) {
        for (kind, own) in mine.ids.iter().filter(|(kind, _)| kinds.contains(kind)) {
            if !sample.names(own) {
                continue;
            }
            let theirs = other.id(*kind);
            let foreign = sample.send(mine, Some((own, theirs))).await;
            let absent = sample.send(mine, Some((own, NOBODY))).await;
            let what = format!("{} {} with the {kind:?} of another", sample.method, sample.path);
            assert_eq!(masked(&foreign, theirs), masked(&absent, theirs), "{what}");
            assert!(foreign.status < 500, "{what}: {}", foreign.body);
        }
    }
}

/// The calls of the document that have an id in them, as `METHOD path` with `*` for each parameter.
async fn listed(server: &TestServer) -> BTreeSet<String> {
    let document = server.anonymous().get("/openapi.json").await.expect(200);
    let mut calls = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let has_id = path.contains("Id}");
        for (method, _) in operations.as_object().unwrap() {
            if has_id {
                let shape: Vec<&str> = path
                    .split('/')
                    .map(|one| if one.starts_with('{') { "*" } else { one })
                    .collect();
                calls.insert(format!("{} {}", method.to_uppercase(), shape.join("/")));
            }
        }
    }
    calls
}

/// The same form of a sample.
fn shape(sample: &Sample, mine: &Things) -> String {
    let world = &mine.world;
    let mut path = sample.path.split('?').next().unwrap().to_owned();
    for (prefix, starred) in [
        (&world.env, "/portal/v1/accounts/*/applications/*/environments/*"),
        (&world.app, "/portal/v1/accounts/*/applications/*"),
        (&world.acc, "/portal/v1/accounts/*"),
    ] {
        if let Some(tail) = path.strip_prefix(prefix.as_str()) {
            path = format!("{starred}{tail}");
            break;
        }
    }
    for (_, id) in &mine.ids {
        path = path.replace(id, "*");
    }
    format!("{} {}", sample.method, path.replace(&world.root, "*"))
}

on_every_store! {
    async fn a_foreign_id_is_an_absent_id_in_every_call(server) {
        let mine = Things::furnish(&server, World::new(&server, "acme").await, "me").await;
        let rival = Things::furnish(&server, World::new(&server, "rival").await, "spy").await;
        let sibling = Things::furnish(&server, mine.world.sibling("sibling").await, "sib").await;
        let cousin = Things::furnish(&server, mine.world.cousin("cousin").await, "cou").await;

        let tried: BTreeSet<String> = samples(&mine).iter().map(|sample| shape(sample, &mine)).collect();
        let missing: Vec<String> = listed(&server).await.difference(&tried).cloned().collect();
        assert!(missing.is_empty(), "calls with ids that are not tried: {missing:#?}");

        let all = [Application, Identity, Permission, Role, Node, Assignment, ApiKey, AuditEvent];
        let of_environment = [Permission, Role, Node, Assignment, ApiKey];
        let before = [mine.state().await, rival.state().await, sibling.state().await, cousin.state().await];
        let log = rival.audit_log().await;
        swap_all(&mine, &rival, &all).await;
        swap_all(&mine, &sibling, &of_environment).await;
        swap_all(&mine, &cousin, &of_environment).await;
        let after = [mine.state().await, rival.state().await, sibling.state().await, cousin.state().await];
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after);
        }
        assert_eq!(log, rival.audit_log().await, "nobody but the actor hears of it");
    }
}
