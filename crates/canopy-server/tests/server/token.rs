//! `canopy token`.

use crate::paste::Shell;
use crate::process::{Client, Home};
use serde_json::json;

#[tokio::test]
async fn tokens_work_for_what_they_say_and_no_more() {
    let home = Home::new();
    let server = home.serve(&["--demo"]);
    let token = |arguments: &[&str]| {
        let text = home.run(&[&["token"], arguments].concat()).ok();
        assert_eq!(text.lines().count(), 1, "the token stands alone: {text}");
        text.trim().to_owned()
    };
    let environment = "/portal/v1/accounts/acme/applications/notes/environments/development";

    let operator = Client::new(&server.url, &token(&["--operator"]));
    assert_eq!(operator.get("/portal/v1/accounts").await.0, 200);
    let (status, _) = operator.post("/portal/v1/accounts", &json!({"name": "Other"})).await;
    assert_eq!(status, 201);

    let admin = Client::new(&server.url, &token(&["--admin", "--account", "acme"]));
    assert_eq!(admin.get(&format!("{environment}/nodes")).await.0, 200);
    assert_eq!(admin.get("/portal/v1/accounts").await.0, 403);
    assert_eq!(admin.get("/portal/v1/accounts/other/applications").await.0, 404);

    let (_, page) = admin.get("/portal/v1/accounts/acme/identities?take=1").await;
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    let place = [
        "--account",
        "acme",
        "--application",
        "notes",
        "--environment",
        "development",
    ];
    let identity = Client::new(
        &server.url,
        &token(&[&["--identity", id.as_str()], &place[..]].concat()),
    );
    assert_eq!(identity.get(&format!("{environment}/nodes")).await.0, 403);
    token(&[&["--admin"], &place[..]].concat());
}

#[tokio::test]
async fn export_lines_set_what_commands_use() {
    let home = Home::new();
    let server = home.serve(&["--demo"]);
    let slugs = [
        "--account",
        "acme",
        "--application",
        "notes",
        "--environment",
        "development",
    ];
    let listen = ["--public-url", server.url.as_str()];
    let text = home
        .run(&[&["token", "--admin", "--export"], &slugs[..], &listen[..]].concat())
        .ok();
    assert!(text.lines().all(|line| line.starts_with("export ")), "{text}");
    let shell = Shell::of(&text);
    for call in ["$ENV/nodes", "$ACC/applications", "$BASE/api/v1/roles"] {
        let (status, body) = shell
            .run(&format!(r#"curl -sS "{call}" -H "Authorization: Bearer $TOKEN""#))
            .await;
        assert_eq!(status, 200, "{call} {body}");
    }
    server.stop();
}

#[test]
fn what_is_not_there_is_named() {
    let home = Home::new();
    let refused = |arguments: &[&str], message: &str| {
        let refused = home.run(&[&["token"], arguments].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(refused.stderr.contains(message), "{message}: {}", refused.stderr);
    };
    refused(&["--admin", "--account", "acme"], "there is no data directory");
    assert!(!home.data_dir().exists(), "a token for nothing makes nothing");
    let server = home.serve(&["--demo"]);
    refused(
        &["--admin", "--account", "nobody"],
        "the account `nobody` does not exist",
    );
    let admin = ["--admin", "--account", "acme"];
    refused(
        &[&admin[..], &["--application", "no", "--environment", "development"]].concat(),
        "the application `no` does not exist",
    );
    refused(
        &[&admin[..], &["--application", "notes", "--environment", "no"]].concat(),
        "the environment `no` does not exist",
    );
    let stranger = "01890a5d-ac96-774b-bcce-b302099a8057";
    let place = [
        "--account",
        "acme",
        "--application",
        "notes",
        "--environment",
        "development",
    ];
    refused(
        &[&["--identity", stranger], &place[..]].concat(),
        "the account has no identity 01890a5d",
    );
    assert_eq!(home.run(&["token"]).code, Some(2));
    assert_eq!(home.run(&["token", "--operator", "--ttl", "never"]).code, Some(2));
    server.stop();
}
