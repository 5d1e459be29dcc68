//! JSON that is the caller's comes back as it was sent, whichever way it came in and goes out.

use crate::world::World;
use canopy_testkit::server::{Answer, Api, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

/// Numbers that no float or integer type holds, spellings that a number type loses, and keys out of order.
const TEXT: &str = r#"{"z":[0.09090909090909091,18446744073709551616,5.5176019366924325e-17,1E5,1e+05,-0,1.10,1e999],"a":{"z":1,"é":"\"\\\n"},"n":null,"":{}}"#;

/// Sends a body as text; the answer as text.
async fn send(api: &Api, method: Method, path: &str, version: Option<u64>, body: &str) -> (u16, String) {
    let mut request = api.request(method, path).header("content-type", "application/json");
    if let Some(version) = version {
        request = request.header("if-match", version.to_string());
    }
    let response = request.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn get(api: &Api, path: &str) -> String {
    let response = api.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.text().await.unwrap()
}

/// The same object with space between its values.
fn spaced() -> String {
    TEXT.replace("\":", "\" :\n ").replace(",\"a\"", " ,\t\"a\"")
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

async fn grow(world: &World) {
    let model = json!({"model": "hierarchy"});
    world
        .admin
        .put(&format!("{}/access-model", world.env), &model)
        .await
        .expect(200);
    let schema = json!({"node_types": ["root", "team"], "max_depth": 4, "root_node_type": "root",
        "allowed_children": {"root": ["team"], "team": ["team"]}});
    world.patch("hierarchy-schema", Some(2), &schema).await.expect(200);
}

/// The text of an id in the answer to a creation.
fn id_of(text: &str) -> String {
    let (_, behind) = text.split_once("\"id\":\"").unwrap();
    behind.get(..36).unwrap().to_owned()
}

on_every_store! {
    async fn metadata_of_nodes_keeps_every_digit(server) {
        let world = World::new(&server, "acme").await;
        grow(&world).await;
        let env = &world.env;
        let node = |slug: &str, metadata: &str| format!(
            r#"{{"parent_node_id":"{}","node_type":"team","name":"{slug}","slug":"{slug}","metadata":{metadata}}}"#, world.root);
        let (status, made) = send(&world.admin, Method::POST, &format!("{env}/nodes"), None, &node("one", &spaced())).await;
        assert_eq!(status, 201, "{made}");
        assert!(made.contains(TEXT), "{made}");
        let one = id_of(&made);
        let bulk = format!(r#"{{"nodes":[{}]}}"#, node("two", &spaced()));
        let (status, made) = send(&world.admin, Method::POST, &format!("{env}/nodes/bulk-create"), None, &bulk).await;
        assert_eq!(status, 200, "{made}");
        let (status, changed) = send(&world.admin, Method::PATCH, &format!("{env}/nodes/{}", world.root), Some(1), &format!(r#"{{"metadata":{TEXT}}}"#)).await;
        assert_eq!(status, 200, "{changed}");
        for (path, times) in [(format!("nodes/{one}"), 1), (format!("nodes/{}", world.root), 1), ("export".to_owned(), 3)] {
            let shown = get(&world.admin, &format!("{env}/{path}")).await;
            assert_eq!(shown.matches(TEXT).count(), times, "{path} {shown}");
        }
        // The own export says what is there, and a copy or another environment gets the same.
        let document = get(&world.admin, &format!("{env}/export")).await;
        let (status, done) = send(&world.admin, Method::POST, &format!("{env}/import"), None, &document).await;
        assert_eq!(status, 200, "{done}");
        assert!(done.contains(r#""nodes":{"kept":3,"changed":0,"removed":0,"added":0}"#), "{done}");
        let copies = format!("{}/environments", world.app);
        world.admin.post(&copies, &json!({"name": "Copy", "slug": "copy", "copy_from": "development"})).await.expect(201);
        world.admin.post(&copies, &json!({"name": "Other", "slug": "other"})).await.expect(201);
        let (status, done) = send(&world.admin, Method::POST, &format!("{copies}/other/import"), None, &document).await;
        assert_eq!(status, 200, "{done}");
        for slug in ["copy", "other"] {
            let shown = get(&world.admin, &format!("{copies}/{slug}/export")).await;
            assert_eq!(shown, document.replace("\"source_env\":\"development\"", &format!("\"source_env\":\"{slug}\"")));
        }
    }

    async fn metadata_of_identities_and_settings_keep_every_digit(server) {
        let world = World::new(&server, "acme").await;
        // The account takes them, an application shows them.
        let (people, members) = (format!("{}/identities", world.acc), format!("{}/identities", world.app));
        let person = |email: &str| format!(r#"{{"email":"{email}@example.com","first_name":"A","last_name":"B","metadata":{}}}"#, spaced());
        let application = world.admin.get(&world.app).await.expect(200)["id"].as_str().unwrap().to_owned();
        let with_application = person("one").replace("{\"email\"", &format!("{{\"application_id\":\"{application}\",\"email\""));
        let bulk = format!(r#"{{"application_id":"{application}","identities":[{}]}}"#, person("two"));
        let mut ids = Vec::new();
        for (path, body, expected) in [
            (people.clone(), with_application, 201),
            (format!("{people}/bulk-create"), bulk, 200),
            (members.clone(), person("three"), 201),
        ] {
            let (status, made) = send(&world.admin, Method::POST, &path, None, &body).await;
            assert_eq!(status, expected, "{made}");
            ids.push(id_of(&made));
        }
        for id in &ids {
            let shown = get(&world.admin, &format!("{members}/{id}/detail")).await;
            assert!(shown.contains(TEXT), "{shown}");
        }
        let one = format!("{people}/{}", ids[0]);
        for (body, is_there) in [(r#"{"metadata":null}"#.to_owned(), false), (format!(r#"{{"metadata":{}}}"#, spaced()), true)] {
            let (status, changed) = send(&world.admin, Method::PATCH, &one, None, &body).await;
            assert_eq!(status, 200, "{changed}");
            assert_eq!(get(&world.admin, &format!("{members}/{}/detail", ids[0])).await.contains(TEXT), is_there);
        }
        let (status, changed) = send(&world.admin, Method::PATCH, &world.acc, Some(1), &format!(r#"{{"settings":{TEXT}}}"#)).await;
        assert_eq!(status, 200, "{changed}");
        assert!(get(&world.admin, &world.acc).await.contains(&format!(r#""settings":{TEXT}"#)));
    }

    async fn what_nests_as_deep_as_it_may_goes_everywhere_and_nothing_deeper_goes_in(server) {
        let world = World::new(&server, "acme").await;
        grow(&world).await;
        let env = &world.env;
        let node = |slug: &str, levels: usize| format!(
            r#"{{"parent_node_id":"{}","node_type":"team","name":"{slug}","slug":"{slug}","metadata":{}}}"#, world.root, nested(levels));
        let person = |levels: usize| format!(r#"{{"email":"a@example.com","first_name":"A","last_name":"B","metadata":{}}}"#, nested(levels));
        let entry = |levels: usize| format!(r#"{{"path":"acme/x","node_type":"team","name":"X","metadata":{}}}"#, nested(levels));
        let document = get(&world.admin, &format!("{env}/export")).await;
        let with = |levels: usize| document.replace(r#""nodes":["#, &format!(r#""nodes":[{},"#, entry(levels)));
        for (method, path, version, body, pointer) in [
            (Method::POST, format!("{env}/nodes"), None, &(|levels| node("a", levels)) as &dyn Fn(usize) -> String, "/metadata"),
            (Method::POST, format!("{env}/nodes/bulk-create"), None, &|levels| format!(r#"{{"nodes":[{}]}}"#, node("b", levels)), "/nodes/0/metadata"),
            (Method::PATCH, format!("{env}/nodes/{}", world.root), Some(1), &|levels| format!(r#"{{"metadata":{}}}"#, nested(levels)), "/metadata"),
            (Method::POST, format!("{}/identities", world.acc), None, &|levels| person(levels), "/metadata"),
            (Method::POST, format!("{}/identities/bulk-create", world.acc), None,
                &|levels| format!(r#"{{"identities":[{}]}}"#, person(levels).replace("a@", "b@")), "/identities/0/metadata"),
            (Method::PATCH, world.acc.clone(), Some(1), &|levels| format!(r#"{{"settings":{}}}"#, nested(levels)), "/settings"),
            (Method::POST, format!("{env}/import"), None, &|levels| with(levels), "/nodes/0/metadata"),
        ] {
            let (status, refused) = send(&world.admin, method.clone(), &path, version, &body(65)).await;
            let refused: Value = serde_json::from_str(&refused).unwrap();
            let told = (status, &refused["error"]["code"], &refused["error"]["details"]["fields"]);
            let expected = json!([{"path": pointer, "code": "too_deep", "message": "must be nested at most 64 levels"}]);
            assert_eq!(told, (400, &json!("request.validation_failed"), &expected), "{path}");
            let (status, done) = send(&world.admin, method, &path, version, &body(64)).await;
            assert!((200..=201).contains(&status), "{path} {done}");
        }
        let document = get(&world.admin, &format!("{env}/export")).await;
        assert!(document.contains(&nested(64)));
        let (status, done) = send(&world.admin, Method::POST, &format!("{env}/import"), None, &document).await;
        assert_eq!(status, 200, "{done}");
        assert!(done.contains(r#""nodes":{"kept":2,"changed":0,"removed":0,"added":0}"#), "{done}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_breaks_off_changes_nothing() {
    let server = TestServer::on_memory();
    let world = World::new(&server, "acme").await;
    let before: Answer = world.get("export").await;
    let document = serde_json::to_string(&before.body).unwrap();
    let cut = document.strip_suffix('}').unwrap();
    let (status, refused) = send(&world.admin, Method::POST, &format!("{}/import", world.env), None, cut).await;
    assert_eq!(status, 400, "{refused}");
    assert!(
        refused.contains("request.malformed_json") && refused.contains(&format!("\"column\":{}", document.len())),
        "{refused}"
    );
    assert_eq!(world.get("export").await.body, before.body);
}
