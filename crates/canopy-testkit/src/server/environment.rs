//! An environment with an API key: the setup that tests of a backend need.

#![expect(clippy::indexing_slicing, reason = "test support: indexing JSON gives null")]

use super::{Api, TestServer};
use serde_json::{Value, json};
use uuid::Uuid;

/// An environment of its own account, and a client with a full-access key for it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use canopy_testkit::server::TestEnvironment;
/// use serde_json::json;
///
/// let access = TestEnvironment::start().await;
/// access.bootstrap(&json!({
///     "resources": [{ "name": "note", "actions": ["read"] }],
///     "roles": [{ "name": "Reader", "permission_keys": ["note.read"] }],
/// })).await;
/// let ada = access.identity("ada@acme.example").await;
/// access.assign(ada, "Reader").await;
///
/// let question = json!({
///     "subject": { "type": "user", "id": "ada@acme.example" },
///     "action": { "name": "note.read" },
///     "resource": { "type": "node", "id": "acme" },
/// });
/// let answer = access.api.post("/access/v1/evaluation", &question).await.expect(200);
/// assert_eq!(answer["decision"], true);
/// # });
/// ```
#[derive(Debug)]
pub struct TestEnvironment {
    /// The server. It stops with the environment.
    pub server: TestServer,
    /// A client of the public surface (`/api/v1`, `/access/v1`) with the key.
    pub api: Api,
    /// A client of the portal surface with the token of an admin of the account.
    pub admin: Api,
    /// The key, for the program under test.
    pub key: String,
    /// The path of the environment on the portal surface.
    pub portal: String,
    /// The path of its application on the portal surface.
    pub application: String,
    /// The id of the account.
    pub account: Uuid,
    /// The id of the root node.
    pub root: Uuid,
}

impl TestEnvironment {
    /// Starts a server on a new in-memory store with one environment in it.
    ///
    /// # Panics
    ///
    /// Like [`TestServer::on_memory`].
    pub async fn start() -> Self {
        Self::on(TestServer::on_memory()).await
    }

    /// Creates an account `acme` with an environment on a server, and a key for it.
    ///
    /// # Panics
    ///
    /// If the server has an account `acme` already.
    pub async fn on(server: TestServer) -> Self {
        let operator = server.operator();
        let made = operator
            .post("/portal/v1/accounts", &json!({ "name": "Acme" }))
            .await
            .expect(201);
        let account = id(&made);
        let application = "/portal/v1/accounts/acme/applications/default".to_owned();
        let portal = format!("{application}/environments/development");
        let admin = server.admin(account);
        let new = json!({ "name": "test", "access_mode": "full_access" });
        let made = admin.post(&format!("{portal}/api-keys"), &new).await.expect(201);
        let key = made["key"].as_str().expect("a key").to_owned();
        let nodes = admin.get(&format!("{portal}/nodes")).await.expect(200);
        Self {
            api: server.anonymous().with_api_key(key.clone()),
            admin,
            key,
            root: id(&nodes["tree"][0]),
            portal,
            application,
            account,
            server,
        }
    }

    /// Returns the URL of the server, for the program under test.
    pub fn base(&self) -> &str {
        self.server.base()
    }

    /// Creates permissions and roles: the body of `setup/access-bootstrap`.
    ///
    /// # Panics
    ///
    /// If the environment has some already, or the body breaks a rule.
    pub async fn bootstrap(&self, catalog: &Value) {
        let path = format!("{}/setup/access-bootstrap", self.portal);
        self.admin.post(&path, catalog).await.expect(201);
    }

    /// Creates an identity that is a member of the application, and returns its id.
    ///
    /// # Panics
    ///
    /// If the address is invalid or exists already.
    pub async fn identity(&self, email: &str) -> Uuid {
        let person = json!({ "email": email, "first_name": "Test", "last_name": "Person" });
        let path = format!("{}/identities", self.application);
        id(&self.admin.post(&path, &person).await.expect(201))
    }

    /// Assigns a role at the root, by its name.
    ///
    /// # Panics
    ///
    /// If the role does not exist, or the identity has it.
    pub async fn assign(&self, identity: Uuid, role: &str) {
        let roles = self.admin.get(&format!("{}/roles", self.portal)).await.expect(200);
        let role = roles["items"]
            .as_array()
            .and_then(|roles| roles.iter().find(|one| one["name"] == role))
            .map(id)
            .expect("a role of this name");
        let new = json!({ "identity_id": identity, "role_id": role, "node_id": self.root });
        self.api.post("/api/v1/assignments", &new).await.expect(201);
    }
}

fn id(resource: &Value) -> Uuid {
    let text = resource["id"].as_str().unwrap_or_default();
    Uuid::parse_str(text).expect("a resource with an id")
}
