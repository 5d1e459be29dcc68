//! Clients that get in each other's way, at one server on a file or at several on one database: nobody can tell which.

use crate::mixed_load::Stage;
use crate::process::{Client, Home, Server};
use crate::recorder::{Clerk, Recorder};
use canopy_conformance::history::{Answer, Call, ItemAnswer, Request};
use canopy_testkit::postgres::Database;
use std::sync::Arc;

/// A server with a folder of its own.
pub struct Instance {
    pub server: Server,
    token: String,
    // Declared last: the folder goes after the server.
    home: Home,
}

impl Instance {
    pub fn start(url: &str, arguments: &[&str]) -> Self {
        Self::start_in(Home::on_postgres(url), arguments)
    }

    pub fn start_in(home: Home, arguments: &[&str]) -> Self {
        let server = home.serve(arguments);
        let token = home.run(&["token", "--admin", "--account", "acme"]).ok();
        let token = token.trim().to_owned();
        Self { server, token, home }
    }

    /// Two on one database, with the demo in it.
    pub fn pair(url: &str) -> [Self; 2] {
        let first = Self::start(url, &["--demo"]);
        [first, Self::start(url, &[])]
    }

    pub fn client(&self) -> Client {
        Client::new(&self.server.url, &self.token)
    }

    /// A client whose token names the environment of the demo, so that it may use the public surface.
    pub fn bound_client(&self) -> Client {
        let place = [
            "--account",
            "acme",
            "--application",
            "notes",
            "--environment",
            "development",
        ];
        let token = self.home.run(&[&["token", "--admin"][..], &place].concat()).ok();
        Client::new(&self.server.url, token.trim())
    }

    pub fn clerk(&self, recorder: &Arc<Recorder>) -> Clerk {
        Clerk::new(recorder, &self.server.url, &self.token)
    }
}

fn items(call: &Call) -> &[ItemAnswer] {
    match &call.answer {
        Answer::Created(items) => items,
        _ => &[],
    }
}

/// Lets clients work at the servers, and looks for answers that cannot be.
async fn work_at(instances: &[Instance]) {
    let stage = Stage::set(&instances[0].client()).await;
    let recorder = Recorder::new();
    let clerks: Vec<_> = instances.iter().map(|one| one.clerk(&recorder)).collect();
    stage.load(&clerks, 8, 40).join_all().await;
    stage.survey(&clerks).await;
    recorder.check(&stage.start);

    // Clients did get in each other's way.
    let counted = |wanted: fn(&Call) -> bool| recorder.count(wanted);
    assert!(counted(|call| items(call).iter().any(|item| matches!(item, ItemAnswer::Stored(_)))) > 20);
    assert!(counted(|call| items(call).iter().any(|item| matches!(item, ItemAnswer::Taken(_)))) > 5);
    assert!(counted(|call| items(call).contains(&ItemAnswer::RolledBack)) > 2);
    assert!(counted(|call| call.answer == Answer::Removed) > 5);
    assert!(counted(|call| call.answer == Answer::Open) > 0, "nobody hung up");
    assert!(counted(|call| matches!(call.answer, Answer::NodeCreated(_))) > 2);
    assert!(counted(|call| matches!(call.request, Request::SetPermissions { .. })) > 5);
    assert!(counted(|call| matches!(call.answer, Answer::Decided { is_allowed: true, .. })) > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_answers_in_order() {
    let instance = Instance::start_in(Home::new(), &["--demo"]);
    work_at(std::slice::from_ref(&instance)).await;
    instance.server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_answer_as_one() {
    let database = Database::bare().await;
    let pair = Instance::pair(&database.url());
    work_at(&pair).await;
    for one in pair {
        one.server.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_on_an_empty_database_all_serve() {
    let database = Database::bare().await;
    let starts: Vec<_> = (0..3)
        .map(|_| {
            let url = database.url();
            tokio::task::spawn_blocking(move || {
                let home = Home::on_postgres(url);
                let server = home.serve(&[]);
                (home, server)
            })
        })
        .collect();
    for start in starts {
        let (home, server) = start.await.unwrap();
        let operator = home.run(&["token", "--operator"]).ok();
        let (status, accounts) = Client::new(&server.url, operator.trim())
            .get("/portal/v1/accounts")
            .await;
        assert_eq!(status, 200, "{accounts}");
        server.stop();
    }
}
