use crate::world::{NOBODY, World, ids_of};
use serde_json::{Value, json};

/// Every way in which an item can break a rule, with its status and code.
async fn bad_items(
    world: &World,
    rival: &World,
    taken: &str,
    people: &[String],
    role: &str,
) -> Vec<(Value, u64, &'static str)> {
    let good = world.item(people.last().unwrap(), role);
    let with = |field: &str, value: Value| {
        let mut item = good.clone();
        item[field] = value;
        item
    };
    let spy = rival.members("spy", 1).await.remove(0);
    let (rival_role, rival_root) = (rival.bootstrap().await.0, rival.root.clone());
    let loner = {
        let body = json!({"identities": [{"email": "loner@example.com", "first_name": "L", "last_name": "L"}]});
        ids_of(
            &world
                .admin
                .post(&format!("{}/identities/bulk-create", world.acc), &body)
                .await
                .expect(200),
        )
        .remove(0)
    };
    let admin_role = world.role("Environment Admin").await;
    vec![
        (with("identity_id", json!(NOBODY)), 404, "identities.identity_not_found"),
        (with("identity_id", json!(spy)), 404, "identities.identity_not_found"),
        (with("node_id", json!(NOBODY)), 404, "nodes.node_not_found"),
        (with("node_id", json!(rival_root)), 404, "nodes.node_not_found"),
        (with("role_id", json!(NOBODY)), 404, "rbac.role_not_found"),
        (with("role_id", json!(rival_role)), 404, "rbac.role_not_found"),
        (
            with("role_id", json!(admin_role)),
            400,
            "rbac.system_role_not_assignable",
        ),
        (
            with("identity_id", json!(loner)),
            400,
            "identities.membership_not_active",
        ),
        (
            with("effective_to", json!("2020-01-01T00:00:00Z")),
            400,
            "rbac.invalid_window",
        ),
        (with("identity_id", json!(taken)), 409, "rbac.assignment_conflict"),
        (with("identity_id", json!(people[0])), 409, "rbac.duplicate_in_batch"),
    ]
}

on_every_store! {
    async fn one_bad_item_of_a_thousand_is_named_and_nothing_is_written(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        let (_, editor) = world.bootstrap().await;
        let people = world.members("p", 1_001).await;
        let taken = world.members("taken", 1).await.remove(0);
        world.post("assignments", &world.item(&taken, &editor)).await.expect(201);
        let good: Vec<Value> = people[..1_000].iter().map(|id| world.item(id, &editor)).collect();
        for (item, status, code) in bad_items(&world, &rival, &taken, &people, &editor).await {
            let mut items = good.clone();
            items[7] = item.clone();
            let answer = world.post("assignments/bulk-create", &json!({"assignments": items})).await.expect(207);
            assert_eq!(answer["summary"], json!({"total": 1_000, "succeeded": 0, "failed": 1_000}), "{code}");
            for (index, result) in answer["results"].as_array().unwrap().iter().enumerate() {
                assert_eq!((&result["index"], &result["status"]), (&json!(index), &json!("error")));
                assert_eq!(result["input"], items[index]);
                if index == 7 {
                    assert_eq!((&result["code"], &result["error"]["code"]), (&json!(status), &json!(code)));
                } else {
                    assert_eq!((&result["code"], &result["error"]["code"]), (&json!(424), &json!("bulk.rolled_back")));
                    assert_eq!(result["error"]["details"]["caused_by"], json!([7]));
                }
            }
            assert_eq!(world.assignments().await, 1, "only the one made before; {code}");
        }
        let answer = world.post("assignments/bulk-create", &json!({"assignments": good})).await.expect(200);
        assert_eq!(answer["summary"]["succeeded"], 1_000);
        assert_eq!(world.assignments().await, 1_001);
    }

    async fn of_two_identical_batches_at_once_one_wins(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let people = world.members("p", 300).await;
        let items: Vec<Value> = people.iter().map(|id| world.item(id, &viewer)).collect();
        let body = json!({"assignments": items});
        let (one, other) = tokio::join!(
            world.post("assignments/bulk-create", &body),
            world.post("assignments/bulk-create", &body)
        );
        let (won, lost) = if one.status == 200 { (one, other) } else { (other, one) };
        assert_eq!(won.expect(200)["summary"]["succeeded"], 300);
        let lost = lost.expect(207);
        assert_eq!(lost["summary"]["succeeded"], 0);
        for result in lost["results"].as_array().unwrap() {
            assert_eq!(result["error"]["code"], "rbac.assignment_conflict");
        }
        assert_eq!(world.assignments().await, 300);
    }

    async fn without_atomic_the_true_mix_is_told(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let people = world.members("p", 2).await;
        let items = json!([world.item(&people[0], &viewer), world.item(NOBODY, &viewer), world.item(&people[1], &viewer)]);
        let body = json!({"assignments": items, "atomic": false});
        let dry_run = json!({"assignments": items, "atomic": false, "dry_run": true});
        let dry = world.post("assignments/bulk-create", &dry_run).await.expect(207);
        assert_eq!(dry["summary"], json!({"total": 3, "succeeded": 2, "failed": 1}));
        assert_eq!(dry["results"][0]["code"], 200);
        assert!(dry["results"][0].get("data").is_none(), "a dry run stores nothing that could be shown");
        assert_eq!(world.assignments().await, 0);
        let answer = world.post("assignments/bulk-create", &body).await.expect(207);
        assert_eq!(answer["summary"], json!({"total": 3, "succeeded": 2, "failed": 1}));
        let codes: Vec<&Value> = answer["results"].as_array().unwrap().iter().map(|result| &result["code"]).collect();
        assert_eq!(codes, [201, 404, 201]);
        assert_eq!(answer["results"][2]["data"]["identity_id"], json!(people[1]));
        assert!(world.may(&people[1], "note.read").await);
    }

    async fn lists_of_a_wrong_size_or_form_are_refused_as_a_whole(server) {
        let world = World::new(&server, "acme").await;
        let item = world.item(NOBODY, NOBODY);
        let many: Vec<&Value> = core::iter::repeat_n(&item, 10_001).collect();
        for body in [json!({"assignments": []}), json!({"assignments": many}), json!({}), json!({"assignments": {}}),
                     json!({"assignments": [7]}), json!([]), json!({"assignments": [item], "atomic": "yes"})] {
            let answer = world.post("assignments/bulk-create", &body).await;
            answer.refused(400, "request.validation_failed");
        }
        let at_the_limit: Vec<&Value> = core::iter::repeat_n(&item, 10_000).collect();
        let answer = world.post("assignments/bulk-create", &json!({"assignments": at_the_limit})).await.expect(207);
        assert_eq!(answer["summary"]["failed"], 10_000);
        let mut faulty = vec![item.clone(); 5];
        faulty[3]["effective_to"] = json!("tomorrow");
        faulty[4]["identity_id"] = json!("ada");
        faulty[4]["colour"] = json!("green");
        let answer = world.post("assignments/bulk-create", &json!({"assignments": faulty})).await;
        answer.refused(400, "request.validation_failed");
        let fields = answer.body["error"]["details"]["fields"].as_array().unwrap();
        let mut paths: Vec<&str> = fields.iter().map(|field| field["path"].as_str().unwrap()).collect();
        paths.sort_unstable();
        let expected = ["/assignments/3/effective_to", "/assignments/4/colour", "/assignments/4/identity_id"];
        assert_eq!(paths, expected, "all faults at once");
    }

    async fn ten_thousand_at_once(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 5_000).await;
        let items: Vec<Value> = people.iter().flat_map(|id| [world.item(id, &viewer), world.item(id, &editor)]).collect();
        let answer = world.post("assignments/bulk-create", &json!({"assignments": items})).await.expect(200);
        assert_eq!(answer["summary"], json!({"total": 10_000, "succeeded": 10_000, "failed": 0}));
        let ids = ids_of(&answer);
        assert!(world.may(&people[4_999], "note.write").await);
        let removed = world.post("assignments/bulk-remove", &json!({"assignment_ids": ids})).await;
        removed.expect(204);
        assert!(!world.may(&people[4_999], "note.read").await);
        assert_eq!(world.assignments().await, 0);
    }
}
