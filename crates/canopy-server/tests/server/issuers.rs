//! Tokens of other issuers: identity providers that serve their keys on loopback, and tokens of the shapes they give.

use crate::process::{Client, Home, Server};
use canopy_testkit::issuer::{IssuerKey, TestIssuer};
use serde_json::{Value, json};

const RSA: &[u8] = include_bytes!("../../../canopy-http/tests/http/keys/rsa.pem");
const P256: &[u8] = include_bytes!("../../../canopy-http/tests/http/keys/p256.pem");
const ENTRA_TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// Far enough ahead of every clock that runs this.
const LATER: i64 = 4_000_000_000;

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn auth0() -> Value {
    json!({
        "iss": "https://acme.eu.auth0.com/", "sub": "auth0|507f1f77bcf86cd799439020",
        "aud": ["https://api.notes.example", "https://acme.eu.auth0.com/userinfo"],
        "iat": 1_700_000_000, "exp": LATER, "azp": "my_client_id", "scope": "openid profile email",
        "https://notes.example/account": "acme",
    })
}

fn keycloak() -> Value {
    json!({
        "exp": LATER, "iat": 1_700_000_000, "jti": "trrtcc:1", "iss": "https://sso.example/realms/customers",
        "aud": ["canopy", "account"], "sub": "f1b2c3d4-0000-4000-8000-000000000001", "typ": "Bearer", "azp": "notes-web",
        "realm_access": { "roles": ["offline_access"] }, "scope": "openid email profile", "email_verified": true,
        "name": "Ada Lovelace", "preferred_username": "ada", "email": "Ada@Acme.example",
        "tenant": { "account": ["acme"], "environment": "default/development" },
    })
}

fn entra() -> Value {
    json!({
        "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
        "iss": format!("https://login.microsoftonline.com/{ENTRA_TENANT}/v2.0"),
        "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": LATER, "aio": "AXQAi/8IAAAA", "azp": "0b0b0b0b",
        "name": "Ada Lovelace", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "ada@acme.example",
        "scp": "access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": ENTRA_TENANT, "ver": "2.0",
    })
}

struct Providers {
    auth0: (TestIssuer, IssuerKey),
    keycloak: (TestIssuer, IssuerKey),
    entra: (TestIssuer, IssuerKey),
}

impl Providers {
    fn start() -> Self {
        let provider = |key: IssuerKey| {
            let issuer = TestIssuer::start();
            issuer.publish(&[&key], "public, max-age=15, stale-while-revalidate=15");
            (issuer, key)
        };
        let entra = provider(IssuerKey::rsa("entra-1", RSA));
        // Without `alg`, and with members that the standard does not know.
        let mut jwk = entra.1.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk["issuer"] = json!("https://login.microsoftonline.com/{tenantid}/v2.0");
        let set = json!({ "keys": [{ "kty": "AKP", "kid": "pq" }, { "kty": "EC", "crv": "secp256k1", "x": "", "y": "" }, jwk] });
        entra.0.reply(200, "max-age=86400, private", &set.to_string());
        Self {
            auth0: provider(IssuerKey::rsa("auth0-1", RSA)),
            keycloak: provider(IssuerKey::p256("keycloak-1", P256)),
            entra,
        }
    }

    fn sources(&self) -> String {
        format!(
            r#"[
            {{ jwks_url = "{}", issuer = "https://acme.eu.auth0.com/", audience = "https://api.notes.example",
               principal = "identity", subject = "external_id",
               account_claim = "https://notes.example/account", account_by = "slug", environment = "default/development" }},
            {{ jwks_url = "{}", issuer = "https://sso.example/realms/customers", audience = "canopy",
               principal = "identity", subject = "email",
               account_claim = "/tenant/account", account_by = "slug",
               environment_claim = "/tenant/environment", environment_by = "path" }},
            {{ jwks_url = "{}", issuer = "https://login.microsoftonline.com/{ENTRA_TENANT}/v2.0",
               audience = "6e74172b-be56-4843-9ff4-e66a39bb12e3",
               principal = "identity", subject = "external_id", subject_claim = "oid",
               account = "acme", environment = "default/development" }},
            ]"#,
            self.auth0.0.jwks_url(),
            self.keycloak.0.jwks_url(),
            self.entra.0.jwks_url(),
        )
    }
}

pub fn serve(home: &Home, sources: &str) -> Server {
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("CANOPY_TOKEN_KEYS", sources);
    Server::start(command)
}

pub async fn acme(home: &Home, server: &Server) -> Client {
    let operator = Client::new(&server.url, home.run(&["token", "--operator"]).ok().trim());
    let (status, made) = operator
        .post("/portal/v1/accounts", &json!({ "name": "Acme", "slug": "acme" }))
        .await;
    assert_eq!(status, 201, "{made}");
    Client::new(
        &server.url,
        home.run(&["token", "--admin", "--account", "acme"]).ok().trim(),
    )
}

pub async fn identity(admin: &Client, email: &str, external_id: Option<&str>) -> String {
    let new = json!({ "email": email, "first_name": "Ada", "last_name": "Lovelace", "external_id": external_id });
    let (status, made) = admin.post("/portal/v1/accounts/acme/identities", &new).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// The identity that a token speaks for, or the code of the refusal.
pub async fn me(server: &Server, token: &str) -> String {
    let (status, body) = Client::new(&server.url, token).get("/api/v1/me").await;
    if status == 200 {
        body["id"].as_str().unwrap().to_owned()
    } else {
        format!(
            "{} {}",
            status.as_u16(),
            body["error"]["code"].as_str().unwrap_or_default()
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_auth0_keycloak_and_entra_speak_for_identities() {
    let providers = Providers::start();
    let home = Home::new();
    let server = serve(&home, &providers.sources());
    let admin = acme(&home, &server).await;
    let by_auth0 = identity(&admin, "a@acme.example", Some("auth0|507f1f77bcf86cd799439020")).await;
    let by_email = identity(&admin, "ada@acme.example", None).await;
    let by_entra = identity(&admin, "e@acme.example", Some("690222be-ff1a-4d56-abd1-7e4f7d38e474")).await;
    let (a0, kc, en) = (&providers.auth0.1, &providers.keycloak.1, &providers.entra.1);
    for _ in 0..2 {
        assert_eq!(me(&server, &a0.sign(&auth0())).await, by_auth0);
        assert_eq!(me(&server, &kc.sign(&keycloak())).await, by_email);
        assert_eq!(me(&server, &en.sign(&entra())).await, by_entra);
    }
    let refused = "401 auth.invalid_token";
    for (what, token) in [
        (
            "an account there is not",
            a0.sign(&with(auth0(), "https://notes.example/account", json!("other"))),
        ),
        (
            "no account",
            a0.sign(&with(auth0(), "https://notes.example/account", Value::Null)),
        ),
        (
            "an account by its id",
            a0.sign(&with(auth0(), "https://notes.example/account", json!(by_auth0))),
        ),
        (
            "another audience",
            a0.sign(&with(auth0(), "aud", json!("https://other.example"))),
        ),
        ("another provider's issuer", a0.sign(&keycloak())),
        ("another provider's issuer", kc.sign(&auth0())),
        (
            "an address nobody confirmed",
            kc.sign(&with(keycloak(), "email_verified", json!(false))),
        ),
        (
            "an address nobody confirmed",
            kc.sign(&with(keycloak(), "email_verified", Value::Null)),
        ),
        (
            "nobody's address",
            kc.sign(&with(keycloak(), "email", json!("eve@acme.example"))),
        ),
        (
            "two accounts",
            kc.sign(&with(keycloak(), "tenant", json!({ "account": ["acme", "other"] }))),
        ),
        (
            "no environment",
            kc.sign(&with(keycloak(), "tenant", json!({ "account": "acme" }))),
        ),
        (
            "another environment",
            kc.sign(&with(
                keycloak(),
                "tenant",
                json!({ "account": "acme", "environment": "default/x" }),
            )),
        ),
        ("no object id", en.sign(&with(entra(), "oid", Value::Null))),
        ("not yet valid", en.sign(&with(entra(), "nbf", json!(LATER)))),
    ] {
        assert_eq!(me(&server, &token).await, refused, "{what}");
    }
    // A claim that the source does not read changes nothing.
    let boastful = kc.sign(&with(keycloak(), "principal", json!("operator")));
    assert_eq!(me(&server, &boastful).await, by_email);
    // The address moves to another person: the token that was good speaks for the new one, never for the old one.
    let path = format!("/portal/v1/accounts/acme/identities/{by_email}");
    let moved = json!({ "email": "moved@acme.example" });
    let (status, body) = admin
        .try_send(reqwest::Method::PATCH, &path, Some(&moved))
        .await
        .unwrap();
    assert_eq!(status, 200, "{body}");
    assert_eq!(me(&server, &kc.sign(&keycloak())).await, refused);
    let heir = identity(&admin, "ada@acme.example", None).await;
    assert_eq!(me(&server, &kc.sign(&keycloak())).await, heir);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_starts_and_goes_on_while_an_issuer_is_down() {
    let providers = Providers::start();
    let sources = providers.sources();
    providers.auth0.0.reply(500, "no-store", "");
    let home = Home::new();
    let server = serve(&home, &sources);
    let admin = acme(&home, &server).await;
    let ada = identity(&admin, "ada@acme.example", None).await;
    let token = providers.auth0.1.sign(&auth0());
    // Nobody can say that the key does not exist.
    assert_eq!(me(&server, &token).await.split(' ').next(), Some("503"));
    assert_eq!(me(&server, &providers.keycloak.1.sign(&keycloak())).await, ada);
    let (status, _) = Client::new(&server.url, "").get("/health/ready").await;
    assert_eq!(status, 200);
    server.wait_for_log("token keys not fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_which_check_a_refused_token_failed() {
    let providers = Providers::start();
    let home = Home::new();
    let server = serve(&home, &providers.sources());
    let admin = acme(&home, &server).await;
    identity(&admin, "ada@acme.example", None).await;
    let (a0, kc, en) = (&providers.auth0.1, &providers.keycloak.1, &providers.entra.1);
    let unknown = IssuerKey::ed25519("unheard-of", 9);
    let forged = IssuerKey::rsa("keycloak-1", RSA);
    let keycloak_issuer = "https://sso.example/realms/customers";
    let expired = with(keycloak(), "exp", json!(1_700_000_100));
    let strange = with(keycloak(), "iss", json!("https://evil.example/\u{1b}[31m"));
    let long = with(keycloak(), "iss", json!("x".repeat(3_000)));
    for (token, check, named) in [
        (
            kc.sign(&strange),
            "issuer",
            ["https://evil.example/?[31m", "keycloak-1"],
        ),
        (kc.sign(&long), "issuer", ["xxxxxxxxxxxxx…", "keycloak-1"]),
        (
            kc.sign(&with(keycloak(), "aud", json!("other"))),
            "audience",
            [keycloak_issuer, "keycloak-1"],
        ),
        (unknown.sign(&keycloak()), "key", [keycloak_issuer, "unheard-of"]),
        (forged.sign(&keycloak()), "algorithm", [keycloak_issuer, "keycloak-1"]),
        (
            IssuerKey::ed25519("x", 9).sign(&json!({ "iss": "canopy", "aud": "canopy" })),
            "key",
            ["canopy", "\"x\""],
        ),
        (kc.sign(&expired), "expiry", [keycloak_issuer, "keycloak-1"]),
        (
            kc.sign(&with(keycloak(), "email_verified", json!(false))),
            "email_verified",
            [keycloak_issuer, "f1b2c3d4"],
        ),
        (
            kc.sign(&with(keycloak(), "email", json!("eve@x.example"))),
            "identity",
            [keycloak_issuer, "f1b2c3d4"],
        ),
        (
            a0.sign(&with(auth0(), "https://notes.example/account", json!("other"))),
            "account",
            ["https://acme.eu.auth0.com/", "auth0|507f"],
        ),
        (
            kc.sign(&with(keycloak(), "tenant", json!({ "account": "acme" }))),
            "no_environment",
            [keycloak_issuer, "f1b2c3d4"],
        ),
        (
            kc.sign(&with(
                keycloak(),
                "tenant",
                json!({ "account": "acme", "environment": "a/b" }),
            )),
            "environment",
            [keycloak_issuer, "f1b2c3d4"],
        ),
        (
            en.sign(&with(entra(), "oid", Value::Null)),
            "claim",
            ["https://login.microsoftonline.com/", "HKZpfaHy"],
        ),
        (
            en.sign(&with(entra(), "nbf", json!(LATER))),
            "not_before",
            ["https://login.microsoftonline.com/", "entra-1"],
        ),
        ("not.a.token".to_owned(), "format", ["\"-\"", "\"-\""]),
    ] {
        let answer = Client::new(&server.url, &token).get("/api/v1/me").await;
        let code = if check == "expiry" {
            "auth.token_expired"
        } else {
            "auth.invalid_token"
        };
        assert_eq!(
            (answer.0.as_u16(), answer.1["error"]["code"].as_str()),
            (401, Some(code)),
            "{check}"
        );
        let text = answer.1.to_string();
        assert!(
            !text.contains(check) || check == "key" || check == "format" || check == "claim",
            "{text}"
        );
        let line = server.next_log("access token refused");
        assert!(
            line.contains(&format!("\"check\":\"{check}\"")) && line.contains("INFO"),
            "{check}: {line}"
        );
        assert!(named.iter().all(|text| line.contains(text)), "{named:?}: {line}");
        let parts = token.split('.').filter(|part| part.len() > 10);
        assert!(parts.into_iter().all(|part| !line.contains(part)), "{line}");
        assert!(line.len() < 900 && !line.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_which_api_key_and_whose_principal_was_refused() {
    let providers = Providers::start();
    let home = Home::new();
    let source = format!("[{{ jwks_url = \"{}\" }}]", providers.keycloak.0.jwks_url());
    let server = serve(&home, &source);
    let key = format!("cnpy_{}", "0123456789abcdef".repeat(4));
    let answer = reqwest::Client::new()
        .get(format!("{}/api/v1/me", server.url))
        .header("X-API-Key", &key);
    assert_eq!(answer.send().await.unwrap().status(), 401);
    let line = server.next_log("API key refused");
    assert!(
        line.contains("\"key\":\"cnpy_0123456\"") && !line.contains("01234567"),
        "{line}"
    );
    // A source that may vouch for identities alone says that its token is an admin's.
    let claims = json!({
        "iss": "canopy", "aud": "canopy", "sub": "eve", "exp": LATER, "principal": "operator",
    });
    let token = providers.keycloak.1.sign(&claims);
    assert_eq!(Client::new(&server.url, &token).get("/portal/v1/accounts").await.0, 401);
    let line = server.next_log("access token refused");
    assert!(
        line.contains("\"check\":\"principal\"") && line.contains("\"sub\":\"eve\""),
        "{line}"
    );
}
