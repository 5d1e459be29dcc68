//! The same commands on a database of PostgreSQL.

use crate::paste::Shell;
use crate::process::{Client, Finished, Home};
use canopy_testkit::postgres::{Database, Server};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

/// Asks until the answer has this status; a server that never gives it runs into nextest's limit.
async fn wait_for(client: &Client, path: &str, status: u16) {
    while client.get(path).await.0 != status {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn everything_works_as_on_a_file_and_nothing_is_locked() {
    let database = Database::bare().await;
    let (one, two) = (Home::on_postgres(database.url()), Home::on_postgres(database.url()));
    let early = one.run(&["token", "--admin", "--account", "acme"]);
    assert_eq!((early.code, early.stdout.as_str()), (Some(1), ""), "{early:?}");
    assert!(early.stderr.contains("run `canopy migrate` first"), "{early:?}");
    let said = one.run(&["migrate"]).ok();
    assert!(said.contains("postgres://") && said.contains("is up to date"), "{said}");

    let (here, there) = (one.serve(&[]), two.serve(&[]));
    assert!(!one.data_dir().join("canopy.db").exists());
    assert_eq!(two.run(&["migrate"]).ok(), said, "also while servers run");
    let client = Client::new(&here.url, one.run(&["token", "--operator"]).ok().trim());
    let (status, account) = client.post("/portal/v1/accounts", &json!({"name": "Shared"})).await;
    assert_eq!(status, 201, "{account}");
    let token = two.run(&["token", "--admin", "--account", "shared"]).ok();
    let (status, found) = Client::new(&there.url, token.trim())
        .get("/portal/v1/accounts/shared")
        .await;
    assert_eq!((status, &found["id"]), (StatusCode::OK, &account["id"]), "{found}");
    here.stop();
    there.stop();
}

#[tokio::test]
async fn all_instances_take_the_tokens_of_each_other() {
    let database = Database::new().await;
    let homes: Vec<Home> = (0..3).map(|_| Home::on_postgres(database.url())).collect();
    let servers: Vec<_> = homes.iter().take(2).map(|home| home.serve(&[])).collect();
    // The third has no server: its key is registered when it signs.
    for home in &homes {
        let token = home.run(&["token", "--operator"]).ok();
        for server in &servers {
            let (status, answer) = Client::new(&server.url, token.trim()).get("/portal/v1/accounts").await;
            assert_eq!(status, 200, "{answer}");
        }
    }
    let keys = database.query("SELECT kid FROM signing_keys").await;
    assert_eq!(keys.len(), 3, "each has its own");
    let stranger = Home::new();
    stranger.run(&["migrate"]).ok();
    let forged = stranger.run(&["token", "--operator"]).ok();
    assert_eq!(
        Client::new(&servers[0].url, forged.trim())
            .get("/portal/v1/accounts")
            .await
            .0,
        401
    );
}

#[tokio::test]
async fn the_demo_can_be_pasted_on_postgres_too() {
    let database = Database::new().await;
    let home = Home::on_postgres(database.url());
    let mut server = home.serve(&["--demo"]);
    let text = server.read_until_commands(4);
    let shell = Shell::of(&text);
    let mut last = json!(null);
    for command in text.lines().filter(|line| line.starts_with("curl ")) {
        last = shell.run(command).await.1;
    }
    assert_eq!(last["decision"], true, "{last}");
    server.stop();
}

#[tokio::test]
async fn a_server_whose_database_is_not_there_waits_for_it_and_survives_its_loss() {
    let postgres = tokio::task::spawn_blocking(Server::start).await.unwrap();
    postgres.stop_at_once();
    let home = Home::on_postgres(postgres.url("postgres"));
    assert_eq!(home.run(&["migrate"]).code, Some(1));
    let mut server = home.serve_early(&[]);
    assert!(!server.is_ready);
    let nobody = Client::new(&server.url, "");
    assert_eq!(nobody.get("/health/live").await.0, 200);
    let refused = nobody.send(Method::GET, "/health/ready", None).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));

    postgres.resume();
    server.wait_until_ready();
    assert_eq!(nobody.get("/health/ready").await.0, 200);
    let operator = Client::new(&server.url, home.run(&["token", "--operator"]).ok().trim());
    assert_eq!(
        operator.post("/portal/v1/accounts", &json!({"name": "Acme"})).await.0,
        201
    );

    postgres.stop_at_once();
    wait_for(&nobody, "/health/ready", 503).await;
    let refused = operator.send(Method::GET, "/portal/v1/accounts", None).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(nobody.get("/health/live").await.0, 200);

    postgres.resume();
    wait_for(&nobody, "/health/ready", 200).await;
    let (_, accounts) = operator.get("/portal/v1/accounts").await;
    assert_eq!(accounts["items"][0]["slug"], "acme", "{accounts}");
    server.stop();
}

#[tokio::test]
async fn a_server_that_waits_for_its_database_ends_when_it_is_told() {
    let home = Home::on_postgres("postgres://nobody@127.0.0.1:1/nothing");
    home.serve_early(&[]).stop();
}

#[tokio::test]
async fn a_schema_of_a_newer_release_is_refused() {
    let database = Database::new().await;
    database
        .execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')")
        .await;
    let home = Home::on_postgres(database.url());
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["migrate"],
        &["token", "--admin", "--account", "a"],
    ] {
        let Finished { code, stdout, stderr } = home.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(
            stderr.contains("migration 29991231000000") && stderr.contains("newer release"),
            "{stderr}"
        );
    }
}
