//! OpenID AuthZEN: the Core and Discovery levels of the certification scenario, and what names mean here.

use crate::world::{NOBODY, World};
use canopy_testkit::server::{Answer, Api, TestServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const SUBJECTS: &str = "/access/v1/search/subject";
const RESOURCES: &str = "/access/v1/search/resource";
const ACTIONS: &str = "/access/v1/search/action";

/// The fixture of the scenario: records below the root `acme`; Alice reads, writes and deletes them, Bob reads them.
struct Records {
    world: World,
    /// A client with a key of full access.
    key: Api,
    alice: String,
    bob: String,
    record: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Records {
    async fn new(server: &TestServer) -> Self {
        let world = World::new(server, "acme").await;
        let catalog = json!({
            "resources": [{"name": "record", "actions": ["read", "write", "delete"]}],
            "roles": [
                {"name": "Owner", "permission_keys": ["record.read", "record.write", "record.delete"]},
                {"name": "Reader", "permission_keys": ["record.read", "node.read"]},
            ],
        });
        world.post("setup/access-bootstrap", &catalog).await.expect(201);
        let schema = json!({"node_types": ["root", "folder", "record"], "max_depth": 4, "root_node_type": "root",
            "allowed_children": {"root": ["folder", "record"], "folder": ["record"]}});
        let version = world.get("hierarchy-schema").await;
        let version = version.header("etag").unwrap().trim_matches('"').parse().ok();
        world.patch("hierarchy-schema", version, &schema).await.expect(200);
        let model = json!({"model": "hierarchy"});
        world
            .admin
            .put(&format!("{}/access-model", world.env), &model)
            .await
            .expect(200);
        let (owner, reader) = (world.role("Owner").await, world.role("Reader").await);
        let root = world.root.clone();
        let record = node(&world, &root, "record", "record-1").await;
        node(&world, &root, "record", "record-2").await;
        let alice = person(&world, "alice", &owner).await;
        let bob = person(&world, "bob", &reader).await;
        let key = world.key(&[]).await;
        Self {
            world,
            key,
            alice,
            bob,
            record,
        }
    }

    async fn decide(&self, subject: &str, action: &str, (kind, id): (&str, &str)) -> (bool, String) {
        let answer = self.key.post(EVALUATION, &question(subject, action, (kind, id))).await;
        assert!(answer.header("canopy-revision").is_some());
        let body = answer.expect(200);
        (body["decision"].as_bool().unwrap(), text(&body["context"]["reason"]))
    }

    async fn reason(&self, subject: &str, action: &str, resource: (&str, &str)) -> String {
        let (decision, reason) = self.decide(subject, action, resource).await;
        assert_eq!(decision, reason == "granted");
        reason
    }

    /// All results of a search, by parts of `limit`.
    async fn all(&self, path: &str, search: &Value, limit: u64) -> Vec<Value> {
        let mut search = search.clone();
        search["page"] = json!({"limit": limit});
        let mut all = Vec::new();
        loop {
            let part = self.key.post(path, &search).await.expect(200);
            let results = part["results"].as_array().unwrap();
            assert!(results.len() as u64 <= limit);
            assert_eq!(part["page"]["count"], results.len());
            all.extend(results.iter().cloned());
            search["page"]["token"] = part["page"]["next_token"].clone();
            if search["page"]["token"] == "" {
                return all;
            }
        }
    }
}

fn question(subject: &str, action: &str, (kind, id): (&str, &str)) -> Value {
    json!({"subject": {"type": "user", "id": subject}, "action": {"name": action}, "resource": {"type": kind, "id": id}})
}

async fn node(world: &World, parent: &str, kind: &str, slug: &str) -> String {
    let new = json!({"parent_node_id": parent, "node_type": kind, "name": slug, "slug": slug});
    text(&world.post("nodes", &new).await.expect(201)["id"])
}

/// An identity of this external id, with a role at the root.
async fn person(world: &World, external_id: &str, role: &str) -> String {
    let new = json!({"email": format!("{external_id}@acme.example"), "first_name": external_id, "last_name": "Example",
        "external_id": external_id, "role_id": role, "node_id": world.root});
    let made = world.admin.post(&format!("{}/identities", world.app), &new).await;
    // Where the call is about a whole application, the node says in which environment.
    text(&made.expect(201)["id"])
}

fn decisions(body: &Value) -> Vec<bool> {
    let items = body["evaluations"].as_array().unwrap().iter();
    items.map(|item| item["decision"].as_bool().unwrap()).collect()
}

fn reasons(body: &Value) -> Vec<&str> {
    let items = body["evaluations"].as_array().unwrap().iter();
    items.map(|item| item["context"]["reason"].as_str().unwrap()).collect()
}

fn ids(results: &[Value]) -> BTreeSet<&str> {
    results.iter().map(|one| one["id"].as_str().unwrap()).collect()
}

async fn raw(api: &Api, path: &str, content_type: Option<&str>, body: &str) -> Answer {
    let mut request = api.request(Method::POST, path).body(body.to_owned());
    if let Some(content_type) = content_type {
        request = request.header("Content-Type", content_type);
    }
    Api::send(request).await
}

on_every_store! {
    async fn the_basic_core_of_the_certification_holds(server) {
        let records = Records::new(&server).await;
        let key = &records.key;
        // 2.2: requests are accepted, whatever else stands in them.
        for (subject, action, decision) in
            [("alice", "read", true), ("alice", "write", true), ("bob", "read", true), ("bob", "write", false)]
        {
            for _ in 0..2 {
                assert_eq!(records.decide(subject, action, ("record", "record-1")).await.0, decision);
            }
        }
        let mut asked = question("alice", "read", ("record", "record-1"));
        asked["context"] = json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"});
        asked["subject"]["properties"] = json!({"department": "Sales", "role": "manager"});
        asked["action"]["properties"] = json!({"method": "GET"});
        asked["resource"]["properties"] = json!({"status": "active", "owner": "bob"});
        asked["foo"] = json!("bar");
        asked["futureField"] = json!({"nested": true});
        let answer = key.post(EVALUATION, &asked).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.expect(200), json!({"decision": true, "context": {"reason": "granted"}}));
        asked["context"] = json!(7);
        assert_eq!(key.post(EVALUATION, &asked).await.expect(200)["decision"], true);
        // 2.4: what lacks something, or has something of the wrong type, is 400.
        let whole = question("alice", "read", ("record", "record-1"));
        for pointer in ["/subject", "/action", "/resource", "/subject/type", "/subject/id", "/action/name",
            "/resource/type", "/resource/id"]
        {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            for wrong in [None, Some(Value::Null), Some(json!(123))] {
                let mut asked = whole.clone();
                let object = asked.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                match wrong {
                    None => object.remove(name),
                    Some(value) => object.insert(name.to_owned(), value),
                };
                for path in [EVALUATION, EVALUATIONS] {
                    let answer = key.post(path, &asked).await;
                    answer.refused(400, "request.validation_failed");
                    assert_eq!(answer.body["error"]["details"]["fields"][0]["path"], pointer);
                }
            }
        }
        let body = whole.to_string();
        for (content_type, body, code) in [
            (None, body.as_str(), "request.validation_failed"),
            (Some("text/plain"), &body, "request.validation_failed"),
            (Some("application/json"), "", "request.malformed_json"),
            (Some("application/json"), "{\"subject\":", "request.malformed_json"),
            (Some("application/json"), "\"alice\"", "request.validation_failed"),
        ] {
            for path in [EVALUATION, EVALUATIONS, SUBJECTS, RESOURCES, ACTIONS] {
                raw(key, path, content_type, body).await.refused(400, code);
            }
        }
        assert_eq!(raw(key, EVALUATION, Some("application/json; charset=utf-8"), &body).await.status, 200);
        // 2.5: the request's id comes back, of refusals too.
        for (body, status) in [(&whole, 200), (&json!({}), 400)] {
            let request = key.request(Method::POST, EVALUATION).header("X-Request-ID", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716");
            let answer = Api::send(request.json(body)).await;
            assert_eq!((answer.status, answer.header("x-request-id")), (status, Some("bfe9eb29-ab87-4ca3-be83-a1d5d8305716")));
        }
        assert!(key.post(EVALUATION, &whole).await.header("x-request-id").is_some());
    }

    async fn the_batch_core_of_the_certification_holds(server) {
        let records = Records::new(&server).await;
        let send = |body: Value| {
            let key = records.key.clone();
            async move { key.post(EVALUATIONS, &body).await.expect(200) }
        };
        let (alice, bob) = (json!({"type": "user", "id": "alice"}), json!({"type": "user", "id": "bob"}));
        let (one, two) = (json!({"type": "record", "id": "record-1"}), json!({"type": "record", "id": "record-2"}));
        let (read, write) = (json!({"name": "read"}), json!({"name": "write"}));
        let body = send(json!({"subject": alice, "action": read, "evaluations": [{"resource": one}, {"resource": two}]})).await;
        assert_eq!(decisions(&body), [true, true]);
        assert!(body.get("decision").is_none());
        let body = send(json!({"subject": bob, "resource": one, "evaluations": [{"action": read}, {"action": write}]})).await;
        assert_eq!((decisions(&body), reasons(&body)), (vec![true, false], vec!["granted", "no_grant"]));
        let body = send(json!({"evaluations": [
            {"subject": alice, "action": read, "resource": one}, {"subject": bob, "action": write, "resource": one}]})).await;
        assert_eq!(decisions(&body), [true, false]);
        let body = send(json!({"subject": alice, "action": read, "context": {"time": "t"}, "evaluations": [
            {"resource": one}, {"resource": two, "context": {"source": "batch-override"}, "future": 1}]})).await;
        assert_eq!(decisions(&body), [true, true]);
        // What an item has goes before what stands beside the items; type and id one by one.
        let body = send(json!({"subject": bob, "action": write, "resource": {"type": "record"}, "evaluations": [
            {"resource": {"id": "record-1"}},
            {"subject": {"id": "alice"}, "resource": {"id": "record-1"}},
            {"subject": alice, "action": null, "resource": two},
            {"action": read, "resource": {"id": "record-9"}},
        ]})).await;
        assert_eq!(reasons(&body), ["no_grant", "granted", "granted", "node_not_found"]);
        // 3.4.1: an item that is no whole question is answered with no, and the others as they are.
        let body = send(json!({"subject": alice, "action": read, "evaluations": [
            {"resource": one}, {}, {"resource": {"type": "record"}}, {"resource": "record-1"}, 7, {"resource": one}]})).await;
        assert_eq!(decisions(&body), [true, false, false, false, false, true]);
        assert_eq!(reasons(&body)[1..5], ["invalid_request"; 4]);
        let wrong: Vec<&str> = body["evaluations"].as_array().unwrap()[1..5].iter()
            .map(|item| item["context"]["error"]["message"].as_str().unwrap()).collect();
        assert_eq!(wrong, ["/resource/type is required", "/resource/id is required",
            "/resource must be an object, not a string", "it must be an object, not a number"]);
        assert_eq!(body["evaluations"][1]["context"]["error"]["status"], 400);
        assert!(body["evaluations"][0]["context"].get("error").is_none());
        // 3.4.2 and 3.4.3: without items it is one question.
        for evaluations in [None, Some(json!([])), Some(Value::Null)] {
            let mut body = question("alice", "read", ("record", "record-1"));
            if let Some(evaluations) = evaluations {
                body["evaluations"] = evaluations;
            }
            assert_eq!(send(body).await, json!({"decision": true, "context": {"reason": "granted"}}));
        }
        // What is wrong with the whole is 400.
        for body in [
            json!({"evaluations": 7}),
            json!({"evaluations": [], "subject": alice}),
            json!({"subject": "alice", "evaluations": [{}]}),
            json!({"options": {"evaluations_semantic": "some"}, "evaluations": [{}]}),
            json!({"options": {"evaluations_semantic": 1}, "evaluations": [{}]}),
            json!({"evaluations": vec![json!({}); 10_001]}),
        ] {
            records.key.post(EVALUATIONS, &body).await.refused(400, "request.validation_failed");
        }
    }

    async fn the_semantics_end_where_they_say(server) {
        let records = Records::new(&server).await;
        let item = |action: &str| json!({"action": {"name": action}});
        let items = json!([item("read"), item("write"), item("read"), item("nothing")]);
        for (options, expected) in [
            (json!(null), vec![true, false, true, false]),
            (json!({}), vec![true, false, true, false]),
            (json!({"another_option": "value"}), vec![true, false, true, false]),
            (json!({"evaluations_semantic": "execute_all"}), vec![true, false, true, false]),
            (json!({"evaluations_semantic": "deny_on_first_deny"}), vec![true, false]),
            (json!({"evaluations_semantic": "permit_on_first_permit"}), vec![true]),
        ] {
            let body = json!({"subject": {"type": "user", "id": "bob"}, "resource": {"type": "record", "id": "record-1"},
                "evaluations": items, "options": options});
            let answer = records.key.post(EVALUATIONS, &body).await;
            assert!(answer.header("canopy-revision").is_some());
            assert_eq!(decisions(&answer.expect(200)), expected, "{options}");
        }
        let body = json!({"subject": {"type": "user", "id": "bob"}, "resource": {"type": "record", "id": "record-1"},
            "evaluations": [item("write"), {"action": 7}, item("read"), item("read")], "options": {"evaluations_semantic": "permit_on_first_permit"}});
        let body = records.key.post(EVALUATIONS, &body).await.expect(200);
        assert_eq!(reasons(&body), ["no_grant", "invalid_request", "granted"]);
    }

    /// Whatever identities are called, a search names each by what an evaluation takes for it, and nobody twice.
    async fn a_name_that_a_search_gives_is_understood_by_an_evaluation(server) {
        let records = Records::new(&server).await;
        let world = &records.world;
        let reader = world.role("Reader").await;
        let mut ids = Vec::new();
        for place in 0..12 {
            ids.push(person(world, &format!("e{place}"), &reader).await);
        }
        let rename = |id: &str, body: Value| { let (admin, path) = (world.admin.clone(), format!("{}/identities/{id}", world.acc));
            async move { admin.patch(&path, None, &body).await.expect(200) } };
        // Jane is known by a mail address that a new hire has taken since; others by names of each other.
        for (place, other) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
            rename(&ids[place], json!({"external_id": format!("e{other}@acme.example")})).await;
        }
        rename(&ids[4], json!({"external_id": ids[5]})).await;
        rename(&ids[5], json!({"external_id": ids[4]})).await;
        rename(&ids[6], json!({"external_id": null})).await;
        rename(&ids[7], json!({"external_id": ids[6]})).await;
        rename(&ids[8], json!({"external_id": null})).await;
        rename(&ids[9], json!({"external_id": "e9@acme.example"})).await;
        rename(&ids[10], json!({"external_id": ids[10]})).await;
        rename(&ids[11], json!({"external_id": ids[11].to_uppercase()})).await;
        let search = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}});
        for limit in [1, 5, 100] {
            let found = records.all(SUBJECTS, &search, limit).await;
            let names: BTreeSet<&str> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
            assert_eq!((names.len(), found.len()), (14, 14), "everybody, nobody twice: {names:?}");
            for name in names {
                assert_eq!(records.reason(name, "read", ("record", "record-1")).await, "granted", "{name}");
                let actions = json!({"subject": {"type": "user", "id": name}, "resource": {"type": "record", "id": "record-1"}});
                let found = records.key.post(ACTIONS, &actions).await.expect(200);
                for action in found["results"].as_array().unwrap() {
                    let action = action["name"].as_str().unwrap();
                    assert_eq!(records.reason(name, action, ("record", "record-1")).await, "granted", "{name} {action}");
                }
                let resources = json!({"subject": {"type": "user", "id": name}, "action": {"name": "read"}, "resource": {"type": "node"}});
                for resource in records.key.post(RESOURCES, &resources).await.expect(200)["results"].as_array().unwrap() {
                    let at = ("node", resource["id"].as_str().unwrap());
                    assert_eq!(records.reason(name, "node.read", at).await, "granted", "{name} {at:?}");
                }
            }
        }
    }

    async fn the_search_core_of_the_certification_holds(server) {
        let records = Records::new(&server).await;
        let key = &records.key;
        let record = json!({"type": "record", "id": "record-1"});
        let mut subjects = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": record});
        let mut resources = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record"}});
        let mut actions = json!({"subject": {"type": "user", "id": "alice"}, "resource": record});
        let found = key.post(SUBJECTS, &subjects).await;
        assert!(found.header("canopy-revision").is_some());
        let found = found.expect(200);
        assert_eq!(found["page"], json!({"next_token": "", "count": 2}));
        assert_eq!(ids(found["results"].as_array().unwrap()), BTreeSet::from(["alice", "bob"]));
        assert!(found["results"].as_array().unwrap().iter().all(|one| one["type"] == "user"));
        let found = key.post(RESOURCES, &resources).await.expect(200);
        assert_eq!(ids(found["results"].as_array().unwrap()), BTreeSet::from(["record-1", "record-2"]));
        assert!(found["results"].as_array().unwrap().iter().all(|one| one["type"] == "record"));
        let found = key.post(ACTIONS, &actions).await.expect(200);
        assert_eq!(found["results"], json!([{"name": "delete"}, {"name": "read"}, {"name": "write"}]));
        // What is looked for may have an id, which is ignored, and whatever else.
        for (path, search) in [(SUBJECTS, &mut subjects), (RESOURCES, &mut resources), (ACTIONS, &mut actions)] {
            let plain = key.post(path, search).await.expect(200);
            search["context"] = json!({"time": "now"});
            search["future"] = json!([]);
            let kind = if path == RESOURCES { "resource" } else { "subject" };
            if path != ACTIONS {
                search[kind]["id"] = json!("ignored");
            }
            search["page"] = json!({"properties": {"sort": "up"}});
            assert_eq!(key.post(path, search).await.expect(200), plain, "{path}");
            // 4.5: by parts, each of which is told how many it has.
            search["page"] = json!({"limit": 1});
            let all = records.all(path, search, 1).await;
            assert_eq!(json!(all), plain["results"], "{path}");
        }
        // 4.6: nothing is found where something is unknown.
        let nothing = json!({"page": {"next_token": "", "count": 0}, "results": []});
        let mut unknown = Vec::new();
        for (path, search) in [(SUBJECTS, &subjects), (RESOURCES, &resources), (ACTIONS, &actions)] {
            for pointer in ["/subject/type", "/action/name", "/resource/type", "/subject/id", "/resource/id"] {
                let ignored = (path == SUBJECTS && pointer == "/subject/id") || (path == RESOURCES && pointer == "/resource/id");
                let mut search = search.clone();
                search["page"] = Value::Null;
                match search.pointer_mut(pointer) {
                    Some(place) if !ignored => *place = json!("spaceship"),
                    _ => continue,
                }
                unknown.push((path, search));
            }
        }
        assert_eq!(unknown.len(), 12);
        for (path, search) in unknown {
            assert_eq!(key.post(path, &search).await.expect(200), nothing, "{path} {search}");
        }
        // 4.7: what lacks something is 400.
        for (path, search, pointers) in [
            (SUBJECTS, &subjects, vec!["/subject", "/action", "/resource", "/subject/type", "/action/name", "/resource/type", "/resource/id"]),
            (RESOURCES, &resources, vec!["/subject", "/action", "/resource", "/subject/type", "/subject/id", "/action/name", "/resource/type"]),
            (ACTIONS, &actions, vec!["/subject", "/resource", "/subject/type", "/subject/id", "/resource/type", "/resource/id"]),
        ] {
            for pointer in pointers {
                let mut search = search.clone();
                search["page"] = Value::Null;
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                search.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
                let answer = key.post(path, &search).await;
                answer.refused(400, "request.validation_failed");
                assert_eq!(answer.body["error"]["details"]["fields"][0]["path"], pointer);
            }
        }
    }

    async fn a_subject_is_called_by_id_external_id_or_email(server) {
        let records = Records::new(&server).await;
        let at = ("record", "record-1");
        let upper = records.alice.to_uppercase();
        for name in ["alice", "alice@acme.example", "Alice@ACME.example", &records.alice, &upper] {
            assert_eq!(records.reason(name, "write", at).await, "granted", "{name}");
        }
        for name in ["Alice", " alice", "", "alice@", NOBODY, "nobody"] {
            assert_eq!(records.reason(name, "write", at).await, "identity_not_found", "{name}");
        }
        for (kind, reason) in [("identity", "granted"), ("group", "identity_not_found")] {
            let mut asked = question("alice", "write", at);
            asked["subject"]["type"] = json!(kind);
            assert_eq!(records.key.post(EVALUATION, &asked).await.expect(200)["context"]["reason"], reason);
        }
        // A name goes with the next answer to whom it is given.
        let world = &records.world;
        let rename = |id: &str, change: Value| {
            let path = format!("{}/identities/{id}", world.acc);
            async move { world.admin.patch(&path, None, &change).await.expect(200) }
        };
        rename(&records.alice, json!({"external_id": "a-1", "email": "ada@acme.example"})).await;
        for (name, reason) in [("alice", "identity_not_found"), ("alice@acme.example", "identity_not_found"),
            ("a-1", "granted"), ("ada@acme.example", "granted")]
        {
            assert_eq!(records.reason(name, "write", at).await, reason, "{name}");
        }
        rename(&records.bob, json!({"external_id": "alice"})).await;
        assert_eq!(records.reason("alice", "write", at).await, "no_grant");
        // A name that two have is nobody's.
        for name in [records.alice.as_str(), "ada@acme.example"] {
            rename(&records.bob, json!({"external_id": name})).await;
            assert_eq!(records.reason(name, "read", at).await, "ambiguous_subject", "{name}");
            let actions = json!({"subject": {"type": "user", "id": name}, "resource": {"type": "record", "id": "record-1"}});
            assert_eq!(records.key.post(ACTIONS, &actions).await.expect(200)["results"], json!([]));
        }
        assert_eq!(records.reason("a-1", "write", at).await, "granted");
        rename(&records.bob, json!({"external_id": null})).await;
        assert_eq!(records.reason(&records.alice, "write", at).await, "granted");
        let subjects = json!({"subject": {"type": "identity"}, "action": {"name": "read"}, "resource": {"type": "node", "id": "acme"}});
        assert_eq!(records.key.post(SUBJECTS, &subjects).await.expect(200)["results"], json!([]), "`node.read` is a system key");
        let subjects = json!({"subject": {"type": "identity"}, "action": {"name": "record.read"}, "resource": {"type": "node", "id": "acme"}});
        let found = records.key.post(SUBJECTS, &subjects).await.expect(200);
        assert_eq!(ids(found["results"].as_array().unwrap()), BTreeSet::from(["a-1", records.bob.as_str()]));
    }

    async fn a_resource_is_called_by_id_path_or_slug(server) {
        let records = Records::new(&server).await;
        let world = &records.world;
        let folder = node(world, &world.root, "folder", "box").await;
        let inner = node(world, &folder, "record", "inner").await;
        let uuid = "0198a7b1-7c3e-7000-8000-0000000000aa";
        node(world, &folder, "record", uuid).await;
        let granted = [("record", "record-1"), ("record", "acme/record-1"), ("record", "acme/box/inner"), ("record", "inner"),
            ("record", uuid), ("record", &records.record), ("node", "acme/box/inner"), ("node", "box"), ("node", &inner),
            ("folder", "box"), ("folder", "acme/box"), ("root", "acme"), ("node", "acme")];
        for at in granted {
            assert_eq!(records.reason("alice", "record.write", at).await, "granted", "{at:?}");
        }
        for at in [("folder", "inner"), ("folder", inner.as_str()), ("record", folder.as_str()), ("record", "box"), ("record", "acme"),
            ("record", "acme/inner"), ("record", "box/inner"), ("record", "Inner"), ("record", "acme/box/inner/"), ("record", ""),
            ("record", NOBODY), ("rocket", "inner"), ("a.b", "inner"), ("", "inner")]
        {
            assert_eq!(records.reason("alice", "record.write", at).await, "node_not_found", "{at:?}");
        }
        // A slug that several have is none of theirs; a way from the root is one alone.
        let twin = node(world, &world.root, "record", "inner").await;
        assert_eq!(records.reason("alice", "write", ("record", "inner")).await, "ambiguous_resource");
        assert_eq!(records.reason("alice", "nothing", ("record", "inner")).await, "permission_not_found");
        assert_eq!(records.reason("alice", "write", ("record", "acme/inner")).await, "granted");
        let resources = json!({"subject": {"type": "user", "id": "bob"}, "action": {"name": "read"}, "resource": {"type": "record"}});
        let long = format!("acme/box/{uuid}");
        let expected = BTreeSet::from(["record-1", "record-2", "acme/inner", "acme/box/inner", &long]);
        for limit in [1, 2, 3, 100] {
            let found = records.all(RESOURCES, &resources, limit).await;
            assert_eq!((ids(&found), found.len()), (expected.clone(), expected.len()));
        }
        for name in &expected {
            assert_eq!(records.reason("bob", "read", ("record", name)).await, "granted", "{name}");
        }
        let all = json!({"subject": {"type": "user", "id": "bob"}, "action": {"name": "record.read"}, "resource": {"type": "node"}});
        let found = records.all(RESOURCES, &all, 3).await;
        assert_eq!(found.len(), expected.len() + 2);
        assert!(ids(&found).is_superset(&BTreeSet::from(["acme", "box"])));
        assert!(found.iter().all(|one| one["type"] == "node"));
        // Moved, renamed, gone: the next answer knows.
        let at = world.get(&format!("nodes/{twin}")).await.expect(200)["version"].as_u64();
        world.patch(&format!("nodes/{twin}"), at, &json!({"slug": "other"})).await.expect(200);
        assert_eq!(records.reason("alice", "write", ("record", "inner")).await, "granted");
        assert_eq!(records.reason("alice", "write", ("record", "acme/inner")).await, "node_not_found");
        let at = world.get(&format!("nodes/{twin}")).await.expect(200)["version"].as_u64();
        let into = json!({"parent_node_id": folder});
        let moved = world.admin.request(Method::POST, &format!("{}/nodes/{twin}/move", world.env)).header("If-Match", at.unwrap()).json(&into);
        Api::send(moved).await.expect(200);
        assert_eq!(records.reason("alice", "write", ("record", "acme/box/other")).await, "granted");
        let at = world.get(&format!("nodes/{folder}")).await.expect(200)["version"].as_u64();
        world.delete(&format!("nodes/{folder}?force=true"), at).await.expect(204);
        for gone in ["other", "inner", "acme/box/other", twin.as_str()] {
            assert_eq!(records.reason("alice", "write", ("record", gone)).await, "node_not_found", "{gone}");
        }
    }

    async fn the_reason_is_the_first_that_applies_and_system_keys_are_reached_whole(server) {
        let records = Records::new(&server).await;
        let at = ("record", "record-1");
        assert_eq!(records.reason("nobody", "nothing", ("record", "nothing")).await, "identity_not_found");
        assert_eq!(records.reason("alice", "nothing", ("record", "nothing")).await, "permission_not_found");
        assert_eq!(records.reason("alice", "write", ("record", "nothing")).await, "node_not_found");
        assert_eq!(records.reason("bob", "write", at).await, "no_grant");
        // Bob's role bundles `node.read`.
        assert_eq!(records.reason("bob", "node.read", at).await, "granted");
        assert_eq!(records.reason("bob", "node.read", ("node", "record-1")).await, "granted");
        assert_eq!(records.reason("bob", "read", ("node", "record-1")).await, "permission_not_found");
        assert_eq!(records.reason("bob", "record.read", ("node", "record-1")).await, "granted");
        let actions = |kind: &str| json!({"subject": {"type": "user", "id": "bob"}, "resource": {"type": kind, "id": "record-1"}});
        let found = records.key.post(ACTIONS, &actions("record")).await.expect(200);
        assert_eq!(found["results"], json!([{"name": "node.read"}, {"name": "read"}]));
        let found = records.all(ACTIONS, &actions("node"), 1).await;
        assert_eq!(json!(found), json!([{"name": "node.read"}, {"name": "record.read"}]));
        records.world.admin.patch(&format!("{}/identities/{}/status", records.world.acc, records.bob), None, &json!({"is_active": false})).await.expect(200);
        assert_eq!(records.reason("bob", "node.read", at).await, "identity_inactive");
        assert_eq!(records.reason("bob", "read", ("record", "nothing")).await, "identity_inactive");
    }

    async fn a_key_learns_only_what_its_scopes_allow(server) {
        let records = Records::new(&server).await;
        let world = &records.world;
        let reader = world.key(&["record.read"]).await;
        let asked = |action: &str| question("alice", action, ("record", "record-1"));
        assert_eq!(reader.post(EVALUATION, &asked("read")).await.expect(200)["decision"], true);
        for action in ["write", "node.read", "nothing"] {
            let answer = reader.post(EVALUATION, &asked(action)).await.expect(200);
            assert_eq!(answer, json!({"decision": false, "context": {"reason": "scope_missing"}}));
        }
        let mixed = json!({"subject": {"type": "user", "id": "alice"}, "resource": {"type": "record", "id": "record-1"},
            "evaluations": [{"action": {"name": "read"}}, {"action": {"name": "write"}}]});
        let body = reader.post(EVALUATIONS, &mixed).await.expect(200);
        assert_eq!(reasons(&body), ["granted", "scope_missing"]);
        let subjects = |action: &str| json!({"subject": {"type": "user"}, "action": {"name": action}, "resource": {"type": "record", "id": "record-1"}});
        let resources = |action: &str| json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": action}, "resource": {"type": "record"}});
        let count = |found: Value| found["results"].as_array().unwrap().len();
        for (action, found) in [("read", 2), ("write", 0)] {
            assert_eq!(count(reader.post(SUBJECTS, &subjects(action)).await.expect(200)), found);
            assert_eq!(count(reader.post(RESOURCES, &resources(action)).await.expect(200)), found);
        }
        let actions = json!({"subject": {"type": "user", "id": "alice"}, "resource": {"type": "record", "id": "record-1"}});
        assert_eq!(reader.post(ACTIONS, &actions).await.expect(200)["results"], json!([{"name": "read"}]));
        let all = world.key(&["access.evaluate"]).await;
        assert_eq!(all.post(EVALUATION, &asked("write")).await.expect(200)["decision"], true);
        let (gone, made) = world.made_key(&[]).await;
        assert_eq!(gone.post(EVALUATION, &asked("write")).await.status, 200);
        world.delete(&format!("api-keys/{}", made["id"].as_str().unwrap()), None).await.expect(204);
        gone.post(EVALUATION, &asked("write")).await.refused(401, "auth.invalid_api_key");
        let without = world.key(&["role.read"]).await;
        let bearer = server.admin_in(world.account, world.environment("development").await);
        for (path, body) in [(EVALUATION, asked("read")), (EVALUATIONS, mixed), (SUBJECTS, subjects("read")), (RESOURCES, resources("read")), (ACTIONS, actions)] {
            without.post(path, &body).await.refused(403, "auth.scope_missing");
            assert_eq!(bearer.post(path, &body).await.status, 200, "{path}");
            world.admin.post(path, &body).await.refused(401, "auth.invalid_token");
            server.anonymous().post(path, &body).await.refused(401, "auth.invalid_token");
        }
        // Another environment has neither the node nor the catalog.
        let production = server.admin_in(world.account, world.environment("production").await);
        let answer = production.post(EVALUATION, &asked("read")).await.expect(200);
        assert_eq!(answer["context"]["reason"], "permission_not_found");
    }

    async fn a_token_of_a_search_is_good_for_that_search_alone(server) {
        let records = Records::new(&server).await;
        let key = &records.key;
        let search = |action: &str, page: Value| json!({"subject": {"type": "user"}, "action": {"name": action},
            "resource": {"type": "record", "id": "record-1"}, "page": page});
        let first = key.post(SUBJECTS, &search("read", json!({"limit": 1}))).await.expect(200);
        let token = text(&first["page"]["next_token"]);
        // The rest may be asked for at once: how many does not matter.
        let rest = key.post(SUBJECTS, &search("read", json!({"token": token}))).await.expect(200);
        assert_eq!((rest["page"]["next_token"].as_str(), rest["page"]["count"].as_u64()), (Some(""), Some(1)));
        assert_ne!(rest["results"], first["results"]);
        let mut changed = token.clone();
        let other = if token.as_bytes()[4] == b'A' { "B" } else { "A" };
        changed.replace_range(4..5, other);
        let production = server.admin_in(records.world.account, records.world.environment("production").await);
        for (api, action, token) in [(key, "write", &token), (key, "read", &changed), (&production, "read", &token)] {
            let answer = api.post(SUBJECTS, &search(action, json!({"token": token}))).await;
            answer.refused(400, "request.validation_failed");
            assert_eq!(answer.body["error"]["details"]["fields"][0]["path"], "/page/token");
        }
        for page in [json!({"token": 7}), json!({"limit": -1}), json!({"limit": "1"}), json!([]), json!({"token": "*"})] {
            key.post(SUBJECTS, &search("read", page)).await.refused(400, "request.validation_failed");
        }
        // Who asks for none is told that there are some.
        let none = key.post(SUBJECTS, &search("read", json!({"limit": 0}))).await.expect(200);
        assert_eq!(none["results"], json!([]));
        let again = search("read", json!({"limit": 5000, "token": none["page"]["next_token"]}));
        assert_eq!(key.post(SUBJECTS, &again).await.expect(200)["page"], json!({"next_token": "", "count": 2}));
        let none = search("nothing", json!({"limit": 0, "token": ""}));
        assert_eq!(key.post(SUBJECTS, &none).await.expect(200)["page"], json!({"next_token": "", "count": 0}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_find_the_calls_without_a_credential() {
    let server = TestServer::on_memory();
    let answer = server.anonymous().get("/.well-known/authzen-configuration").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let base = server.base();
    let expected = json!({
        "policy_decision_point": base,
        "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
        "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
        "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
        "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
        "search_action_endpoint": format!("{base}/access/v1/search/action"),
    });
    assert_eq!(answer.expect(200), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_ten_thousand_questions() {
    let server = TestServer::on_memory();
    let records = Records::new(&server).await;
    let items: Vec<Value> = (0..10_000)
        .map(|number| match number % 3 {
            0 => json!({"subject": {"id": "alice"}}),
            1 => json!({"subject": {"id": format!("nobody-{number}")}}),
            _ => json!({"subject": {"id": "bob@acme.example"}, "resource": {"id": "acme/record-2"}}),
        })
        .collect();
    let body = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
        "evaluations": items});
    let body = records.key.post(EVALUATIONS, &body).await.expect(200);
    let expected: Vec<bool> = (0..10_000).map(|number| number % 3 != 1).collect();
    assert_eq!(decisions(&body), expected);
}
