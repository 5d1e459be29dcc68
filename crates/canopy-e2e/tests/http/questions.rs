//! Explanations, and the reverse questions with their cursors.

use crate::hierarchy::Tree;
use crate::world::{NOBODY, World};
use canopy_testkit::server::{Answer, Api};
use serde_json::{Value, json};

fn question(identity: &str, permission: &str, node: &str) -> Value {
    json!({"identity_id": identity, "permission": permission, "scope": "node", "node_id": node})
}

/// All that a list tells, in parts of this size. Each part but the last is full and has a cursor.
async fn read(api: &Api, list: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (vec![], None::<String>);
    loop {
        let more = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let answer = api.get(&format!("{list}&limit={limit}{more}")).await;
        assert!(answer.header("canopy-revision").unwrap().parse::<u64>().unwrap() > 1);
        let part = answer.expect(200);
        let items = part["items"].as_array().unwrap();
        all.extend(items.iter().cloned());
        cursor = part["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(part["complete"], cursor.is_none(), "{part}");
        if cursor.is_none() {
            assert!(items.len() <= limit);
            return all;
        }
        assert_eq!(items.len(), limit);
    }
}

fn ids(items: &[Value], field: &str) -> Vec<String> {
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}

fn is_invalid_cursor(answer: &Answer) {
    answer.refused(400, "request.validation_failed");
    let field = &answer.body["error"]["details"]["fields"][0];
    assert_eq!(
        (&field["path"], &field["code"]),
        (&json!("/cursor"), &json!("invalid_cursor"))
    );
}

on_every_store! {
    async fn an_explanation_names_what_grants_and_what_falls_short(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let world = &tree.world;
        let (viewer, editor) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        let viewing = tree.assign(&ada, &viewer, &tree.eu).await;
        let window = |node: &str, from: &str, to: Value| {
            json!({"identity_id": ada, "role_id": editor, "node_id": node, "effective_from": from, "effective_to": to})
        };
        let past = window(&tree.berlin, "2020-01-01T00:00:00Z", json!("2021-01-01T00:00:00Z"));
        let past = world.post("assignments", &past).await.expect(201);
        let future = window(&tree.eu, "2999-01-01T00:00:00Z", Value::Null);
        let future = world.post("assignments", &future).await.expect(201);
        let elsewhere = tree.assign(&ada, &editor, &tree.paris).await;

        let asked = question(&ada, "note.write", &tree.mitte);
        let answer = world.post("permissions/explain", &asked).await;
        assert!(answer.header("canopy-revision").is_some());
        let told = answer.expect(200);
        let mut decision = told.clone();
        assert_eq!((&told["grant_count"], &told["near_miss_count"], &told["complete"]), (&json!(0), &json!(3), &json!(true)));
        for list in ["grants", "near_misses", "grant_count", "near_miss_count", "complete"] {
            decision.as_object_mut().unwrap().remove(list);
        }
        assert_eq!(decision, world.post("permissions/evaluate", &asked).await.expect(200));
        assert_eq!((&told["denial_reason"], &told["grants"]), (&json!("assignment_scheduled"), &json!([])));
        let near = told["near_misses"].as_array().unwrap();
        let mut reasons: Vec<_> = near.iter().map(|one| (one["assignment_id"].clone(), one["reason"].clone())).collect();
        let mut expected = vec![
            (past["id"].clone(), json!("assignment_expired")),
            (future["id"].clone(), json!("assignment_scheduled")),
            (json!(elsewhere), json!("out_of_reach")),
        ];
        reasons.sort_by_key(|(id, _)| id.to_string());
        expected.sort_by_key(|(id, _)| id.to_string());
        assert_eq!(reasons, expected);
        let ended = near.iter().find(|one| one["assignment_id"] == past["id"]).unwrap();
        assert_eq!(*ended, json!({
            "assignment_id": past["id"], "role_id": editor, "role_name": "Editor", "node_id": tree.berlin,
            "node_path": [world.root, tree.eu, tree.berlin], "effective_from": "2020-01-01T00:00:00.000Z",
            "effective_to": "2021-01-01T00:00:00.000Z", "status": "expired", "reason": "assignment_expired",
        }));

        // At another instant it is the other way round.
        let mut then = asked.clone();
        then["at"] = json!("2020-06-01T00:00:00Z");
        let told = world.post("permissions/explain", &then).await.expect(200);
        assert_eq!((&told["allowed"], &told["granting_roles"]), (&json!(true), &json!(["Editor"])));
        assert_eq!(ids(told["grants"].as_array().unwrap(), "assignment_id"), [past["id"].as_str().unwrap()]);
        assert_eq!((&told["grants"][0]["status"], &told["grants"][0]["reason"]), (&json!("active"), &Value::Null));

        // What switches a whole branch off makes a near miss of what was held in it.
        let reading = question(&ada, "note.read", &tree.mitte);
        let told = world.post("permissions/explain", &reading).await.expect(200);
        assert_eq!(ids(told["grants"].as_array().unwrap(), "assignment_id"), [viewing.as_str()]);
        tree.patch(&tree.berlin, json!({"status": "inactive"})).await.expect(200);
        let told = world.post("permissions/explain", &reading).await.expect(200);
        assert_eq!((&told["denial_reason"], &told["grants"]), (&json!("node_inactive"), &json!([])));
        let near = told["near_misses"].as_array().unwrap();
        let viewing = near.iter().find(|one| one["assignment_id"] == json!(viewing)).unwrap();
        assert_eq!(viewing["reason"], "node_inactive");

        for (unknown, reason) in [
            (question(NOBODY, "note.read", &tree.mitte), "identity_not_found"),
            (question(&ada, "no.such", &tree.mitte), "permission_not_found"),
        ] {
            let told = world.post("permissions/explain", &unknown).await.expect(200);
            assert_eq!((&told["denial_reason"], &told["near_misses"]), (&json!(reason), &json!([])));
        }
        let told = world.post("permissions/explain", &question(&ada, "note.read", NOBODY)).await.expect(200);
        assert_eq!(told["denial_reason"], "node_not_found");
        assert_eq!(told["near_misses"][0]["reason"], "out_of_reach");
    }

    async fn reverse_answers_are_those_of_asking_about_every_pair(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let world = &tree.world;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 7).await;
        let nodes = [&world.root, &tree.eu, &tree.us, &tree.berlin, &tree.paris, &tree.mitte];
        for (person, role, node) in [
            (0, &viewer, &world.root), (0, &editor, &tree.eu), (0, &editor, &tree.mitte), (1, &viewer, &tree.eu),
            (2, &editor, &tree.mitte), (3, &viewer, &tree.us), (4, &editor, &tree.paris), (5, &editor, &tree.eu),
        ] {
            tree.assign(&people[person], role, node).await;
        }
        let off = json!({"is_active": false});
        world.admin.patch(&format!("{}/identities/{}/status", world.acc, people[5]), None, &off).await.expect(200);
        tree.patch(&tree.paris, json!({"status": "inactive"})).await.expect(200);
        let key = world.key(&["access.evaluate"]).await;
        let everyone = || people.iter().map(String::as_str).chain([NOBODY]);
        let everywhere = || nodes.iter().map(|node| node.as_str()).chain([NOBODY]);
        for permission in ["note.read", "note.write", "no.such"] {
            let pairs: Vec<(&str, &str)> = everyone().flat_map(|one| everywhere().map(move |node| (one, node))).collect();
            let asked: Vec<Value> = pairs.iter().map(|(identity, node)| question(identity, permission, node)).collect();
            let answers = world.post("permissions/evaluate/bulk", &json!({"evaluations": asked})).await.expect(200);
            let answers = answers["results"].as_array().unwrap();
            let held = |wanted: &dyn Fn(&(&str, &str)) -> bool| {
                let found = pairs.iter().zip(answers).filter(|(pair, answer)| wanted(pair) && answer["allowed"] == true);
                found.collect::<Vec<_>>()
            };
            for (number, identity) in everyone().enumerate() {
                let mut expected: Vec<String> = held(&|pair| pair.0 == identity).iter().map(|(pair, _)| pair.1.to_owned()).collect();
                expected.sort_unstable();
                let list = format!("identities/{identity}/nodes?permission={permission}");
                let told = read(&world.admin, &format!("{}/{list}", world.env), number + 1).await;
                assert_eq!(ids(&told, "node_id"), expected);
                assert_eq!(read(&key, &format!("/api/v1/{list}"), 200).await, told);
            }
            for (number, node) in everywhere().enumerate() {
                let mut expected: Vec<(String, Value)> = held(&|pair| pair.1 == node)
                    .iter()
                    .map(|(pair, answer)| (pair.0.to_owned(), answer["granting_roles"].clone()))
                    .collect();
                expected.sort_by(|one, other| one.0.cmp(&other.0));
                let list = format!("nodes/{node}/who-can?permission={permission}");
                let told = read(&world.admin, &format!("{}/{list}", world.env), number + 1).await;
                let roles: Vec<_> = ids(&told, "identity_id").into_iter().zip(told.iter().map(|one| one["role_names"].clone())).collect();
                assert_eq!(roles, expected);
                assert_eq!(read(&key, &format!("/api/v1/{list}"), 200).await, told);
            }
        }
        let told = read(&world.admin, &format!("{}/nodes/{}/who-can?permission=note.read", world.env, tree.mitte), 9).await;
        let ada = told.iter().find(|one| one["identity_id"] == json!(people[0])).unwrap();
        let mut sources = [&world.root, &tree.eu, &tree.mitte].map(String::as_str);
        sources.sort_unstable();
        assert_eq!(*ada, json!({"identity_id": people[0], "role_names": ["Editor", "Viewer"], "source_node_ids": sources}));
    }

    async fn a_cursor_is_good_for_its_question_alone_and_tells_what_moved(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let sibling = world.sibling("sibling").await;
        let mut people = world.members("p", 4).await;
        people.sort_unstable();
        for person in [0, 2, 3] {
            world.post("assignments", &world.item(&people[person], &viewer)).await.expect(201);
        }
        let list = format!("{}/nodes/{}/who-can?permission=note.read", world.env, world.root);
        let first = world.admin.get(&format!("{list}&limit=1")).await.expect(200);
        assert_eq!(ids(first["items"].as_array().unwrap(), "identity_id"), [people[0].as_str()]);
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = world.admin.get(&format!("{list}&cursor={cursor}")).await.expect(200);
        assert_eq!(ids(rest["items"].as_array().unwrap(), "identity_id"), [people[2].as_str(), people[3].as_str()]);
        assert_eq!((&rest["complete"], &rest["next_cursor"]), (&json!(true), &Value::Null));

        // On the public surface it is the same question.
        let key = world.key(&[]).await;
        let public = format!("/api/v1/nodes/{}/who-can?permission=note.read&cursor={cursor}", world.root);
        assert_eq!(key.get(&public).await.expect(200)["items"], rest["items"]);
        let mut tampered = cursor.to_owned().into_bytes();
        tampered[20] = if tampered[20] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        for other in [
            format!("{}/nodes/{}/who-can?permission=note.write&cursor={cursor}", world.env, world.root),
            format!("{}/nodes/{NOBODY}/who-can?permission=note.read&cursor={cursor}", world.env),
            format!("{}/nodes/{}/who-can?permission=note.read&cursor={cursor}", sibling.env, world.root),
            format!("{}/identities/{}/nodes?permission=note.read&cursor={cursor}", world.env, world.root),
            format!("{list}&cursor={tampered}"),
            format!("{list}&cursor=x"),
        ] {
            is_invalid_cursor(&world.admin.get(&other).await);
        }
        for bad in ["", "?permission=note.read&limit=0", "?permission=note.read&limit=201", "?permission=note.read&page=1"] {
            for list in [format!("nodes/{}/who-can{bad}", world.root), format!("identities/{NOBODY}/nodes{bad}")] {
                world.get(&list).await.refused(400, "request.validation_failed");
            }
        }

        // The list judges windows at the instant at which it began, so this one counts in it.
        let mut granted = world.item(&people[1], &viewer);
        granted["effective_from"] = json!("2020-01-01T00:00:00Z");
        world.post("assignments", &granted).await.expect(201);
        let rest = world.admin.get(&format!("{list}&cursor={cursor}")).await;
        let moved = rest.header("canopy-revision").unwrap().to_owned();
        let rest = rest.expect(200);
        assert_eq!(ids(rest["items"].as_array().unwrap(), "identity_id"), people[1..]);
        assert_eq!((&rest["complete"], &rest["next_cursor"]), (&json!(false), &Value::Null));
        let anew = world.admin.get(&list).await;
        assert_eq!(anew.header("canopy-revision").unwrap(), moved);
        assert_eq!(anew.expect(200)["complete"], true);
    }

    async fn a_custom_scope_opens_questions_about_that_key_alone(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        let (key, made) = world.made_key(&["note.read"]).await;
        let ask = async |permission: &str| {
            [
                key.post("/api/v1/permissions/explain", &question(&ada, permission, &world.root)).await,
                key.get(&format!("/api/v1/identities/{ada}/nodes?permission={permission}")).await,
                key.get(&format!("/api/v1/nodes/{}/who-can?permission={permission}", world.root)).await,
            ]
        };
        let [explained, nodes, people] = ask("note.read").await.map(|answer| answer.expect(200));
        assert_eq!(explained["grants"][0]["node_id"], json!(world.root));
        assert_eq!(ids(nodes["items"].as_array().unwrap(), "node_id"), [world.root.as_str()]);
        assert_eq!(ids(people["items"].as_array().unwrap(), "identity_id"), [ada.as_str()]);
        for other in ["note.write", "role.read", "no.such"] {
            for answer in ask(other).await {
                answer.refused(403, "auth.scope_missing");
            }
        }
        world.delete(&format!("api-keys/{}", made["id"].as_str().unwrap()), None).await.expect(204);
        for answer in ask("note.read").await {
            answer.refused(401, "auth.invalid_api_key");
        }
    }
}
