//! One call of each operation that changes something.

use super::{Company, schema};
use crate::world::{World, key_body};
use canopy_testkit::server::{Answer, Api, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

/// The action that a call is audited as, and its answer.
type Performed = (&'static str, Answer);

/// Makes one call that changes something. `None` for a call without a row.
pub async fn perform(server: &TestServer, company: &Company, operation: &str) -> Option<Performed> {
    if let Some(performed) = tenancy(server, company, operation).await {
        return Some(performed);
    }
    if let Some(performed) = whole_environment(company, operation).await {
        return Some(performed);
    }
    if let Some(performed) = catalog(company, operation).await {
        return Some(performed);
    }
    if let Some(performed) = nodes(company, operation).await {
        return Some(performed);
    }
    if let Some(performed) = identities(company, operation).await {
        return Some(performed);
    }
    if let Some(performed) = members(company, operation).await {
        return Some(performed);
    }
    assignments(company, operation).await
}

async fn tenancy(server: &TestServer, company: &Company, operation: &str) -> Option<Performed> {
    let World {
        acc, app, env, admin, ..
    } = &company.world;
    let renamed = json!({ "name": "Renamed" });
    Some(match operation {
        "createAccount" => {
            let body = json!({ "name": "New", "slug": "new" });
            let answer = server.operator().post("/portal/v1/accounts", &body).await;
            ("account.create", answer)
        }
        "changeAccount" => ("account.change", admin.patch(acc, Some(1), &renamed).await),
        "createApplication" => {
            let body = json!({ "name": "Notes" });
            let answer = company.post(&format!("{acc}/applications"), &body).await;
            ("application.create", answer)
        }
        "changeApplication" => ("application.change", admin.patch(app, Some(1), &renamed).await),
        "changeDefaultEnvironment" => {
            let path = format!("{app}/default-environment");
            let answer = admin.put(&path, &json!({ "slug": "development" })).await;
            ("application.change_default_environment", answer)
        }
        "deleteApplication" => ("application.delete", admin.delete(app).await),
        "createEnvironment" => {
            let body = json!({ "name": "Staging", "copy_from": "development" });
            let answer = company.post(&format!("{app}/environments"), &body).await;
            ("environment.create", answer)
        }
        "changeEnvironment" => ("environment.change", admin.patch(env, None, &renamed).await),
        "deleteEnvironment" => ("environment.delete", admin.delete(env).await),
        _ => return None,
    })
}

async fn whole_environment(company: &Company, operation: &str) -> Option<Performed> {
    let World { app, admin, .. } = &company.world;
    let world = &company.world;
    Some(match operation {
        "changeAccessModel" => {
            // The environment is one that is still flat.
            let path = format!("{app}/environments/production/access-model");
            let answer = admin.put(&path, &json!({ "model": "hierarchy" })).await;
            ("environment.change_access_model", answer)
        }
        "revertToFlat" => {
            let answer = world.post("revert-to-flat", &Value::Null).await;
            ("environment.revert_to_flat", answer)
        }
        "importEnvironment" => {
            // The node, a role and a permission go, with the assignments there; another permission comes.
            let mut document = world.get("export").await.expect(200);
            document["nodes"].as_array_mut().unwrap().truncate(1);
            document["permissions"] = json!([{ "key": "note.read" }, { "key": "note.share" }]);
            document["roles"] = json!([{ "name": "Viewer", "permission_keys": ["note.share"] }]);
            ("environment.import", world.post("import", &document).await)
        }
        "bootstrapAccess" => {
            let bare = format!("{app}/environments/production/setup/access-bootstrap");
            let body = json!({ "resources": [{ "name": "a", "actions": ["b"] }], "roles": [] });
            ("setup.bootstrap", company.post(&bare, &body).await)
        }
        "addResourcePermissions" => {
            let body = json!({
                "resources": [{ "name": "page", "actions": ["read"] }],
                "role_permissions": [{ "role_id": company.role, "permission_keys": ["page.read"] }],
            });
            let answer = world.post("setup/resource-permissions", &body).await;
            ("setup.resource_permissions", answer)
        }
        "createApiKey" => ("api_key.create", world.post("api-keys", &key_body(&[])).await),
        "rotateApiKey" => {
            let path = format!("api-keys/{}/rotate", company.api_key);
            ("api_key.rotate", world.post(&path, &json!({})).await)
        }
        "revokeApiKey" => {
            let path = format!("api-keys/{}", company.api_key);
            ("api_key.revoke", world.delete(&path, None).await)
        }
        _ => return None,
    })
}

async fn catalog(company: &Company, operation: &str) -> Option<Performed> {
    let world = &company.world;
    let role = format!("roles/{}", company.role);
    Some(match operation {
        "createPermissions" => {
            let body = json!({ "permissions": [{ "key": "note.share" }, { "key": "note.list" }] });
            ("permission.create", world.post("permissions", &body).await)
        }
        "changePermission" => {
            let body = json!({ "description": "Reads" });
            let path = permission(world, "note.read").await;
            ("permission.change", world.patch(&path, Some(1), &body).await)
        }
        "deletePermission" => {
            // Two roles bundle it.
            let path = permission(world, "note.read").await + "?force=true";
            ("permission.delete", world.delete(&path, Some(1)).await)
        }
        "createRole" => ("role.create", world.post("roles", &json!({ "name": "Clerk" })).await),
        "changeRole" => {
            let body = json!({ "name": "Reader" });
            ("role.change", world.patch(&role, Some(1), &body).await)
        }
        "replaceRolePermissions" => {
            let path = format!("{}/{role}/permissions", world.env);
            let body = json!({ "permission_keys": ["note.write"] });
            ("role.replace_permissions", world.admin.put(&path, &body).await)
        }
        // Somebody has it.
        "deleteRole" => (
            "role.delete",
            world.delete(&format!("{role}?force=true"), Some(1)).await,
        ),
        _ => return None,
    })
}

/// The path of the permission with this key.
async fn permission(world: &World, key: &str) -> String {
    let listed = world.get(&format!("permissions?q={key}")).await.expect(200);
    format!("permissions/{}", super::id(&listed["items"][0]))
}

async fn nodes(company: &Company, operation: &str) -> Option<Performed> {
    let World { env, root, admin, .. } = &company.world;
    let world = &company.world;
    let node = |name: &str| json!({ "parent_node_id": root, "node_type": "team", "name": name });
    Some(match operation {
        "changeHierarchySchema" => {
            let answer = world.patch("hierarchy-schema", Some(3), &schema(5)).await;
            ("hierarchy_schema.change", answer)
        }
        "createNode" => ("node.create", world.post("nodes", &node("Berlin")).await),
        "bulkCreateNodes" => {
            let body = json!({ "nodes": [node("Berlin"), node("Bonn")] });
            ("node.create", world.post("nodes/bulk-create", &body).await)
        }
        "changeNode" => {
            let path = format!("nodes/{}", company.team);
            let body = json!({ "name": "Crew", "status": "inactive" });
            ("node.change", world.patch(&path, Some(1), &body).await)
        }
        "moveNode" => {
            let request = admin.request(Method::POST, &format!("{env}/nodes/{}/move", company.squad));
            let request = request.header("If-Match", "\"1\"");
            let request = request.json(&json!({ "parent_node_id": root }));
            ("node.move", Api::send(request).await)
        }
        "deleteNode" => {
            // There is a node below it, and an assignment at it.
            let path = format!("nodes/{}?force=true", company.team);
            ("node.remove", world.delete(&path, Some(1)).await)
        }
        _ => return None,
    })
}

fn person(email: &str) -> Value {
    json!({ "email": email, "first_name": "A", "last_name": "B" })
}

async fn identities(company: &Company, operation: &str) -> Option<Performed> {
    let World { acc, admin, .. } = &company.world;
    let path = format!("{acc}/identities");
    let member = format!("{path}/{}", company.member);
    Some(match operation {
        "createIdentity" => ("identity.create", company.post(&path, &person("c@x.org")).await),
        "bulkCreateIdentities" => {
            let body = json!({ "identities": [person("c@x.org"), person("d@x.org")] });
            let answer = company.post(&format!("{path}/bulk-create"), &body).await;
            ("identity.create", answer)
        }
        "changeIdentity" => {
            let body = json!({ "email": "ada@x.org", "is_active": false });
            ("identity.change", admin.patch(&member, None, &body).await)
        }
        "switchIdentity" => {
            let body = json!({ "is_active": false });
            let answer = admin.patch(&format!("{member}/status"), None, &body).await;
            ("identity.change", answer)
        }
        "deleteIdentity" => ("identity.delete", admin.delete(&member).await),
        _ => return None,
    })
}

async fn members(company: &Company, operation: &str) -> Option<Performed> {
    let World { acc, app, admin, .. } = &company.world;
    let path = format!("{app}/identities");
    let member = format!("{path}/{}", company.member);
    let post = async |path: String| company.post(&path, &Value::Null).await;
    Some(match operation {
        "createApplicationIdentity" => {
            let mut body = person("c@x.org");
            body["role_id"] = json!(company.role);
            body["node_id"] = json!(company.team);
            ("identity.create", company.post(&path, &body).await)
        }
        "changeApplicationIdentity" => {
            let body = json!({ "first_name": "Grace" });
            ("identity.change", admin.patch(&member, None, &body).await)
        }
        "removeApplicationIdentity" => ("membership.end", admin.delete(&member).await),
        "suspendMembership" => ("membership.suspend", post(format!("{member}/suspend")).await),
        "activateMembership" => {
            let answer = post(format!("{path}/{}/activate", company.suspended)).await;
            ("membership.activate", answer)
        }
        "deactivateMembership" => ("membership.end", post(format!("{member}/deactivate")).await),
        "attachIdentity" => {
            let path = format!("{acc}/identities/{}/app-memberships", company.stranger);
            let body = json!({ "application_id": company.application });
            ("membership.attach", company.post(&path, &body).await)
        }
        "bulkAttachIdentities" => {
            let path = format!("{app}/app-memberships/bulk-attach");
            let body = json!({ "identity_ids": [company.stranger] });
            ("membership.attach", company.post(&path, &body).await)
        }
        "detachIdentity" => {
            let (member, application) = (&company.member, &company.application);
            let path = format!("{acc}/identities/{member}/app-memberships/{application}");
            ("membership.end", admin.delete(&path).await)
        }
        _ => return None,
    })
}

async fn assignments(company: &Company, operation: &str) -> Option<Performed> {
    let world = &company.world;
    let assignment = format!("assignments/{}", company.assignment);
    let item = company.item(&company.other_role);
    Some(match operation {
        "createAssignment" => ("assignment.create", world.post("assignments", &item).await),
        "bulkCreateAssignments" => {
            let body = json!({ "assignments": [item] });
            let answer = world.post("assignments/bulk-create", &body).await;
            ("assignment.create", answer)
        }
        "changeAssignment" => {
            let body = json!({ "role_id": company.role, "effective_to": "2099-01-01T00:00:00Z" });
            ("assignment.change", world.patch(&assignment, None, &body).await)
        }
        "removeAssignment" => ("assignment.remove", world.delete(&assignment, None).await),
        "bulkRemoveAssignments" => {
            let body = json!({ "assignment_ids": [company.assignment] });
            let answer = world.post("assignments/bulk-remove", &body).await;
            ("assignment.bulk_remove", answer)
        }
        "bulkChangeRole" => {
            let body = json!({ "assignment_ids": [company.assignment], "role_id": company.other_role });
            let answer = world.post("assignments/bulk-change-role", &body).await;
            ("assignment.bulk_change_role", answer)
        }
        _ => return None,
    })
}
