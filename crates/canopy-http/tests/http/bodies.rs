//! Bad bodies, queries and ids.

use crate::service::{ACC, Admin, Answer, ENV, Service, request};
use actix_web::http::Method;
use serde_json::{Value, json};

async fn post_raw(service: &Service, admin: &Admin, path: &str, media: &str, body: &[u8]) -> Answer {
    let request = request(Method::POST, path, &admin.token).insert_header(("content-type", media));
    service.send(request.set_payload(body.to_vec())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_told_apart_from_what_is_not_accepted() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/roles");
    for bad in [
        &b""[..],
        b"{",
        b"{} {}",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"a\",\"name\":\"b\"}",
        b"nope",
    ] {
        let answer = post_raw(&service, &admin, &path, "application/json", bad).await;
        answer.refused(400, "request.malformed_json");
        assert!(answer.body["error"]["details"]["line"].is_number());
    }
    let deep = "[".repeat(200_000);
    let answer = post_raw(&service, &admin, &path, "application/json", deep.as_bytes()).await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(answer.fields(), [format!("{} too_deep", "/0".repeat(128))]);
    let answer = post_raw(&service, &admin, &path, "application/json; charset=UTF-8", b"[]").await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(answer.fields(), [" wrong_type"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_media_types_are_415() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/roles");
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "json",
        "",
    ] {
        let answer = post_raw(&service, &admin, &path, media, b"{\"name\":\"x\"}").await;
        answer.refused(415, "request.unsupported_media_type");
    }
    let packed = request(Method::POST, &path, &admin.token)
        .insert_header(("content-type", "application/json"))
        .insert_header(("content-encoding", "gzip"));
    service
        .send(packed.set_payload("{}"))
        .await
        .refused(415, "request.unsupported_media_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_request_come_at_once() {
    let (service, admin) = Service::with_acme().await;
    let batch = json!({
        "assignments": [
            { "identity_id": "x", "node_id": null, "role_id": 7, "effective_to": "tomorrow" },
            { "identity_id": "0198a7b1-7c3e-7000-8000-000000000001", "node_id": "0198a7b1-7c3e-7000-8000-000000000001",
              "role_id": "0198A7B1-7C3E-7000-8000-000000000001", "effective_from": "9999-12-31T23:59:59-01:00", "note": "" },
        ],
        "atomic": "no",
    });
    let answer = service
        .post(
            &format!("{ENV}/assignments/bulk-create?dry_run=true"),
            &admin.token,
            &batch,
        )
        .await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(
        answer.fields(),
        [
            "/dry_run unknown_parameter",
            "/assignments/0/identity_id invalid_uuid",
            "/assignments/0/node_id required",
            "/assignments/0/role_id wrong_type",
            "/assignments/0/effective_to invalid_timestamp",
            "/assignments/1/effective_from out_of_range",
            "/assignments/1/note unknown_field",
            "/atomic wrong_type",
        ]
    );
    let error = &answer.body["error"];
    assert!(!error["message"].as_str().unwrap().contains("0198"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_at_least_one_item_and_at_most_ten_thousand() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/assignments/bulk-remove");
    let id = "0198a7b1-7c3e-7000-8000-000000000001";
    let ask = |count: usize| json!({ "assignment_ids": vec![id; count] });
    let empty = service.post(&path, &admin.token, &ask(0)).await;
    assert_eq!(
        (empty.status, empty.fields()),
        (400, vec!["/assignment_ids empty".to_owned()])
    );
    let long = service.post(&path, &admin.token, &ask(10_001)).await;
    assert_eq!(
        (long.status, long.fields()),
        (400, vec!["/assignment_ids too_many_items".to_owned()])
    );
    service
        .post(&path, &admin.token, &ask(10_000))
        .await
        .refused(404, "rbac.assignment_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_calls_take_as_many_items_as_is_configured() {
    let (mut service, admin) = Service::with_acme().await;
    service.state = service.state.clone().with_max_items(3);
    let path = format!("{ENV}/assignments/bulk-remove");
    let ask = |count: usize| json!({ "assignment_ids": vec!["0198a7b1-7c3e-7000-8000-000000000001"; count] });
    let long = service.post(&path, &admin.token, &ask(4)).await;
    assert_eq!(
        (long.status, long.fields()),
        (400, vec!["/assignment_ids too_many_items".to_owned()])
    );
    let fits = service.post(&path, &admin.token, &ask(3)).await;
    fits.refused(404, "rbac.assignment_not_found");
    let document = service.get("/openapi.json", &admin.token).await.body;
    let list = &document["components"]["schemas"]["BulkRemoveAssignments"]["properties"]["assignment_ids"];
    assert_eq!(list["maxItems"], 3);
    // Lists that belong to one thing are no bulk.
    let role =
        json!({ "name": "Auditor", "permission_keys": ["role.read", "node.read", "audit.read", "identity.read"] });
    service
        .post(&format!("{ENV}/roles"), &admin.token, &role)
        .await
        .expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_which_nothing_is_needed_may_be_left_out() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/api-keys");
    let new = json!({ "name": "Backend", "access_mode": "full_access" });
    let made = service.post(&path, &admin.token, &new).await.expect(201);
    let rotate = |id: &Value| format!("{path}/{}/rotate", id.as_str().unwrap());
    let bare = request(Method::POST, &rotate(&made["id"]), &admin.token);
    let next = service.send(bare).await.expect(200);
    let listed = service.get(&path, &admin.token).await.expect(200);
    let ids: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["id"])
        .collect();
    assert_eq!(ids, [&next["id"]], "there is no overlap");
    // What is sent is read all the same.
    let path = rotate(&next["id"]);
    for (media, body, status, code) in [
        ("text/plain", &b"{}"[..], 415, "request.unsupported_media_type"),
        ("application/json", b"{", 400, "request.malformed_json"),
        ("application/json", b"{\"overlap\":1}", 400, "request.validation_failed"),
    ] {
        post_raw(&service, &admin, &path, media, body)
            .await
            .refused(status, code);
    }
    let empty = request(Method::POST, &path, &admin.token)
        .insert_header(("content-type", "application/json"))
        .insert_header(("content-length", "0"));
    let last = service.send(empty).await.expect(200);
    let path = rotate(&last["id"]);
    service.post(&path, &admin.token, &json!({})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_have_lines_and_a_blank_one_is_none() {
    let (service, admin) = Service::with_acme().await;
    let lines = "Reads notes.\r\n\n\t- and comments";
    let described = |name: &str, text: &str| json!({ "name": name, "description": text });
    let path = format!("{ENV}/roles");
    let made = service
        .post(&path, &admin.token, &described("A", lines))
        .await
        .expect(201);
    assert_eq!(made["description"], lines);
    let none = service
        .post(&path, &admin.token, &described("B", " \n"))
        .await
        .expect(201);
    assert_eq!(none["description"], Value::Null);
    let bad = service.post(&path, &admin.token, &described("C", "bell\u{7}")).await;
    assert_eq!(
        (bad.status, bad.fields()),
        (400, vec!["/description control_character".to_owned()])
    );
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let clear = request(Method::PATCH, &one, &admin.token).insert_header(("if-match", "1"));
    let cleared = service
        .send(clear.set_json(json!({ "description": "" })))
        .await
        .expect(200);
    assert_eq!(
        (&cleared["description"], &cleared["version"]),
        (&Value::Null, &json!(2))
    );
    let permission = json!({ "permissions": [{ "key": "note.read", "description": "" }, { "key": "note.write", "description": lines }] });
    let made = service
        .post(&format!("{ENV}/permissions"), &admin.token, &permission)
        .await
        .expect(201);
    assert_eq!(
        (&made["items"][0]["description"], &made["items"][1]["description"]),
        (&Value::Null, &json!(lines))
    );
    // What is exported is imported as it is.
    let mut document = service.get(&format!("{ENV}/export"), &admin.token).await.expect(200);
    let import = format!("{ENV}/import");
    let same = service.post(&import, &admin.token, &document).await.expect(200);
    assert_eq!(
        same["changes"]["permissions"],
        json!({ "kept": 2, "changed": 0, "removed": 0, "added": 0 })
    );
    document["permissions"][1]["description"] = json!("");
    let blank = service.post(&import, &admin.token, &document).await.expect(200);
    assert_eq!(blank["changes"]["permissions"]["changed"], 1);
    let names = service.post(&path, &admin.token, &described("", "x")).await;
    assert_eq!(names.fields(), ["/name empty"], "a blank name is none all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_fields_that_are_not_supported_have_their_own_code() {
    let (service, admin) = Service::with_acme().await;
    let new = json!({ "email": "a@b.c", "first_name": "A", "last_name": "B", "password": "secret", "mfa": true });
    let answer = service.post(&format!("{ACC}/identities"), &admin.token, &new).await;
    answer.refused(400, "request.unsupported_field");
    assert_eq!(
        answer.fields(),
        ["/mfa unsupported_field", "/password unsupported_field"]
    );
    assert!(!answer.text.contains("secret"));
    // `null` equals absent, here too.
    let new = json!({ "email": "a@b.c", "first_name": "A", "last_name": "B", "password": null });
    let path = format!("{ACC}/identities");
    service.post(&path, &admin.token, &new).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_faults_stays_small_however_long_the_names_are() {
    let (service, admin) = Service::with_acme().await;
    let name = "k".repeat(200_000);
    let schema = |entry: Value| {
        let whole = json!({ "node_types": ["a"], "allowed_children": entry, "max_depth": 1, "root_node_type": "a" });
        request(Method::PATCH, &format!("{ENV}/hierarchy-schema"), &admin.token)
            .insert_header(("if-match", "1"))
            .set_json(whole)
    };
    // What stands behind a bad name is not read.
    let answer = service.send(schema(json!({ name.as_str(): vec![7; 10_000] }))).await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(answer.fields().len(), 1);
    assert!(answer.text.len() < 2_000, "{}", answer.text.len());
    // Nor do many long names that are unknown add up.
    let names = (0..10_000).map(|n| (format!("{n:\u{1}>100}"), json!(1)));
    let role = Value::Object(names.collect());
    let answer = service.post(&format!("{ENV}/roles"), &admin.token, &role).await;
    answer.refused(400, "request.validation_failed");
    assert!(answer.text.len() < 2 * 1024 * 1024, "{}", answer.text.len());
    let (listed, omitted) = (answer.fields().len(), &answer.body["error"]["details"]["omitted"]);
    // All of them, and the name that is missing.
    assert_eq!(listed as u64 + omitted.as_u64().unwrap(), 10_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_a_bounded_number_of_values() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/assignments/bulk-create");
    let flood = format!("[{}{{}}]", "{},".repeat(2_500_000));
    let answer = post_raw(&service, &admin, &path, "application/json", flood.as_bytes()).await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(answer.fields(), [" too_many_values"]);
    // The largest call there is stays far below the bound.
    let item = |n: usize| {
        json!({ "email": format!("{n}@b.c"), "first_name": "A", "last_name": "B", "external_id": n.to_string(),
            "metadata": { "a": 1, "b": [1, 2, 3], "c": { "d": null, "e": "f" } } })
    };
    let items: Vec<Value> = (0..10_000).map(item).collect();
    let batch = json!({ "identities": items, "dry_run": true });
    let path = format!("{ACC}/identities/bulk-create");
    service.post(&path, &admin.token, &batch).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_makes_a_bounded_number_of_keys_and_grants() {
    let (service, admin) = Service::with_acme().await;
    let id = "0198a7b1-7c3e-7000-8000-000000000001";
    let resources = |resources: usize, actions: usize| {
        let actions: Vec<String> = (0..actions).map(|n| format!("a{n}")).collect();
        let one = |n| json!({ "name": format!("r{n}"), "actions": actions });
        (0..resources).map(one).collect::<Vec<Value>>()
    };
    let holders = |roles: usize, role: &dyn Fn(usize) -> Value| {
        let keys = vec!["r0.a0"; 1_000];
        let one = |n| {
            let mut role = role(n);
            role["permission_keys"] = json!(keys);
            role
        };
        (0..roles).map(one).collect::<Vec<Value>>()
    };
    let named = |n| json!({ "name": format!("R{n}") });
    let gains = |_| json!({ "role_id": id });
    let bootstrap = format!("{ENV}/setup/access-bootstrap");
    let addition = format!("{ENV}/setup/resource-permissions");
    for (path, body, expected) in [
        (
            &bootstrap,
            json!({ "resources": resources(501, 100), "roles": [] }),
            "/resources too_many_items",
        ),
        (
            &bootstrap,
            json!({ "resources": [], "roles": holders(1_001, &named) }),
            "/roles too_many_items",
        ),
        (
            &addition,
            json!({ "resources": resources(501, 100), "role_permissions": [] }),
            "/resources too_many_items",
        ),
        (
            &addition,
            json!({ "resources": [], "role_permissions": holders(1_001, &gains) }),
            "/role_permissions too_many_items",
        ),
    ] {
        let answer = service.post(path, &admin.token, &body).await;
        answer.refused(400, "request.validation_failed");
        assert_eq!(answer.fields(), [expected]);
    }
    let most = json!({ "resources": resources(100, 100), "roles": holders(100, &named) });
    let made = service.post(&bootstrap, &admin.token, &most).await.expect(201);
    assert_eq!(
        (&made["permissions_created"], &made["roles_created"]),
        (&json!(10_000), &json!(100))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_judged_by_their_names_and_by_their_actions() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/setup/access-bootstrap");
    let body = json!({
        "resources": [
            { "name": "bad name", "actions": [] },
            { "name": "a..b", "actions": ["ok", "no!", ""] },
            { "name": "a.b", "actions": ["c.d"] },
            { "name": "x".repeat(101), "actions": 7 },
        ],
        "roles": [{ "name": " " }],
    });
    let answer = service.post(&path, &admin.token, &body).await;
    answer.refused(400, "request.validation_failed");
    let expected = [
        "/resources/0/name invalid_permission_key",
        "/resources/1/name invalid_permission_key",
        "/resources/1/actions/1 invalid_permission_key",
        "/resources/1/actions/2 invalid_permission_key",
        "/resources/3/name invalid_permission_key",
        "/resources/3/actions wrong_type",
        "/roles/0/name empty",
        "/roles/0/permission_keys required",
    ];
    assert_eq!(answer.fields(), expected);
    // Each may be right and the key still too long.
    let name = ["x".repeat(100), "y".repeat(100)].join(".");
    let body = json!({ "resources": [{ "name": name, "actions": ["read", "z".repeat(60)] }], "roles": [] });
    let answer = service.post(&path, &admin.token, &body).await;
    assert_eq!(answer.fields(), ["/resources/0/actions/1 too_long"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_that_asks_for_nothing_is_refused() {
    let (service, admin) = Service::with_acme().await;
    for (tail, member) in [
        ("access-bootstrap", "roles"),
        ("resource-permissions", "role_permissions"),
    ] {
        let path = format!("{ENV}/setup/{tail}");
        let answer = service
            .post(&path, &admin.token, &json!({ "resources": [], member: [] }))
            .await;
        answer.refused(400, "request.validation_failed");
        assert_eq!(answer.fields(), ["/resources empty"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_role_name_is_told_once() {
    let (service, admin) = Service::with_acme().await;
    let role = |name: &str| json!({ "name": name, "permission_keys": [] });
    let body = json!({ "resources": [], "roles": [role("A"), role("a"), role("A"), role("B")] });
    let answer = service
        .post(&format!("{ENV}/setup/access-bootstrap"), &admin.token, &body)
        .await;
    answer.refused(400, "rbac.duplicate_role_name");
    assert_eq!(answer.body["error"]["details"]["names"], json!(["a"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_fits_together_is_judged_beside_the_other_faults() {
    let (service, admin) = Service::with_acme().await;
    let id = "0198a7b1-7c3e-7000-8000-000000000001";
    let question = json!({ "identity_id": "x", "permission": 7, "scope": "app_wide", "node_id": id });
    let answer = service
        .post(&format!("{ENV}/permissions/evaluate"), &admin.token, &question)
        .await;
    assert_eq!(
        answer.fields(),
        [
            "/identity_id invalid_uuid",
            "/permission wrong_type",
            "/node_id not_allowed"
        ]
    );
    let node = |more: Value| {
        let mut node = json!({ "node_type": "!", "name": "A" });
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node
    };
    let nodes = json!({ "nodes": [node(json!({ "parent_ref": "r", "parent_node_id": id })), node(json!({})), 7] });
    let answer = service
        .post(&format!("{ENV}/nodes/bulk-create"), &admin.token, &nodes)
        .await;
    assert_eq!(
        answer.fields(),
        [
            "/nodes/0/node_type invalid_node_type",
            "/nodes/0/parent_ref not_allowed",
            "/nodes/1/node_type invalid_node_type",
            "/nodes/1/parent_node_id required",
            "/nodes/2 wrong_type",
        ]
    );
    let schema = json!({
        "node_types": ["a", "b", "c", "b"], "root_node_type": "r", "max_depth": 2,
        "allowed_children": { "a": ["b", "y", "c", "y"], "zz": ["q", "a"] },
    });
    let asked = request(Method::PATCH, &format!("{ENV}/hierarchy-schema"), &admin.token);
    let answer = service
        .send(asked.insert_header(("if-match", "1")).set_json(&schema))
        .await;
    assert_eq!(
        answer.fields(),
        [
            "/node_types/3 repeated",
            "/root_node_type unknown_node_type",
            "/allowed_children/a/1 unknown_node_type",
            "/allowed_children/zz unknown_node_type",
            "/allowed_children/zz/0 unknown_node_type",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_ids_and_queries_are_400_and_unknown_ids_404() {
    let (service, admin) = Service::with_acme().await;
    let bad = service.get(&format!("{ENV}/roles/7"), &admin.token).await;
    bad.refused(400, "request.validation_failed");
    assert_eq!(bad.fields(), ["/roleId invalid_uuid"]);
    for unknown in [
        "0198a7b1-7c3e-7000-8000-000000000001",
        "00000000-0000-0000-0000-000000000000",
    ] {
        service
            .get(&format!("{ENV}/roles/{unknown}"), &admin.token)
            .await
            .refused(404, "rbac.role_not_found");
    }
    let list = format!("{ENV}/assignments/app-wide?page=0&take=101&sort_by=age&status=gone&role_id=x&x=1&page=2");
    let bad = service.get(&list, &admin.token).await;
    bad.refused(400, "request.validation_failed");
    assert_eq!(
        bad.fields(),
        [
            "/page repeated",
            "/take out_of_range",
            "/sort_by not_one_of",
            "/role_id invalid_uuid",
            "/status not_one_of",
            "/x unknown_parameter",
        ]
    );
    let far = service
        .get(&format!("{ENV}/assignments/app-wide?page=4294967295"), &admin.token)
        .await
        .expect(200);
    assert_eq!(far["items"], json!([]));
    let past = service
        .get(
            &format!("{ENV}/assignments/app-wide?page=4294967296&q=%ff"),
            &admin.token,
        )
        .await;
    assert_eq!(past.fields(), ["/page out_of_range", "/q invalid_encoding"]);
    assert!(past.text.contains("from 1 to 4294967295"), "{}", past.text);
    let search = service
        .get(&format!("{ENV}/assignments/app-wide?q=%00"), &admin.token)
        .await;
    assert_eq!(search.fields(), ["/q control_character"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_needs_a_node_exactly_for_its_scope() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/permissions/evaluate");
    let id = "0198a7b1-7c3e-7000-8000-000000000001";
    let ask = |scope: &str, node: Option<&str>| json!({ "identity_id": id, "permission": "no key at all", "scope": scope, "node_id": node });
    let missing = service.post(&path, &admin.token, &ask("node", None)).await;
    assert_eq!(
        (missing.status, missing.fields()),
        (400, vec!["/node_id required".to_owned()])
    );
    let extra = service.post(&path, &admin.token, &ask("app_wide", Some(id))).await;
    assert_eq!(
        (extra.status, extra.fields()),
        (400, vec!["/node_id not_allowed".to_owned()])
    );
    let wrong = service.post(&path, &admin.token, &ask("everywhere", None)).await;
    assert_eq!(wrong.fields(), ["/scope not_one_of"]);
    let unknown = service
        .post(&path, &admin.token, &ask("app_wide", None))
        .await
        .expect(200);
    assert_eq!(unknown["denial_reason"], "identity_not_found");
}
