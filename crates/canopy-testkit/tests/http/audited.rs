//! Every call that changes something leaves exactly one audit event.
//!
//! A new call that writes needs a row in [`perform`]; the test says which one is missing.

use crate::world::World;
use canopy_http::openapi;
use canopy_testkit::server::{Answer, TestServer};
use serde_json::{Value, json};

/// Calls that are no reads by their method, but change nothing.
const ASKING: [&str; 1] = ["evaluate"];

/// A customer with one of everything.
struct Company {
    world: World,
    application: String,
    /// A role that the member holds, and another one.
    role: String,
    other_role: String,
    /// A member of the application, and somebody who is none.
    member: String,
    stranger: String,
    /// What the member holds.
    assignment: String,
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
        let schema = json!({ "node_types": ["root", "team"], "allowed_children": { "root": ["team"] } });
        let path = format!("{env}/hierarchy-schema");
        world.admin.patch(&path, Some(2), &whole(&schema, 3)).await.expect(200);
        let (role, other_role) = world.bootstrap().await;
        let new = json!({
            "email": "ada@x.org", "first_name": "Ada", "last_name": "L", "application_id": application,
        });
        let member = id(&world.admin.post(&format!("{acc}/identities"), &new).await.expect(201));
        let new = json!({ "email": "bob@x.org", "first_name": "Bob", "last_name": "M" });
        let stranger = id(&world.admin.post(&format!("{acc}/identities"), &new).await.expect(201));
        let held = world.item(&member, &role);
        let assignment = id(&world.post("assignments", &held).await.expect(201));
        Self {
            world,
            application,
            role,
            other_role,
            member,
            stranger,
            assignment,
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
}

/// The schema with the rest of what it must have.
fn whole(schema: &Value, max_depth: u32) -> Value {
    let mut schema = schema.clone();
    schema["max_depth"] = max_depth.into();
    schema["root_node_type"] = "root".into();
    schema
}

/// Makes one call that changes something: the action it is audited as, and its answer. `None` for a call without a row.
async fn perform(server: &TestServer, company: &Company, operation: &str) -> Option<(&'static str, Answer)> {
    let World {
        acc,
        app,
        env,
        root,
        admin,
        ..
    } = &company.world;
    let new = |email: &str| json!({ "email": email, "first_name": "A", "last_name": "B" });
    let (assignment, role) = (&company.assignment, &company.role);
    Some(match operation {
        "createAccount" => {
            let body = json!({ "name": "New", "slug": "new" });
            (
                "account.create",
                server.operator().post("/portal/v1/accounts", &body).await,
            )
        }
        "createApplication" => (
            "application.create",
            company
                .post(&format!("{acc}/applications"), &json!({ "name": "Notes" }))
                .await,
        ),
        "createEnvironment" => (
            "environment.create",
            company
                .post(&format!("{app}/environments"), &json!({ "name": "Staging" }))
                .await,
        ),
        "changeAccessModel" => {
            // The environment is one that is still flat.
            let path = format!("{app}/environments/production/access-model");
            let answer = admin.put(&path, &json!({ "model": "hierarchy" })).await;
            ("environment.change_access_model", answer)
        }
        "bootstrapAccess" => {
            let bare = format!("{app}/environments/production/setup/access-bootstrap");
            let body = json!({ "resources": [{ "name": "a", "actions": ["b"] }], "roles": [] });
            ("setup.bootstrap", company.post(&bare, &body).await)
        }
        "addResourcePermissions" => {
            let body = json!({
                "resources": [{ "name": "page", "actions": ["read"] }],
                "role_permissions": [{ "role_id": role, "permission_keys": ["page.read"] }],
            });
            let answer = company.post(&format!("{env}/setup/resource-permissions"), &body).await;
            ("setup.resource_permissions", answer)
        }
        "createPermissions" => {
            let body = json!({ "permissions": [{ "key": "note.share" }, { "key": "note.list" }] });
            (
                "permission.create",
                company.post(&format!("{env}/permissions"), &body).await,
            )
        }
        "createRole" => (
            "role.create",
            company.post(&format!("{env}/roles"), &json!({ "name": "Clerk" })).await,
        ),
        "replaceRolePermissions" => {
            let path = format!("{env}/roles/{role}/permissions");
            let answer = admin.put(&path, &json!({ "permission_keys": ["note.write"] })).await;
            ("role.replace_permissions", answer)
        }
        "changeHierarchySchema" => {
            let schema = json!({ "node_types": ["root", "team"], "allowed_children": { "root": ["team"] } });
            let path = format!("{env}/hierarchy-schema");
            (
                "hierarchy_schema.change",
                admin.patch(&path, Some(3), &whole(&schema, 5)).await,
            )
        }
        "createNode" => {
            let body = json!({ "parent_node_id": root, "node_type": "team", "name": "Berlin" });
            ("node.create", company.post(&format!("{env}/nodes"), &body).await)
        }
        "bulkCreateNodes" => {
            let node = |name: &str| json!({ "parent_node_id": root, "node_type": "team", "name": name });
            let body = json!({ "nodes": [node("Berlin"), node("Bonn")] });
            (
                "node.create",
                company.post(&format!("{env}/nodes/bulk-create"), &body).await,
            )
        }
        "createIdentity" => (
            "identity.create",
            company.post(&format!("{acc}/identities"), &new("c@x.org")).await,
        ),
        "bulkCreateIdentities" => {
            let body = json!({ "identities": [new("c@x.org"), new("d@x.org")] });
            (
                "identity.create",
                company.post(&format!("{acc}/identities/bulk-create"), &body).await,
            )
        }
        "attachIdentity" => {
            let path = format!("{acc}/identities/{}/app-memberships", company.stranger);
            let body = json!({ "application_id": company.application });
            ("membership.attach", company.post(&path, &body).await)
        }
        "bulkAttachIdentities" => {
            let body = json!({ "identity_ids": [company.stranger] });
            (
                "membership.attach",
                company.post(&format!("{app}/app-memberships/bulk-attach"), &body).await,
            )
        }
        "createAssignment" => {
            let body = company.item(&company.other_role);
            (
                "assignment.create",
                company.post(&format!("{env}/assignments"), &body).await,
            )
        }
        "bulkCreateAssignments" => {
            let body = json!({ "assignments": [company.item(&company.other_role)] });
            (
                "assignment.create",
                company.post(&format!("{env}/assignments/bulk-create"), &body).await,
            )
        }
        "changeAssignment" => {
            let body = json!({ "role_id": role, "effective_to": "2099-01-01T00:00:00Z" });
            let path = format!("{env}/assignments/{assignment}");
            ("assignment.change", admin.patch(&path, None, &body).await)
        }
        "removeAssignment" => (
            "assignment.remove",
            admin.delete(&format!("{env}/assignments/{assignment}")).await,
        ),
        "bulkRemoveAssignments" => {
            let body = json!({ "assignment_ids": [assignment] });
            (
                "assignment.bulk_remove",
                company.post(&format!("{env}/assignments/bulk-remove"), &body).await,
            )
        }
        "bulkChangeRole" => {
            let body = json!({ "assignment_ids": [assignment], "role_id": company.other_role });
            let answer = company
                .post(&format!("{env}/assignments/bulk-change-role"), &body)
                .await;
            ("assignment.bulk_change_role", answer)
        }
        _ => return None,
    })
}

/// The names of the calls that are no reads, each once although it may be served on two surfaces.
fn writing_operations() -> Vec<String> {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let portal = paths.iter().filter(|(path, _)| path.starts_with("/portal/v1"));
    let methods = portal.flat_map(|(_, item)| item.as_object().unwrap());
    let writing = methods.filter(|(method, _)| ["post", "put", "patch", "delete"].contains(&method.as_str()));
    let names = writing.map(|(_, operation)| operation["operationId"].as_str().unwrap().to_owned());
    names.filter(|name| !ASKING.contains(&name.as_str())).collect()
}

on_every_store! {
    async fn every_change_leaves_one_event_that_says_who_did_what(server) {
        let operations = writing_operations();
        assert!(operations.len() >= 22);
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
            // What happens in an environment takes a revision there.
            assert_eq!(event["environment_id"].is_null(), event["revision"].is_null(), "{operation}: {event}");
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
