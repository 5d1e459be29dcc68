//! A client that hangs up cannot cut a transaction in two, and ends its long questions.

use crate::world::World;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

on_every_store! {
    async fn a_batch_whose_client_is_gone_is_whole_or_absent(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 500).await;
        let address = server.base().trim_start_matches("http://").to_owned();
        let token = world.admin.token().unwrap().to_owned();
        for (round, role) in [viewer, editor].iter().enumerate() {
            let items: Vec<Value> = people.iter().map(|id| world.item(id, role)).collect();
            let body = json!({"assignments": items}).to_string();
            let head = format!(
                "POST {}/assignments/bulk-create HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n", world.env, body.len());
            let mut socket = TcpStream::connect(&address).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(body.as_bytes()).await.unwrap();
            if round > 0 {
                // The second client goes with a reset, in the middle of the call: a round trip of ours gives it a start.
                world.get("roles").await.expect(200);
                socket.set_zero_linger().unwrap();
            }
            drop(socket);
            // A write of our own waits behind it: whatever becomes of it has become of it by then.
            world.post("permissions", &json!({"permissions": [{"key": format!("x.r{round}")}]})).await.expect(201);
            let page = world.get(&format!("assignments/app-wide?role_id={role}&take=1")).await.expect(200);
            let count = page["pagination"]["item_count"].as_u64().unwrap();
            assert!(count == 0 || count == 500, "{count} of 500");
        }
        assert!(world.get("assignments/app-wide").await.status == 200, "the workers are alive");
    }

    async fn a_long_question_ends_when_its_client_hangs_up(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        assert!(world.may(&ada, "note.read").await);
        let question = json!({"identity_id": ada, "permission": "note.read", "scope": "node", "node_id": world.root});
        let body = json!({"evaluations": vec![question; 10_000]}).to_string();
        let address = server.base().trim_start_matches("http://").to_owned();
        let token = world.admin.token().unwrap();
        let head = format!(
            "POST {}/permissions/evaluate/bulk HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n", world.env, body.len());
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
        // This side is closed, the other is still read: what comes is no answer to the question.
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{}", answer.lines().next().unwrap());
        assert!(world.may(&ada, "note.read").await, "the workers are alive");
    }
}
