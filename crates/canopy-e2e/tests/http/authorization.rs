//! Authorization of every call of the OpenAPI document, for every kind of principal.
//!
//! Checks the responses of the service against the rules of the contract, which this test implements a second time, and against
//! the table in `docs/authorization.md` for reviewers. `CANOPY_WRITE_DOCS=1` writes the table anew.

use crate::world::{NOBODY, World};
use canopy_domain::port::{PrincipalKind, TokenClaims};
use canopy_domain::{AccountId, EnvironmentId, Timestamp};
use canopy_testkit::server::{Answer, Api, TestServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/authorization.md");

const INTRODUCTION: &str = "# Authorization of each call

A test (`canopy-e2e/tests/http/authorization.rs`) generates this page from the responses of the service to every call of
`openapi.json` for every kind of principal, and checks them against the rules. `ACC`, `APP` and `ENV` are the prefixes of the
portal surface, `PUB` is `/api/v1`. The calls below `/access/v1` are those of OpenID AuthZEN.

- **yes**: the principal may make the call. **own**: it may, but only in the tenancy of its credential.
- **401**: the credential is refused. **403**: the credential is valid, but not for this call. **404**: the account does not
  exist, as far as the caller can see.
- A *full key* is an API key with `full_access`. The last column lists the scopes with which a scoped key may make the call;
  all others get 403 `auth.scope_missing`. *(checked key)* is a custom permission: it allows only checks of that permission.
- Expired tokens, revoked keys and unknown keys are refused like a missing credential.

";

/// The scopes that are system permissions.
const SYSTEM: [&str; 14] = [
    "access.evaluate",
    "api_key.manage",
    "assignment.manage",
    "assignment.read",
    "audit.read",
    "environment.manage",
    "identity.manage",
    "identity.read",
    "node.manage",
    "node.read",
    "permission.manage",
    "permission.read",
    "role.manage",
    "role.read",
];

/// A call as the document lists it.
struct Listed {
    method: Method,
    path: String,
    is_open: bool,
}

impl Listed {
    fn is_public(&self) -> bool {
        self.path.starts_with("/api/v1")
    }

    fn is_standard(&self) -> bool {
        self.path.starts_with("/access/v1")
    }

    fn is_portal(&self) -> bool {
        self.path.starts_with("/portal/v1")
    }

    fn is_of_installation(&self) -> bool {
        self.path == "/portal/v1/accounts"
    }

    fn is_about_oneself(&self) -> bool {
        self.path == "/api/v1/me" || self.path.starts_with("/api/v1/me/")
    }

    /// The path of a call in a world.
    fn filled(&self) -> String {
        let mut path = String::new();
        for segment in self.path.split('/').skip(1) {
            path.push('/');
            path.push_str(match segment {
                "{accountSlug}" => "acme",
                "{appSlug}" => "default",
                "{envSlug}" => "development",
                parameter if parameter.starts_with('{') => NOBODY,
                plain => plain,
            });
        }
        path
    }

    /// The short form of the contract.
    fn short(&self) -> String {
        let path = self
            .path
            .replace(
                "/portal/v1/accounts/{accountSlug}/applications/{appSlug}/environments/{envSlug}",
                "ENV",
            )
            .replace("/portal/v1/accounts/{accountSlug}/applications/{appSlug}", "APP")
            .replace("/portal/v1/accounts/{accountSlug}", "ACC")
            .replace("/api/v1", "PUB");
        format!("{} {path}", self.method)
    }

    /// The scopes that open the call to keys, as the contract has it: each area by its first segment, reading by `read` or
    /// `manage`, changing by `manage`; questions about access by `access.evaluate`.
    fn scopes(&self) -> Vec<&'static str> {
        if self.is_standard() {
            return vec!["access.evaluate", CUSTOM];
        }
        let tail: Vec<&str> = self.path.split('/').skip(3).collect();
        let questions = ["evaluate", "explain", "who-can"];
        match tail.as_slice() {
            ["permissions", one, ..] if questions.contains(one) => return vec!["access.evaluate", CUSTOM],
            ["nodes", _, "who-can"] | ["identities", _, "nodes"] => return vec!["access.evaluate", CUSTOM],
            ["identities", _, "permissions"] => return vec!["access.evaluate"],
            _ => {}
        }
        let area = match tail.first().copied().unwrap_or_default() {
            "assignments" => "assignment",
            "roles" => "role",
            "permissions" => "permission",
            "nodes" | "hierarchy-schema" => "node",
            "identities" => "identity",
            "api-keys" => "api_key",
            "audit-events" => "audit",
            other => panic!("{other} is no area"),
        };
        let opens = |scope: &&&'static str| {
            let (of, right) = scope.split_once('.').unwrap();
            of == area && (right == "manage" || self.method == Method::GET)
        };
        SYSTEM.iter().filter(opens).copied().collect()
    }
}

/// A custom permission that a key is scoped to.
const CUSTOM: &str = "note.read";

/// The caller.
enum Who {
    Nobody,
    Expired,
    RevokedKey,
    Operator,
    Admin,
    OtherAdmin,
    Identity,
    FullKey,
    OtherKey,
    ScopedKey(&'static str),
}

/// The response to a caller, as far as authorization is concerned.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Told {
    Yes,
    Own,
    Unauthorized,
    WrongPrincipal,
    ScopeMissing,
    NotFound,
}

/// The rules of the contract.
fn rule(call: &Listed, who: &Who) -> Told {
    if matches!(who, Who::Nobody | Who::Expired | Who::RevokedKey) {
        return Told::Unauthorized;
    }
    if call.is_portal() {
        return match who {
            Who::FullKey | Who::OtherKey | Who::ScopedKey(_) => Told::Unauthorized,
            Who::Admin | Who::OtherAdmin if call.is_of_installation() => Told::WrongPrincipal,
            Who::Operator | Who::Admin => Told::Yes,
            Who::OtherAdmin => Told::NotFound,
            _ => Told::WrongPrincipal,
        };
    }
    assert!(call.is_public() || call.is_standard(), "{} is on no surface", call.path);
    if call.is_about_oneself() {
        return match who {
            Who::Identity => Told::Yes,
            _ => Told::WrongPrincipal,
        };
    }
    match who {
        Who::Admin | Who::FullKey => Told::Yes,
        Who::OtherAdmin | Who::OtherKey => Told::Own,
        Who::ScopedKey(scope) if call.scopes().contains(scope) => Told::Yes,
        Who::ScopedKey(_) => Told::ScopeMissing,
        _ => Told::WrongPrincipal,
    }
}

/// Returns the outcome of a response. Every call has an unknown query parameter, so it is refused at the latest when its query is
/// read: after the credential, the principal, the tenancy and the scope.
fn told(call: &Listed, who: &Who, answer: &Answer) -> Told {
    match (answer.status, answer.code()) {
        (401, "auth.invalid_token" | "auth.token_expired" | "auth.invalid_api_key") => Told::Unauthorized,
        (403, "auth.wrong_principal_type") => Told::WrongPrincipal,
        (403, "auth.scope_missing") => Told::ScopeMissing,
        (404, "accounts.account_not_found") => Told::NotFound,
        (400, "request.validation_failed") | (415, "request.unsupported_media_type") => match who {
            Who::OtherAdmin | Who::OtherKey => Told::Own,
            _ => Told::Yes,
        },
        _ => panic!("{} {}: {} {}", call.method, call.path, answer.status, answer.body),
    }
}

fn cell(told: Told) -> &'static str {
    match told {
        Told::Yes => "yes",
        Told::Own => "own",
        Told::Unauthorized => "401",
        Told::WrongPrincipal | Told::ScopeMissing => "403",
        Told::NotFound => "404",
    }
}

/// One client for each kind of principal.
struct Principals {
    base: Api,
    credentials: Vec<(Who, Option<(&'static str, String)>)>,
}

async fn key(world: &World, body: Value) -> (String, String) {
    let made = world.post("api-keys", &body).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

fn claims(account: &str, environment: &str, principal: PrincipalKind, subject: &str, ends: Timestamp) -> TokenClaims {
    TokenClaims {
        subject: subject.into(),
        principal,
        account: Some(AccountId::new(account.parse().unwrap())),
        environment: Some(EnvironmentId::new(environment.parse().unwrap())),
        expires_at: ends,
    }
}

impl Principals {
    async fn new(server: &TestServer, world: &World, rival: &World) -> Self {
        let later = Timestamp::parse("2200-01-01T00:00:00Z").unwrap();
        let id = |found: Value| found["id"].as_str().unwrap().to_owned();
        let account = id(world.admin.get(&world.acc).await.expect(200));
        let other_account = id(rival.admin.get(&rival.acc).await.expect(200));
        let environment = id(world.admin.get(&world.env).await.expect(200));
        let other_environment = id(rival.admin.get(&rival.env).await.expect(200));
        let person = world.members("p", 1).await.remove(0);
        world.bootstrap().await;
        let bearer = |claims: &TokenClaims| Some(("Authorization", format!("Bearer {}", server.sign(claims))));
        let admin = claims(&account, &environment, PrincipalKind::Admin, "ada", later);
        let mut expired = admin.clone();
        expired.expires_at = Timestamp::parse("2001-01-01T00:00:00Z").unwrap();
        let other_admin = claims(&other_account, &other_environment, PrincipalKind::Admin, "eve", later);
        let identity = claims(&account, &environment, PrincipalKind::Identity, &person, later);
        let operator = server
            .operator()
            .token()
            .map(|token| ("Authorization", format!("Bearer {token}")));
        let full = json!({"name": "full", "access_mode": "full_access"});
        let (revoked, revoked_key) = key(world, full.clone()).await;
        world
            .admin
            .delete(&format!("{}/api-keys/{revoked}", world.env))
            .await
            .expect(204);
        let with_key = |key: (String, String)| Some(("X-API-Key", key.1));
        let mut credentials = vec![
            (Who::Nobody, None),
            (Who::Expired, bearer(&expired)),
            (Who::RevokedKey, Some(("X-API-Key", revoked_key))),
            (Who::Operator, operator),
            (Who::Admin, bearer(&admin)),
            (Who::OtherAdmin, bearer(&other_admin)),
            (Who::Identity, bearer(&identity)),
            (Who::FullKey, with_key(key(world, full.clone()).await)),
            (Who::OtherKey, with_key(key(rival, full).await)),
        ];
        for scope in SYSTEM.into_iter().chain([CUSTOM]) {
            let body = json!({"name": scope, "access_mode": "scoped", "scopes": [scope]});
            credentials.push((Who::ScopedKey(scope), with_key(key(world, body).await)));
        }
        Self {
            base: server.anonymous(),
            credentials,
        }
    }

    async fn ask(&self, call: &Listed, credential: Option<&(&'static str, String)>) -> Answer {
        let path = format!("{}?no_such_parameter=1", call.filled());
        let mut request = self.base.request(call.method.clone(), &path);
        if let Some((name, value)) = credential {
            request = request.header(*name, value);
        }
        Api::send(request).await
    }
}

async fn listed(server: &TestServer) -> Vec<Listed> {
    let document = server.anonymous().get("/openapi.json").await.expect(200);
    let mut calls = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let is_open = operation["security"] == json!([{}]);
            calls.push(Listed {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                is_open,
            });
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_admits_whom_the_contract_admits() {
    let server = TestServer::on_memory();
    let world = World::new(&server, "acme").await;
    let rival = World::new(&server, "rival").await;
    let principals = Principals::new(&server, &world, &rival).await;
    let mut table = String::from(INTRODUCTION);
    table.push_str(
        "| call | no credential | operator | admin | admin of another account | identity | full key | key of another environment | scopes |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut wrong = Vec::new();
    for call in listed(&server).await {
        if call.is_open {
            let answer = principals
                .base
                .request(call.method.clone(), &call.path)
                .send()
                .await
                .unwrap();
            assert!(answer.status().is_success(), "{}: {}", call.path, answer.status());
            writeln!(table, "| {} |{} – |", call.short(), " yes |".repeat(7)).unwrap();
            continue;
        }
        let mut cells: Vec<&str> = Vec::new();
        let mut scopes: Vec<&str> = Vec::new();
        for (who, credential) in &principals.credentials {
            let answer = principals.ask(&call, credential.as_ref()).await;
            let (is, should) = (told(&call, who, &answer), rule(&call, who));
            if is != should {
                wrong.push(format!("{} {}: {is:?}, not {should:?}", call.short(), answer.body));
            }
            match who {
                Who::ScopedKey(scope) if is == Told::Yes => {
                    scopes.push(if *scope == CUSTOM { "(checked key)" } else { scope });
                }
                Who::Expired | Who::RevokedKey | Who::ScopedKey(_) => {}
                _ => cells.push(cell(is)),
            }
        }
        let scopes = if scopes.is_empty() {
            "–".to_owned()
        } else {
            scopes.join(", ")
        };
        writeln!(table, "| {} | {} | {scopes} |", call.short(), cells.join(" | ")).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    #[expect(clippy::disallowed_methods, reason = "asked for by who runs the test")]
    let writes = std::env::var_os("CANOPY_WRITE_DOCS").is_some();
    if writes {
        std::fs::write(TABLE, &table).unwrap();
    }
    let written = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert!(
        written == table,
        "docs/authorization.md is out of date: run the test with CANOPY_WRITE_DOCS=1"
    );
}
