//! Key sets over HTTPS: only an issuer whose certificate is good is believed, and the log says what is wrong with another.

use crate::issuers::{acme, identity, me, serve};
use crate::process::{Home, Server};
use canopy_testkit::issuer::{IssuerKey, TestIssuer};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Writes the certificate to a file that a server can be told to trust.
    fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("authority.pem");
        std::fs::write(&file, &self.certificate).unwrap();
        file
    }

    /// Issues a certificate for a host that ends in this year.
    fn certify(&self, host: &str, ends_in: i32) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(ends_in, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        Arc::new(config)
    }
}

/// An issuer behind TLS, whose address is `localhost`.
struct TlsIssuer {
    plain: TestIssuer,
    key: IssuerKey,
    port: u16,
}

impl TlsIssuer {
    fn start(name: &str, seed: u8, config: &Arc<ServerConfig>) -> Self {
        let (plain, key) = (TestIssuer::start(), IssuerKey::ed25519(name, seed));
        plain.publish(&[&key], "max-age=300");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, inner) = (Arc::clone(config), plain.address());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(inner) = TcpStream::connect(inner) else { return };
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that does not like the certificate ends the handshake.
                drop(relay(StreamOwned::new(session, stream), inner));
            }
        });
        Self { plain, key, port }
    }

    fn source(&self, issuer: &str) -> String {
        format!(
            "{{ jwks_url = \"https://localhost:{}/jwks.json\", issuer = \"{issuer}\", principal = \"identity\", \
             subject = \"email\", require_verified_email = false, account = \"acme\", \
             environment = \"default/development\" }}",
            self.port
        )
    }

    fn token(&self, issuer: &str) -> String {
        self.key.sign(&json!({
            "iss": issuer, "aud": "canopy", "sub": "1", "exp": 4_000_000_000_i64, "email": "ada@acme.example",
        }))
    }

    /// The line of the log that says that the keys of this issuer were not fetched.
    fn failure(&self, lines: &[String]) -> String {
        let port = format!("https://localhost:{}/", self.port);
        lines.iter().find(|line| line.contains(&port)).unwrap().clone()
    }
}

/// Passes one request to a server without TLS, and its answer back.
fn relay(mut outer: StreamOwned<ServerConnection, TcpStream>, mut inner: TcpStream) -> std::io::Result<()> {
    let (mut head, mut byte) = (vec![], [0]);
    while !head.ends_with(b"\r\n\r\n") {
        outer.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    inner.write_all(&head)?;
    let mut answer = vec![];
    inner.read_to_end(&mut answer)?;
    outer.write_all(&answer)?;
    outer.conn.send_close_notify();
    outer.flush()
}

fn not_fetched(server: &Server, count: usize) -> Vec<String> {
    (0..count).map(|_| server.next_log("token keys not fetched")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_taken_only_from_a_server_with_a_good_certificate() {
    let (ours, stranger) = (Authority::new("ours"), Authority::new("stranger"));
    let good = TlsIssuer::start("good", 1, &ours.certify("localhost", 2100));
    let refused = [
        (
            TlsIssuer::start("unknown", 2, &stranger.certify("localhost", 2100)),
            "the certificate was not issued by a trusted authority",
        ),
        (
            TlsIssuer::start("expired", 3, &ours.certify("localhost", 2021)),
            "the certificate has expired",
        ),
        (
            TlsIssuer::start("other-host", 4, &ours.certify("idp.example", 2100)),
            "the certificate is for another host name",
        ),
    ];
    let mut sources = vec![good.source("https://good.example")];
    let name = |at: usize| format!("https://{at}.example");
    sources.extend(
        refused
            .iter()
            .enumerate()
            .map(|(at, (issuer, _))| issuer.source(&name(at))),
    );

    let home = Home::new();
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("CANOPY_TOKEN_KEYS", format!("[{}]", sources.join(", ")))
        .env("SSL_CERT_FILE", ours.write(home.path()));
    let server = Server::start(command);
    let lines = not_fetched(&server, refused.len());
    for (issuer, check) in &refused {
        let line = issuer.failure(&lines);
        assert!(line.contains(check) && line.contains("WARN"), "{check}: {line}");
    }

    let admin = acme(&home, &server).await;
    let ada = identity(&admin, "ada@acme.example", None).await;
    assert_eq!(me(&server, &good.token("https://good.example")).await, ada);
    for (at, (issuer, check)) in refused.iter().enumerate() {
        // No key was taken, so nobody can say that the token's key does not exist.
        let answer = me(&server, &issuer.token(&name(at))).await;
        assert_eq!(answer, "503 server.unavailable", "{check}");
        assert_eq!(issuer.plain.requests(), 0, "{check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_the_system_does_not_know_is_not_believed() {
    let ours = Authority::new("ours");
    let issuer = TlsIssuer::start("good", 1, &ours.certify("localhost", 2100));
    let home = Home::new();
    let server = serve(&home, &format!("[{}]", issuer.source("https://good.example")));
    let line = server.next_log("token keys not fetched");
    assert!(line.contains("not issued by a trusted authority"), "{line}");
    assert_eq!(issuer.plain.requests(), 0);
}
