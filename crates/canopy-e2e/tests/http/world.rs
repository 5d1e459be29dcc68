//! A small customer, made by requests alone.

use canopy_testkit::server::{Answer, Api, TestServer};
use serde_json::{Value, json};
use uuid::Uuid;

/// An id that names nothing.
pub const NOBODY: &str = "00000000-0000-7000-8000-00000000dead";

/// One account with an environment, and an admin's client.
pub struct World {
    pub account: Uuid,
    pub admin: Api,
    /// `ACC`, `APP` and `ENV` of the contract.
    pub acc: String,
    pub app: String,
    pub env: String,
    pub root: String,
}

impl World {
    pub async fn new(server: &TestServer, slug: &str) -> Self {
        let new = json!({"name": slug, "slug": slug});
        let account = server.operator().post("/portal/v1/accounts", &new).await.expect(201);
        let account: Uuid = account["id"].as_str().unwrap().parse().unwrap();
        let acc = format!("/portal/v1/accounts/{slug}");
        let app = format!("{acc}/applications/default");
        let env = format!("{app}/environments/development");
        let admin = server.admin(account);
        let tree = admin.get(&format!("{env}/nodes")).await.expect(200);
        let root = tree["tree"][0]["id"].as_str().unwrap().to_owned();
        Self {
            account,
            admin,
            acc,
            app,
            env,
            root,
        }
    }

    /// The same customer in another environment of the same application, made here.
    pub async fn sibling(&self, slug: &str) -> Self {
        let new = json!({"name": slug, "slug": slug});
        self.admin
            .post(&format!("{}/environments", self.app), &new)
            .await
            .expect(201);
        self.within(self.app.clone(), slug).await
    }

    /// The same customer in another application, made here.
    pub async fn cousin(&self, slug: &str) -> Self {
        let new = json!({"name": slug, "slug": slug});
        self.admin
            .post(&format!("{}/applications", self.acc), &new)
            .await
            .expect(201);
        self.within(format!("{}/applications/{slug}", self.acc), "development")
            .await
    }

    async fn within(&self, app: String, environment: &str) -> Self {
        let env = format!("{app}/environments/{environment}");
        let tree = self.admin.get(&format!("{env}/nodes")).await.expect(200);
        let root = tree["tree"][0]["id"].as_str().unwrap().to_owned();
        let (admin, acc) = (self.admin.clone(), self.acc.clone());
        Self {
            account: self.account,
            admin,
            acc,
            app,
            env,
            root,
        }
    }

    /// Permissions `note.read` and `note.write`, role `Viewer` with the first and `Editor` with both; their ids.
    pub async fn bootstrap(&self) -> (String, String) {
        let body = json!({
            "resources": [{"name": "note", "actions": ["read", "write"]}],
            "roles": [
                {"name": "Viewer", "permission_keys": ["note.read"]},
                {"name": "Editor", "permission_keys": ["note.read", "note.write"]},
            ],
        });
        let made = self.post("setup/access-bootstrap", &body).await.expect(201);
        let expected =
            json!({"permissions_created": 2, "roles_created": 2, "skipped_permissions": 0, "skipped_roles": 0});
        assert_eq!(made, expected);
        (self.role("Viewer").await, self.role("Editor").await)
    }

    pub async fn role(&self, name: &str) -> String {
        let roles = self.get("roles").await.expect(200);
        let role = roles["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|role| role["name"] == name)
            .unwrap()
            .clone();
        role["id"].as_str().unwrap().to_owned()
    }

    /// New active members of the application; their ids.
    pub async fn members(&self, prefix: &str, number: usize) -> Vec<String> {
        let people: Vec<Value> = (0..number)
            .map(|n| json!({"email": format!("{prefix}{n}@example.com"), "first_name": prefix, "last_name": n.to_string()}))
            .collect();
        let made = self
            .admin
            .post(
                &format!("{}/identities/bulk-create", self.acc),
                &json!({"identities": people}),
            )
            .await;
        let ids = ids_of(&made.expect(200));
        let attach = format!("{}/app-memberships/bulk-attach", self.app);
        let attached = self
            .admin
            .post(&attach, &json!({ "identity_ids": ids }))
            .await
            .expect(200);
        assert_eq!(attached["summary"]["succeeded"], number);
        ids
    }

    /// The id of the environment with this slug.
    pub async fn environment(&self, slug: &str) -> Uuid {
        let found = self
            .admin
            .get(&format!("{}/environments/{slug}", self.app))
            .await
            .expect(200);
        found["id"].as_str().unwrap().parse().unwrap()
    }

    /// A client with a new key of `development`: with full access, or with scopes.
    pub async fn key(&self, scopes: &[&str]) -> Api {
        self.made_key(scopes).await.0
    }

    /// A client with a new key of `development`, and the key as it was answered.
    pub async fn made_key(&self, scopes: &[&str]) -> (Api, Value) {
        let made = self.post("api-keys", &key_body(scopes)).await.expect(201);
        (self.admin.with_api_key(made["key"].as_str().unwrap()), made)
    }

    pub async fn get(&self, tail: &str) -> Answer {
        self.admin.get(&format!("{}/{tail}", self.env)).await
    }

    pub async fn post(&self, tail: &str, body: &Value) -> Answer {
        self.admin.post(&format!("{}/{tail}", self.env), body).await
    }

    pub async fn patch(&self, tail: &str, version: Option<u64>, body: &Value) -> Answer {
        self.admin.patch(&format!("{}/{tail}", self.env), version, body).await
    }

    pub async fn delete(&self, tail: &str, version: Option<u64>) -> Answer {
        let mut request = self
            .admin
            .request(reqwest::Method::DELETE, &format!("{}/{tail}", self.env));
        if let Some(version) = version {
            request = request.header("If-Match", format!("\"{version}\""));
        }
        canopy_testkit::server::Api::send(request).await
    }

    /// Returns true if an identity has the permission at the root.
    pub async fn may(&self, identity: &str, permission: &str) -> bool {
        let question =
            json!({"identity_id": identity, "permission": permission, "scope": "node", "node_id": self.root});
        self.post("permissions/evaluate", &question).await.expect(200)["allowed"]
            .as_bool()
            .unwrap()
    }

    pub fn item(&self, identity: &str, role: &str) -> Value {
        json!({"identity_id": identity, "node_id": self.root, "role_id": role})
    }

    /// The number of assignments, active or not.
    pub async fn assignments(&self) -> u64 {
        let page = self.get("assignments/app-wide?take=1").await.expect(200);
        page["pagination"]["item_count"].as_u64().unwrap()
    }
}

/// A key to make.
pub fn key_body(scopes: &[&str]) -> Value {
    if scopes.is_empty() {
        json!({"name": "Backend", "access_mode": "full_access"})
    } else {
        json!({"name": "Backend", "access_mode": "scoped", "scopes": scopes})
    }
}

/// The ids of the things that a bulk call made, all of which it must have made.
pub fn ids_of(bulk: &Value) -> Vec<String> {
    let results = bulk["results"].as_array().unwrap();
    results
        .iter()
        .map(|result| result["data"]["id"].as_str().expect("made").to_owned())
        .collect()
}
