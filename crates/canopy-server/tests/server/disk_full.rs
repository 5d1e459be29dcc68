//! A SQLite file that cannot grow: writes are refused and leave nothing behind, and succeed once there is room again.
//!
//! The test limits the file size of the server's process, because a full disk would need its own file system: SQLite gets the same
//! error at the same call.

use crate::faults::{Fate, admin, batch, compare, prepare, sound};
use crate::postgres_faults::is_refused;
use crate::process::{Client, Home, Server};
use crate::recorder::ENVIRONMENT;
use reqwest::Method;
use serde_json::json;
use std::collections::HashMap;
use std::process::{Command, Stdio};

/// Starts a server that gets an error when a file may not grow, like on a full disk, instead of a signal.
fn serve(home: &Home) -> Server {
    let serve = home.command(&["serve", "--listen", "127.0.0.1:0", "--demo"]);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .env_clear()
        .current_dir(home.path())
        .stdin(Stdio::null());
    Server::start(shell)
}

/// From now on no file may grow beyond this.
fn limit(server: &Server, bytes: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit
        .arg(format!("--pid={}", server.id()))
        .arg(format!("--fsize={bytes}:"));
    assert!(prlimit.status().unwrap().success());
}

fn largest_file(home: &Home) -> u64 {
    let files = std::fs::read_dir(home.data_dir()).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_no_more() {
    let home = Home::new();
    let server = serve(&home);
    let client = admin(&home, &server);
    let load = prepare(&client).await;
    let mut fates = HashMap::new();
    let path = format!("{ENVIRONMENT}/assignments/bulk-create");
    let send = async |client: &Client, body| client.send(Method::POST, &path, Some(&body)).await;

    limit(&server, &(largest_file(&home) + 300_000).to_string());
    let mut places = load
        .roles
        .iter()
        .flat_map(|role| load.nodes.iter().map(move |node| (role, node)));
    let refused = loop {
        let place = places.next().expect("the disk is full before this");
        let answer = send(&client, batch(&load.people, place)).await;
        if answer.status() != 200 {
            is_refused(answer, "server.unavailable").await;
            break place;
        }
        fates.insert((place.0.clone(), place.1.clone()), Fate::Acknowledged);
    };
    assert!(!fates.is_empty());
    // What is there can be read, what is not there was not written, and checks are answered.
    compare(&client, &fates).await;
    let asked = json!({"identity_id": load.people[0], "permission": "node.read", "scope": "node",
        "node_id": load.nodes[0]});
    let (status, answer) = client
        .post(&format!("{ENVIRONMENT}/permissions/evaluate"), &asked)
        .await;
    assert_eq!((status.as_u16(), &answer["allowed"]), (200, &json!(true)), "{answer}");
    // It is no accident of one connection.
    is_refused(send(&client, batch(&load.people, refused)).await, "server.unavailable").await;

    limit(&server, "unlimited");
    let answer = send(&client, batch(&load.people, refused)).await;
    assert_eq!(answer.status(), 200);
    fates.insert((refused.0.clone(), refused.1.clone()), Fate::Acknowledged);
    compare(&client, &fates).await;
    server.kill();
    sound(&home);
    let server = home.serve(&[]);
    compare(&admin(&home, &server), &fates).await;
    server.stop();
}
