//! TLS to a server that has it, with the modes of libpq.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canopy_domain::port::Store as _;
use canopy_storage_postgres::{OpenError, PgOptions, PgStore};
use canopy_testkit::postgres::Server;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// An authority that vouches for servers.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in a file.
    file: PathBuf,
}

impl Authority {
    fn new(folder: &std::path::Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// Certificate and key of a server of this name, in PEM.
    fn vouch_for(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

async fn client(server: &Server) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Gives a server its certificate. The server writes the files itself, for they must be its own.
async fn speak_tls(server: &Server, (certificate, key): (String, String)) {
    let client = client(server).await;
    for (file, pem) in [("server.crt", certificate), ("server.key", key)] {
        let text = STANDARD.encode(pem);
        let write = format!("COPY (SELECT '{text}') TO PROGRAM 'umask 077; base64 -d > {file}'");
        client.batch_execute(&write).await.unwrap();
    }
    client.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    // Connections that are made after the server has read its settings speak TLS.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_on(server).await {
        assert!(Instant::now() < deadline, "the server does not speak TLS");
        tokio::task::yield_now().await;
    }
}

async fn is_on(server: &Server) -> bool {
    let row = client(server).await.query_one("SHOW ssl", &[]).await.unwrap();
    row.get::<_, &str>(0) == "on"
}

/// Opens a database, says whether its connection is encrypted, or why there is none.
async fn open(server: &Server, host: &str, parameters: &str) -> Result<bool, OpenError> {
    let name = format!("tls{}", parameters.len());
    let options = PgOptions {
        application_name: name.clone(),
        ..PgOptions::new(format!(
            "{}?{parameters}",
            server.url("postgres").replace("127.0.0.1", host)
        ))
    };
    let store = PgStore::open(&options).await?;
    store.ping().await.unwrap();
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
    let row = client(server).await.query_one(sql, &[&name]).await.unwrap();
    store.close();
    Ok(row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_as_far_as_the_url_says() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let other = Authority::new(folder.path(), "other");
    let server = Server::start();
    let on = |mode: &str, roots: &Authority| format!("sslmode={mode}&sslrootcert={}", roots.file.display());

    // A server without TLS is spoken to in the clear only where that is allowed.
    assert!(!open(&server, "127.0.0.1", "sslmode=prefer").await.unwrap());
    assert!(!open(&server, "127.0.0.1", "sslmode=disable").await.unwrap());
    open(&server, "127.0.0.1", "sslmode=require").await.unwrap_err();

    speak_tls(&server, ours.vouch_for("localhost")).await;
    assert!(open(&server, "127.0.0.1", "sslmode=prefer").await.unwrap());
    assert!(open(&server, "127.0.0.1", "sslmode=require").await.unwrap());
    assert!(!open(&server, "127.0.0.1", "sslmode=disable").await.unwrap());

    // Whoever vouches for it, and for which name.
    for mode in ["require", "verify-ca"] {
        assert!(open(&server, "127.0.0.1", &on(mode, &ours)).await.unwrap(), "{mode}");
        open(&server, "127.0.0.1", &on(mode, &other)).await.unwrap_err();
    }
    assert!(open(&server, "localhost", &on("verify-full", &ours)).await.unwrap());
    open(&server, "127.0.0.1", &on("verify-full", &ours)).await.unwrap_err();
    open(&server, "localhost", &on("verify-full", &other))
        .await
        .unwrap_err();
    // The roots of the system do not know our authority.
    open(&server, "localhost", "sslmode=verify-full").await.unwrap_err();
}
