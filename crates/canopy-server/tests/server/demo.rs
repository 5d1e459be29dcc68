//! `canopy serve --demo`: what it prints can be pasted as it is.

use crate::paste::Shell;
use crate::process::{Client, Home};

fn commands(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.starts_with("curl "))
        .map(str::to_owned)
        .collect()
}

fn token(text: &str) -> String {
    let shell = Shell::of(text);
    shell.variable("TOKEN").unwrap().to_owned()
}

#[tokio::test]
async fn the_commands_work_as_pasted_one_after_the_other() {
    let home = Home::new();
    let mut server = home.serve(&["--demo"]);
    let text = server.read_until_commands(4);
    assert!(
        text.lines()
            .all(|line| line.is_empty() || line.starts_with(['#', 'e', 'c'])),
        "{text}"
    );
    let shell = Shell::of(&text);
    let [bootstrap, bulk_create, evaluate, ask_by_name] = commands(&text).try_into().unwrap();

    let (status, made) = shell.run(&bootstrap).await;
    assert_eq!(
        (
            status,
            made["permissions_created"].as_u64(),
            made["roles_created"].as_u64()
        ),
        (201, Some(5), Some(2))
    );
    let (status, assigned) = shell.run(&bulk_create).await;
    assert_eq!(
        (status, assigned["summary"]["succeeded"].as_u64()),
        (200, Some(3)),
        "{assigned}"
    );
    let (status, decision) = shell.run(&evaluate).await;
    assert_eq!((status, decision["allowed"].as_bool()), (200, Some(true)), "{decision}");
    assert_eq!(decision["granting_roles"], serde_json::json!(["Editor"]));
    let (status, decision) = shell.run(&ask_by_name).await;
    assert_eq!(
        (status, decision["decision"].as_bool()),
        (200, Some(true)),
        "{decision}"
    );

    // Pasted again, nothing is made twice.
    assert_eq!(shell.run(&bootstrap).await.0, 409);
    let (status, again) = shell.run(&bulk_create).await;
    assert_eq!(
        (status, again["summary"]["succeeded"].as_u64()),
        (207, Some(0)),
        "{again}"
    );
    server.stop();
}

#[tokio::test]
async fn a_second_start_seeds_nothing_and_prints_what_fits() {
    let home = Home::new();
    let mut server = home.serve(&["--demo"]);
    let first = server.read_until_commands(4);
    let shell = Shell::of(&first);
    shell.run(&commands(&first)[0]).await;
    shell.run(&commands(&first)[1]).await;
    server.stop();

    let mut server = home.serve(&["--demo"]);
    let text = server.read_until_commands(3);
    let shell = Shell::of(&text);
    assert!(text.contains("the demo data of an earlier start"), "{text}");
    let [bulk_create, evaluate, ask_by_name] = commands(&text).try_into().unwrap();
    let (_, before) = shell.run(&evaluate).await;
    assert_eq!(before["denial_reason"], "no_grant", "{before}");
    let (status, assigned) = shell.run(&bulk_create).await;
    assert_eq!(
        (status, assigned["summary"]["succeeded"].as_u64()),
        (200, Some(3)),
        "{assigned}"
    );
    let (_, after) = shell.run(&evaluate).await;
    assert_eq!(after["allowed"], true, "{after}");
    let (_, by_name) = shell.run(&ask_by_name).await;
    assert_eq!(by_name["decision"], true, "{by_name}");

    let client = Client::new(&server.url, &token(&text));
    let (_, page) = client.get("/portal/v1/accounts/acme/identities").await;
    assert_eq!(page["pagination"]["item_count"], 200);
    server.stop();
}

#[tokio::test]
async fn data_of_others_is_left_alone() {
    let home = Home::new();
    let server = home.serve(&[]);
    let operator = home.run(&["token", "--operator"]).ok();
    let client = Client::new(&server.url, operator.trim());
    client
        .post("/portal/v1/accounts", &serde_json::json!({"name": "Somebody"}))
        .await;
    server.stop();

    let mut server = home.serve(&["--demo"]);
    let notice = server.read_line();
    assert!(notice.contains("no demo data was created"), "{notice}");
    let client = Client::new(&server.url, operator.trim());
    let (_, accounts) = client.get("/portal/v1/accounts").await;
    assert_eq!(accounts["items"].as_array().unwrap().len(), 1, "{accounts}");
}
