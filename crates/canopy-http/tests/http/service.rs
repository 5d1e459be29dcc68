//! A service in this process, and what tests say to it.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use actix_web::{App, test};
use canopy_domain::port::{Clock as _, PrincipalKind, TokenClaims};
use canopy_domain::{AccountId, EnvironmentId, Timestamp};
use canopy_http::token::{JwtVerifier, TokenParties, TokenSigner, VerificationKey};
use canopy_http::{HttpState, configure};
use canopy_storage_memory::MemoryStore;
use canopy_testkit::{CountingIds, FixedClock};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::runtime::Handle;
use uuid::Uuid;

/// The environment that [`Service::with_acme`] makes.
pub const ENV: &str = "/portal/v1/accounts/acme/applications/default/environments/development";
pub const APP: &str = "/portal/v1/accounts/acme/applications/default";
pub const ACC: &str = "/portal/v1/accounts/acme";

/// Long ago, so that nothing depends on the day the tests run on.
pub const NOW: &str = "2026-04-20T12:00:00Z";

/// A service on an empty in-memory store.
pub struct Service {
    pub state: HttpState,
    pub signer: TokenSigner,
    pub clock: FixedClock,
    pub operator: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: actix_web::http::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `path code` of each bad field.
    pub fn fields(&self) -> Vec<String> {
        let fields = self.body["error"]["details"]["fields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        fields
            .iter()
            .map(|f| format!("{} {}", f["path"].as_str().unwrap(), f["code"].as_str().unwrap()))
            .collect()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
    }
}

pub fn parties() -> TokenParties {
    TokenParties {
        issuer: "canopy".to_owned(),
        audience: "canopy".to_owned(),
    }
}

impl Service {
    pub fn new() -> Self {
        Self::with_keys(Vec::new())
    }

    /// A service that trusts these keys too.
    pub fn with_keys(more: Vec<VerificationKey>) -> Self {
        let clock = FixedClock::at(NOW);
        let signer = TokenSigner::from_seed([7; 32], parties()).unwrap();
        let mut keys = vec![signer.verification_key().clone()];
        keys.extend(more);
        let app = canopy_app::App::new(
            Arc::new(MemoryStore::new()),
            Arc::new(clock.clone()),
            Arc::new(CountingIds::default()),
            canopy_testkit::CountingSecrets::default(),
        );
        let verifier = Arc::new(JwtVerifier::new(parties(), keys).unwrap());
        let operator = signer
            .sign(&claims(PrincipalKind::Operator, "root", None), clock.now())
            .unwrap();
        Self {
            state: HttpState::new(app, verifier, Handle::current()),
            signer,
            clock,
            operator,
        }
    }

    /// A service with the account `acme`, and its admin.
    pub async fn with_acme() -> (Self, Admin) {
        let service = Self::new();
        let admin = service.account("acme").await;
        (service, admin)
    }

    /// Makes an account.
    pub async fn account(&self, slug: &str) -> Admin {
        let made = self
            .post(
                "/portal/v1/accounts",
                &self.operator,
                &json!({ "name": slug, "slug": slug }),
            )
            .await;
        let id = Uuid::parse_str(made.expect(201)["id"].as_str().unwrap()).unwrap();
        let claims = claims(PrincipalKind::Admin, "ann", Some(AccountId::new(id)));
        Admin {
            token: self.signer.sign(&claims, self.clock.now()).unwrap(),
            account: AccountId::new(id),
        }
    }

    /// The token of an end user of the account.
    pub fn token_of_identity(&self, admin: &Admin, id: &str) -> String {
        let claims = claims(PrincipalKind::Identity, id, Some(admin.account));
        self.signer.sign(&claims, self.clock.now()).unwrap()
    }

    /// The token of an admin that names an environment, as the public surface needs it.
    pub fn bound_token(&self, admin: &Admin, environment: &str) -> String {
        let claims = claims(PrincipalKind::Admin, "ann", Some(admin.account));
        self.bind(claims, environment)
    }

    /// A token of an end user that names an environment.
    pub fn bound_token_of_identity(&self, admin: &Admin, id: &str, environment: &str) -> String {
        let claims = claims(PrincipalKind::Identity, id, Some(admin.account));
        self.bind(claims, environment)
    }

    fn bind(&self, claims: TokenClaims, environment: &str) -> String {
        let bound = TokenClaims {
            environment: Some(EnvironmentId::new(Uuid::parse_str(environment).unwrap())),
            ..claims
        };
        self.signer.sign(&bound, self.clock.now()).unwrap()
    }

    /// The id of the environment behind a path.
    pub async fn environment_id(&self, admin: &Admin, path: &str) -> String {
        let body = self.get(path, &admin.token).await.expect(200);
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn send(&self, request: TestRequest) -> Answer {
        let app = test::init_service(App::new().configure(configure(&self.state))).await;
        let response = test::call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            body,
            text,
        }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(request(Method::GET, path, token)).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send(request(Method::POST, path, token).set_json(body)).await
    }

    pub async fn put(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send(request(Method::PUT, path, token).set_json(body)).await
    }

    pub async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send(request(Method::DELETE, path, token)).await
    }
}

/// The admin of an account.
pub struct Admin {
    pub token: String,
    pub account: AccountId,
}

pub fn request(method: Method, path: &str, token: &str) -> TestRequest {
    TestRequest::with_uri(path)
        .method(method)
        .insert_header(("authorization", format!("Bearer {token}")))
}

pub fn claims(principal: PrincipalKind, subject: &str, account: Option<AccountId>) -> TokenClaims {
    TokenClaims {
        subject: subject.into(),
        principal,
        account,
        environment: None::<EnvironmentId>,
        expires_at: Timestamp::parse("2026-04-20T13:00:00Z").unwrap(),
    }
}
