//! Complete access-control data sets, loaded and checked cell by cell through the API.

use crate::world::{World, ids_of};
use canopy_e2e::data_set::DataSet;
use canopy_testkit::server::TestServer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder with the real sets, where there is one; elsewhere made-up sets of the same shape stand in.
#[expect(clippy::disallowed_methods, reason = "tells this test where its data is")]
fn folder() -> Option<PathBuf> {
    std::env::var_os("CANOPY_REAL_DATA").map(PathBuf::from)
}

fn data_set(name: &str, users: u32, permissions: u32, roles: u32) -> DataSet {
    let set = match folder() {
        Some(folder) => {
            let set = DataSet::read(&folder, name);
            let (u, p) = (usize::try_from(users).unwrap(), usize::try_from(permissions).unwrap());
            assert_eq!(
                (set.users.len(), set.permissions.len()),
                (u, p),
                "{name} is the set that was published"
            );
            set
        }
        None => DataSet::made_up(name, users, permissions, roles),
    };
    assert!(!set.pairs.is_empty());
    set
}

/// Loads a set and compares every answer with it.
async fn every_cell_agrees(server: TestServer, set: DataSet) {
    let world = World::new(&server, "acme").await;
    let key = |permission: u32| format!("app.p{permission}");
    let role_name = |index: usize| format!("Role {index}");
    let actions: Vec<String> = set
        .permissions
        .iter()
        .map(|permission| format!("p{permission}"))
        .collect();
    let roles: Vec<Value> = set
        .roles
        .iter()
        .enumerate()
        .map(|(index, role)| {
            let keys: Vec<String> = role.permissions.iter().map(|permission| key(*permission)).collect();
            json!({"name": role_name(index), "permission_keys": keys})
        })
        .collect();
    let body = json!({"resources": [{"name": "app", "actions": actions}], "roles": roles});
    let made = world.post("setup/access-bootstrap", &body).await.expect(201);
    assert_eq!(
        (&made["permissions_created"], &made["roles_created"]),
        (&json!(actions.len()), &json!(roles.len()))
    );

    let people: Vec<Value> = set
        .users
        .iter()
        .map(|user| json!({"email": format!("u{user}@example.com"), "first_name": "User", "last_name": user.to_string()}))
        .collect();
    let made = world
        .admin
        .post(
            &format!("{}/identities/bulk-create", world.acc),
            &json!({"identities": people}),
        )
        .await;
    let ids = ids_of(&made.expect(200));
    world
        .admin
        .post(
            &format!("{}/app-memberships/bulk-attach", world.app),
            &json!({"identity_ids": ids}),
        )
        .await
        .expect(200);
    let identity: BTreeMap<u32, &String> = set.users.iter().copied().zip(&ids).collect();

    let listed = world.get("roles").await.expect(200);
    let role_ids: BTreeMap<&str, &str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| (role["name"].as_str().unwrap(), role["id"].as_str().unwrap()))
        .collect();
    let items: Vec<Value> = set
        .roles
        .iter()
        .enumerate()
        .flat_map(|(index, role)| role.users.iter().map(move |user| (index, *user)))
        .map(|(index, user)| world.item(identity[&user], role_ids[role_name(index).as_str()]))
        .collect();
    let assigned = world
        .post("assignments/bulk-create", &json!({"assignments": items}))
        .await
        .expect(200);
    assert_eq!(assigned["summary"]["succeeded"], json!(items.len()));

    // Every cell of the matrix, asked one by one over a few connections.
    let cells: Vec<(u32, u32)> = set
        .users
        .iter()
        .flat_map(|user| set.permissions.iter().map(move |permission| (*user, *permission)))
        .collect();
    let lanes = cells.chunks(cells.len().div_ceil(8)).map(|lane| {
        let (world, set, identity) = (&world, &set, &identity);
        async move {
            for (user, permission) in lane {
                let allowed = world.may(identity[user], &key(*permission)).await;
                assert_eq!(
                    allowed,
                    set.pairs.contains(&(*user, *permission)),
                    "user {user}, permission {permission}"
                );
            }
            lane.len()
        }
    });
    let asked: usize = futures_util::future::join_all(lanes).await.into_iter().sum();
    assert_eq!(asked, set.users.len() * set.permissions.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn hc_on_memory() {
    every_cell_agrees(TestServer::on_memory(), data_set("hc", 46, 46, 14)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hc_on_sqlite() {
    every_cell_agrees(TestServer::on_sqlite(), data_set("hc", 46, 46, 14)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hc_on_postgres() {
    every_cell_agrees(TestServer::on_postgres().await, data_set("hc", 46, 46, 14)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn domino_on_sqlite() {
    every_cell_agrees(TestServer::on_sqlite(), data_set("domino", 79, 231, 20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fire1_on_sqlite() {
    every_cell_agrees(TestServer::on_sqlite(), data_set("fire1", 365, 709, 66)).await;
}
