//! Every call that changes something leaves exactly one audit event.
//!
//! A new call that writes needs a row in [`perform`]; the test says which one is missing.

mod perform;

use crate::world::{World, key_body};
use canopy_http::openapi;
use canopy_testkit::server::{Answer, TestServer};
use perform::perform;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Calls that are no reads by their method, but change nothing.
const ASKING: [&str; 9] = [
    "evaluate",
    "evaluateAccess",
    "evaluateAccesses",
    "evaluateMany",
    "evaluateMyself",
    "explain",
    "searchActions",
    "searchResources",
    "searchSubjects",
];

/// A customer with one of everything.
struct Company {
    world: World,
    application: String,
    /// A role that the member holds, and another one.
    role: String,
    other_role: String,
    /// A member of the application, one whose membership is suspended, and somebody who is none.
    member: String,
    suspended: String,
    stranger: String,
    /// The role of the member at the root.
    assignment: String,
    /// A node below the root, where the member holds the role too, and one below that.
    team: String,
    squad: String,
    api_key: String,
}

fn id(body: &Value) -> String {
    body["id"].as_str().unwrap().to_owned()
}

impl Company {
    async fn new(server: &TestServer, slug: &str) -> Self {
        let world = World::new(server, slug).await;
        let (acc, env) = (&world.acc, &world.env);
        let application = id(&world.admin.get(&world.app).await.expect(200));
        let model = json!({ "model": "hierarchy" });
        world
            .admin
            .put(&format!("{env}/access-model"), &model)
            .await
            .expect(200);
        let path = format!("{env}/hierarchy-schema");
        world.admin.patch(&path, Some(2), &schema(3)).await.expect(200);
        let (role, other_role) = world.bootstrap().await;
        let node = |parent: &str, name: &str| json!({ "parent_node_id": parent, "node_type": "team", "name": name });
        let team = id(&world.post("nodes", &node(&world.root, "Team")).await.expect(201));
        let squad = id(&world.post("nodes", &node(&team, "Squad")).await.expect(201));
        let [member, suspended]: [String; 2] = world.members("ada", 2).await.try_into().unwrap();
        let path = format!("{}/identities/{suspended}/suspend", world.app);
        world.admin.post(&path, &Value::Null).await.expect(200);
        let new = json!({ "email": "bob@x.org", "first_name": "Bob", "last_name": "M" });
        let stranger = id(&world.admin.post(&format!("{acc}/identities"), &new).await.expect(201));
        let held = world.item(&member, &role);
        let assignment = id(&world.post("assignments", &held).await.expect(201));
        let held = json!({ "identity_id": member, "role_id": role, "node_id": team });
        world.post("assignments", &held).await.expect(201);
        let api_key = id(&world.post("api-keys", &key_body(&[])).await.expect(201));
        // The only application of an account cannot be deleted.
        world.cousin("second").await;
        Self {
            world,
            application,
            role,
            other_role,
            member,
            suspended,
            stranger,
            assignment,
            team,
            squad,
            api_key,
        }
    }

    fn item(&self, role: &str) -> Value {
        self.world.item(&self.member, role)
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.world.admin.post(path, body).await
    }

    /// All events of the account, newest first.
    async fn events(&self) -> Vec<Value> {
        let log = self
            .world
            .admin
            .get(&format!("{}/audit-log?limit=200", self.world.acc))
            .await;
        log.expect(200)["items"].as_array().unwrap().clone()
    }

    /// All details of the newest event, read in pages of `limit`.
    async fn details(&self, limit: usize) -> Vec<Value> {
        let path = format!(
            "{}/audit-log/{}/details?limit={limit}",
            self.world.acc,
            id(&self.events().await[0])
        );
        let (mut all, mut next) = (Vec::new(), path.clone());
        loop {
            let page = self.world.admin.get(&next).await.expect(200);
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit, "{} of {limit}", items.len());
            all.extend(items.iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                return all;
            };
            assert!(!items.is_empty(), "a page that goes on has entries");
            next = format!("{path}&cursor={cursor}");
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The slug path of the squad.
async fn squad_path(world: &World) -> String {
    let root = world.get(&format!("nodes/{}", world.root)).await.expect(200);
    format!("{}/team/squad", text(&root["slug"]))
}

/// Teams below the root and below teams.
fn schema(max_depth: u32) -> Value {
    json!({
        "node_types": ["root", "team"],
        "allowed_children": { "root": ["team"], "team": ["team"] },
        "max_depth": max_depth,
        "root_node_type": "root",
    })
}

/// The names of the calls that are no reads, each once although it may be served on two surfaces.
fn writing_operations() -> BTreeSet<String> {
    let document = serde_json::to_value(openapi()).unwrap();
    let methods = document["paths"].as_object().unwrap().values();
    let methods = methods.flat_map(|item| item.as_object().unwrap());
    let writing = methods.filter(|(method, _)| ["post", "put", "patch", "delete"].contains(&method.as_str()));
    let names = writing.map(|(_, operation)| on_either_surface(operation["operationId"].as_str().unwrap()));
    names.filter(|name| !ASKING.contains(&name.as_str())).collect()
}

/// `createRole` for `publicCreateRole`.
fn on_either_surface(name: &str) -> String {
    let public = name.strip_prefix("public").map(str::chars);
    let renamed = public.and_then(|mut rest| Some(rest.next()?.to_lowercase().chain(rest).collect()));
    renamed.unwrap_or_else(|| name.to_owned())
}

on_every_store! {
    async fn every_change_leaves_one_event_that_says_who_did_what(server) {
        let operations = writing_operations();
        assert!(operations.len() >= 50);
        for (number, operation) in operations.iter().enumerate() {
            let company = Company::new(&server, &format!("acme-{number}")).await;
            let before = company.events().await;
            let Some((action, answer)) = perform(&server, &company, operation).await else {
                panic!("`{operation}` writes, but has no row in `perform`");
            };
            assert!((200..300).contains(&answer.status), "{operation}: {}", answer.body);
            let after = company.events().await;
            let (event, actor, kind) = if operation == "createAccount" {
                // It is the first event of the account that it makes.
                assert_eq!(after, before);
                let log = server.operator().get("/portal/v1/accounts/new/audit-log").await.expect(200);
                assert_eq!(log["items"].as_array().unwrap().len(), 1);
                (log["items"][0].clone(), "operator", "operator")
            } else {
                assert_eq!(after.len(), before.len() + 1, "{operation}");
                assert_eq!(after[1..], before, "{operation}");
                (after[0].clone(), "admin", "admin")
            };
            assert_eq!(event["action"], action, "{operation}");
            assert_eq!(event["outcome"], "success");
            assert_eq!((event["actor_id"].as_str(), event["actor_type"].as_str()), (Some(actor), Some(kind)));
            assert_eq!(event["correlation_id"].as_str(), answer.header("x-request-id"), "{operation}");
            // What happens in an environment takes a revision there, unless it goes with all of its revisions.
            let is_there = !event["environment_id"].is_null() && operation != "deleteEnvironment";
            assert_eq!(is_there, !event["revision"].is_null(), "{operation}: {event}");
            for member in ["resource_type", "resource_id"] {
                assert_ne!(event[member].as_str().unwrap(), "", "{operation}: {event}");
            }
            assert!(event["metadata"].is_object(), "{operation}: {event}");
        }
    }

    async fn what_is_refused_by_a_rule_or_only_tried_leaves_none(server) {
        let company = Company::new(&server, "acme").await;
        let env = &company.world.env;
        let before = company.events().await;
        let taken = company.post(&format!("{env}/roles"), &json!({ "name": "VIEWER" })).await;
        taken.refused(409, "rbac.role_name_taken");
        let bulk = format!("{env}/assignments/bulk-create");
        let (good, bad) = (company.item(&company.other_role), company.item(&company.role));
        let dry = json!({ "assignments": [good], "dry_run": true });
        company.post(&bulk, &dry).await.expect(200);
        company.post(&bulk, &json!({ "assignments": [good, bad] })).await.expect(207);
        company.post(&format!("{env}/revert-to-flat?dry_run=true"), &Value::Null).await.expect(200);
        let mut document = company.world.get("export").await.expect(200);
        company.post(&format!("{env}/import"), &document).await.expect(200);
        document["permissions"] = json!([]);
        document["roles"] = json!([]);
        company.post(&format!("{env}/import?dry_run=true"), &document).await.expect(200);
        // What is as it is asked to be.
        company.post(&format!("{}/identities/{}/activate", company.world.app, company.member), &Value::Null).await.expect(200);
        for (path, version) in [(&company.world.acc, Some(1)), (&company.world.app, Some(1)), (env, None),
                                (&format!("{env}/roles/{}", company.role), Some(1)), (&format!("{env}/nodes/{}", company.team), Some(1))] {
            company.world.admin.patch(path, version, &json!({})).await.expect(200);
        }
        assert_eq!(company.events().await, before);
        // Half of a batch that need not be atomic is one call, and one event.
        let half = json!({ "assignments": [good, bad], "atomic": false });
        company.post(&bulk, &half).await.expect(207);
        assert_eq!(company.events().await.len(), before.len() + 1);
    }

    async fn changes_say_what_was_before_and_after(server) {
        let company = Company::new(&server, "acme").await;
        perform(&server, &company, "changeAssignment").await.unwrap().1.expect(200);
        let event = &company.events().await[0];
        assert_eq!(event["metadata"]["before"]["effective_to"], Value::Null);
        assert_eq!(event["metadata"]["after"]["effective_to"], "2099-01-01T00:00:00.000Z");
        assert_eq!(event["metadata"]["assignment_ids"], json!([company.assignment]));
    }

    /// Fault 14: the log alone says who got or lost which role at which node, complete and in bounded pages.
    async fn details_name_everybody_whom_a_large_call_touched(server) {
        let company = Company::new(&server, "acme").await;
        let world = &company.world;
        let people = world.members("p", 250).await;
        let items: Vec<Value> = people
            .iter()
            .map(|identity| json!({ "identity_id": identity, "role_id": company.role, "node_id": company.squad }))
            .collect();
        let made = world.post("assignments/bulk-create", &json!({ "assignments": items })).await.expect(200);
        let mut ids = crate::world::ids_of(&made);
        let name = |number: usize| format!("p {number}");
        let node = json!({ "id": company.squad, "path": squad_path(world).await });
        let viewer = json!({ "id": company.role, "name": "Viewer" });
        let editor = json!({ "id": company.other_role, "name": "Editor" });
        let granted = company.details(7).await;
        assert_eq!(granted.len(), 250);
        for (number, one) in granted.iter().enumerate() {
            assert_eq!(one["assignment_id"], json!(ids[number]));
            assert_eq!(one["identity"], json!({ "id": people[number], "name": name(number) }));
            assert_eq!((&one["role"], &one["node"], &one["change"]), (&viewer, &node, &json!("granted")));
            assert!(one["effective_from"].is_string() && one["effective_to"].is_null(), "{one}");
        }
        let event = &company.events().await[0];
        assert_eq!(event["metadata"]["details_count"], 250);
        assert_eq!(event["metadata"]["details_complete"], false);
        assert_eq!(event["metadata"]["details"].as_array().unwrap().len(), 100);
        assert_eq!(event["metadata"]["assignment_ids"].as_array().unwrap().len(), 100);

        let body = json!({ "assignment_ids": ids, "role_id": company.other_role });
        world.post("assignments/bulk-change-role", &body).await.expect(200);
        let changed = company.details(200).await;
        assert_eq!(changed.len(), 250);
        for one in &changed {
            assert_eq!((&one["role"], &one["change"]), (&editor, &json!("changed")));
            assert_eq!((&one["before"]["role"], &one["before"]["node"]), (&viewer, &node));
        }

        // The names outlive whom they name.
        let last = ids.pop().unwrap();
        world.post("assignments/bulk-remove", &json!({ "assignment_ids": ids })).await.expect(204);
        assert_eq!(company.details(100).await.len(), 249);
        let path = format!("{}/identities/{}", world.acc, people[249]);
        world.admin.delete(&path).await.expect(204);
        let gone = company.details(50).await;
        assert_eq!(gone.len(), 1);
        assert_eq!((&gone[0]["assignment_id"], &gone[0]["change"]), (&json!(last), &json!("revoked")));
        assert_eq!(gone[0]["identity"], json!({ "id": people[249], "name": name(249) }));
        assert_eq!((&gone[0]["role"], &gone[0]["node"]), (&editor, &node));
    }

    async fn details_name_every_key_that_a_role_gained_or_lost(server) {
        let company = Company::new(&server, "acme").await;
        let world = &company.world;
        let actions: Vec<String> = (0..450).map(|number| format!("a{number:03}")).collect();
        let keys: Vec<String> = actions.iter().map(|action| format!("page.{action}")).collect();
        let wanted = |change: &str, keys: &[String]| {
            keys.iter().map(|key| (key.clone(), change.to_owned())).collect::<BTreeSet<_>>()
        };
        let told = |details: &[Value], role: &Value| {
            let of = details.iter().filter(|one| one["role"] == *role);
            let pair = |one: &Value| (text(&one["key"]), text(&one["change"]));
            of.map(pair).collect::<BTreeSet<_>>()
        };
        let body = json!({
            "resources": [{ "name": "page", "actions": actions }],
            "role_permissions": [{ "role_id": company.role, "permission_keys": keys }],
        });
        world.post("setup/resource-permissions", &body).await.expect(201);
        let viewer = json!({ "id": company.role, "name": "Viewer" });
        let details = company.details(170).await;
        assert_eq!(details.len(), 900, "each key in the catalog and in the role");
        assert_eq!(told(&details, &Value::Null), wanted("added", &keys));
        assert_eq!(told(&details, &viewer), wanted("added", &keys));

        let path = format!("{}/roles/{}/permissions", world.env, company.role);
        world.admin.put(&path, &json!({ "permission_keys": keys[..150] })).await.expect(200);
        let mut lost = keys[150..].to_vec();
        lost.push("note.read".to_owned());
        assert_eq!(told(&company.details(33).await, &viewer), wanted("removed", &lost));

        let path = format!("roles/{}?force=true", company.role);
        let version = world.get(&format!("roles/{}", company.role)).await.header("etag").unwrap().trim_matches('"').parse().ok();
        world.delete(&path, version).await.expect(204);
        let details = company.details(200).await;
        let revoked = details.iter().filter(|one| one["change"] == "revoked").count();
        assert_eq!((revoked, details.len()), (2, 152));
    }

    async fn refused_attempts_come_into_the_log_of_the_actor_a_moment_later(server) {
        let (acme, zeta) = (World::new(&server, "acme").await, World::new(&server, "zeta").await);
        zeta.admin.get(&acme.acc).await.refused(404, "accounts.account_not_found");
        zeta.admin.post("/portal/v1/accounts", &json!({ "name": "X" })).await.refused(403, "auth.wrong_principal_type");
        let denied = async |world: &World| {
            let log = world.admin.get(&format!("{}/audit-log?outcome=denied", world.acc)).await.expect(200);
            let items = log["items"].as_array().unwrap();
            items.iter().map(|event| event["resource_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        while denied(&zeta).await.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(denied(&zeta).await, ["createAccount", "getAccount"]);
        assert_eq!(denied(&acme).await, [""; 0]);
    }
}
