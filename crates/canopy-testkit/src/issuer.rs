//! An identity provider for tests: it signs tokens and serves its key set on loopback.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The time after which a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A private key of an issuer.
pub struct IssuerKey {
    kid: String,
    key: EncodingKey,
    algorithm: Algorithm,
}

impl core::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IssuerKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl IssuerKey {
    /// Creates the Ed25519 key of a seed.
    pub fn ed25519(kid: &str, seed: u8) -> Self {
        const PKCS8_HEAD: [u8; 16] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ];
        let der: Vec<u8> = PKCS8_HEAD.into_iter().chain([seed; 32]).collect();
        Self::new(kid, EncodingKey::from_ed_der(&der), Algorithm::EdDSA)
    }

    /// Reads an RSA key from a PEM, for `RS256`.
    pub fn rsa(kid: &str, pem: &[u8]) -> Self {
        let key = EncodingKey::from_rsa_pem(pem).expect("the PEM of an RSA key");
        Self::new(kid, key, Algorithm::RS256)
    }

    /// Reads a P-256 key from a PEM, for `ES256`.
    pub fn p256(kid: &str, pem: &[u8]) -> Self {
        let key = EncodingKey::from_ec_pem(pem).expect("the PEM of a P-256 key");
        Self::new(kid, key, Algorithm::ES256)
    }

    fn new(kid: &str, key: EncodingKey, algorithm: Algorithm) -> Self {
        // An error means that it is installed already.
        jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().ok();
        Self {
            kid: kid.to_owned(),
            key,
            algorithm,
        }
    }

    /// Returns the public key as in a key set.
    pub fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a public key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".to_owned(), json!(self.kid));
            members.insert("use".to_owned(), json!("sig"));
        }
        jwk
    }

    /// Returns a token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some(self.kid.clone()), claims)
    }

    /// Returns a token with these claims that does not name the key.
    pub fn sign_without_name(&self, claims: &Value) -> String {
        self.sign_as(None, claims)
    }

    fn sign_as(&self, kid: Option<String>, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = kid;
        jsonwebtoken::encode(&header, claims, &self.key).expect("a signature")
    }
}

/// The response of an issuer to requests for its keys.
#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    headers: String,
    body: String,
}

#[derive(Debug)]
struct State {
    reply: Reply,
    requests: usize,
    is_over: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// An issuer that serves a key set until it is dropped.
#[derive(Debug)]
pub struct TestIssuer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl TestIssuer {
    /// Starts on a free port, with an empty key set.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let reply = Reply {
            status: 200,
            headers: String::new(),
            body: json!({ "keys": [] }).to_string(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                reply,
                requests: 0,
                is_over: false,
            }),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.lock().is_over {
                    return;
                }
                answer(stream, &served);
            }
        });
        Self { address, shared }
    }

    /// Returns the address that it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of its key set.
    pub fn jwks_url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// Serves these keys from now on, with this `Cache-Control`.
    pub fn publish(&self, keys: &[&IssuerKey], cache_control: &str) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.reply(200, cache_control, &json!({ "keys": keys }).to_string());
    }

    /// Sends this response from now on.
    pub fn reply(&self, status: u16, cache_control: &str, body: &str) {
        self.shared.lock().reply = Reply {
            status,
            headers: format!("Cache-Control: {cache_control}\r\nContent-Type: application/json\r\n"),
            body: body.to_owned(),
        };
    }

    /// Returns the number of requests it has received.
    pub fn requests(&self) -> usize {
        self.shared.lock().requests
    }

    /// Waits until it has received `count` requests.
    pub fn wait_for_requests(&self, count: usize) {
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.requests < count);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            state.requests >= count,
            "{} requests instead of {count}",
            state.requests
        );
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) {
    let mut head = vec![];
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) if head.len() < 16 * 1024 => head.extend_from_slice(&byte),
            _ => return,
        }
    }
    let reply = shared.lock().reply.clone();
    let text = format!(
        "HTTP/1.1 {} Reply\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n{}",
        reply.status,
        reply.body.len(),
        reply.headers,
        reply.body
    );
    // A client that has gone needs no answer.
    stream.write_all(text.as_bytes()).ok();
    let mut state = shared.lock();
    state.requests += 1;
    shared.changed.notify_all();
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        // Wakes the thread that waits for connections.
        TcpStream::connect(self.address).ok();
    }
}
