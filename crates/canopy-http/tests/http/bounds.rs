//! Answers bounded by bytes, and work that leaves the HTTP workers.

use crate::service::{APP, Admin, ENV, Service, request};
use actix_web::http::Method;
use serde_json::{Value, json};

/// An environment whose one member holds many roles, each with the permission `note.read`.
struct Crowd {
    service: Service,
    admin: Admin,
    person: String,
    root: String,
}

impl Crowd {
    async fn of(roles: usize) -> Self {
        let (service, admin) = Service::with_acme().await;
        let token = admin.token.as_str();
        let name = |number: usize| format!("{number:0>90}");
        let named: Vec<Value> = (0..roles)
            .map(|number| json!({ "name": name(number), "permission_keys": ["note.read"] }))
            .collect();
        let setup = json!({ "resources": [{ "name": "note", "actions": ["read"] }], "roles": named });
        service
            .post(&format!("{ENV}/setup/access-bootstrap"), token, &setup)
            .await
            .expect(201);
        let root = service.get(&format!("{ENV}/nodes"), token).await.expect(200)["tree"][0]["id"].clone();
        let person = json!({ "email": "a@x.org", "first_name": "A", "last_name": "B" });
        let person = service
            .post(&format!("{APP}/identities"), token, &person)
            .await
            .expect(201)["id"]
            .clone();
        let listed = service
            .get(&format!("{ENV}/roles?type=custom"), token)
            .await
            .expect(200);
        let items: Vec<Value> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|role| json!({ "identity_id": person, "role_id": role["id"], "node_id": root }))
            .collect();
        let path = format!("{ENV}/assignments/bulk-create");
        service
            .post(&path, token, &json!({ "assignments": items }))
            .await
            .expect(200);
        Self {
            service,
            person: person.as_str().unwrap().to_owned(),
            root: root.as_str().unwrap().to_owned(),
            admin,
        }
    }

    fn question(&self) -> Value {
        json!({ "identity_id": self.person, "permission": "note.read", "scope": "node", "node_id": self.root })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_past_its_bound_is_refused_with_the_bound() {
    let mut crowd = Crowd::of(50).await;
    crowd.service.state = crowd.service.state.clone().with_max_answer_bytes(1_000_000);
    let (service, token) = (&crowd.service, crowd.admin.token.as_str());
    let path = format!("{ENV}/permissions/evaluate/bulk");
    let ask = async |count: usize| {
        let body = json!({ "evaluations": vec![crowd.question(); count] });
        service.post(&path, token, &body).await
    };
    // An answer has about 5,000 bytes: few are judged where they are asked, more of them elsewhere.
    for count in [1, 10, 150] {
        let body = ask(count).await.expect(200);
        let results = body["results"].as_array().unwrap();
        assert_eq!(results.len(), count);
        assert!(
            results
                .iter()
                .all(|one| one["granting_roles"].as_array().unwrap().len() == 50)
        );
    }
    let refused = ask(250).await;
    refused.refused(400, "request.answer_too_large");
    assert_eq!(refused.body["error"]["details"], json!({ "max_bytes": 1_000_000 }));
    // Lists are bounded alike.
    crowd.service.state = crowd.service.state.clone().with_max_answer_bytes(10_000);
    let listed = crowd.service.get(&format!("{ENV}/roles"), token).await;
    listed.refused(400, "request.answer_too_large");
    let explained = crowd
        .service
        .post(&format!("{ENV}/permissions/explain"), token, &crowd.question())
        .await;
    explained.refused(400, "request.answer_too_large");
    // What was done is told, whatever its size.
    let nodes: Vec<Value> = (0..40)
        .map(|number| json!({ "email": format!("p{number}@x.org"), "first_name": "P", "last_name": "Q" }))
        .collect();
    let path = format!("{}/identities/bulk-create", crate::service::ACC);
    let made = crowd.service.post(&path, token, &json!({ "identities": nodes })).await;
    assert!(made.text.len() > 10_000);
    made.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_shows_a_thousand_and_counts_all() {
    let crowd = Crowd::of(1_010).await;
    let path = format!("{ENV}/permissions/explain");
    let body = crowd
        .service
        .post(&path, &crowd.admin.token, &crowd.question())
        .await
        .expect(200);
    let grants = body["grants"].as_array().unwrap();
    assert_eq!(
        (grants.len(), &body["grant_count"], &body["complete"]),
        (1_000, &json!(1_010), &json!(false))
    );
    let ids: Vec<&str> = grants
        .iter()
        .map(|one| one["assignment_id"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted());
    assert_eq!(
        (&body["near_misses"], &body["near_miss_count"]),
        (&json!([]), &json!(0))
    );
    let mut elsewhere = crowd.question();
    elsewhere["node_id"] = json!("00000000-0000-7000-8000-00000000dead");
    let body = crowd
        .service
        .post(&path, &crowd.admin.token, &elsewhere)
        .await
        .expect(200);
    assert_eq!(body["near_misses"].as_array().unwrap().len(), 1_000);
    assert_eq!(
        (&body["near_miss_count"], &body["grant_count"]),
        (&json!(1_010), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_of_a_bulk_call_is_answered_with_the_very_bytes() {
    let (service, admin) = Service::with_acme().await;
    let people: Vec<Value> = (0..300)
        .map(|number| json!({ "email": format!("p{number}@x.org"), "first_name": "P", "last_name": "Q", "metadata": { "n": number } }))
        .chain([json!({ "email": "p0@x.org", "first_name": "P", "last_name": "Q" })])
        .collect();
    let body = json!({ "identities": people, "atomic": false });
    let send = async || {
        let path = format!("{}/identities/bulk-create", crate::service::ACC);
        let asked = request(Method::POST, &path, &admin.token).insert_header(("idempotency-key", "once"));
        service.send(asked.set_json(&body)).await
    };
    let first = send().await;
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (207, None),
        "{}",
        first.text
    );
    let again = send().await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (207, Some("true"))
    );
    assert_eq!(again.text, first.text);
    assert_eq!(first.body["results"][7]["input"], people[7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_longer_than_any_name_are_denied_and_harm_nobody() {
    let crowd = Crowd::of(1).await;
    let (service, token) = (&crowd.service, crowd.admin.token.as_str());
    let bound = service.bound_token(&crowd.admin, &service.environment_id(&crowd.admin, ENV).await);
    let endless = "a/".repeat(1_000_000);
    for (subject, kind, action, resource, reason) in [
        (
            endless.as_str(),
            "node",
            "note.read",
            crowd.root.as_str(),
            "identity_not_found",
        ),
        (&crowd.person, "node", "note.read", &endless, "node_not_found"),
        (&crowd.person, "node", &endless, &crowd.root, "permission_not_found"),
        (&crowd.person, &endless, "note.read", &crowd.root, "node_not_found"),
        (&crowd.person, "node", "note.read", &crowd.root, "granted"),
    ] {
        let body = json!({ "subject": { "type": "user", "id": subject }, "action": { "name": action },
            "resource": { "type": kind, "id": resource } });
        let one = service.post("/access/v1/evaluation", &bound, &body).await.expect(200);
        assert_eq!(one["context"]["reason"], reason);
        let mut many = body;
        many["evaluations"] = json!([{}, {}]);
        let many = service.post("/access/v1/evaluations", &bound, &many).await.expect(200);
        assert_eq!(many["evaluations"], json!([one, one]));
    }
    let mut asked = crowd.question();
    asked["permission"] = json!(endless);
    let denied = service
        .post(&format!("{ENV}/permissions/evaluate"), token, &asked)
        .await
        .expect(200);
    assert_eq!(denied["denial_reason"], "permission_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_evaluations_are_answered_like_each_alone() {
    let crowd = Crowd::of(2).await;
    let service = &crowd.service;
    let bound = service.bound_token(&crowd.admin, &service.environment_id(&crowd.admin, ENV).await);
    // So many that they are judged on a thread for long work, with names that the store must be asked for.
    let parts = [
        json!({}),
        json!({ "subject": { "id": "nobody@x.org" } }),
        json!({ "subject": { "type": "robot" } }),
        json!({ "resource": { "id": "no-such-slug" } }),
        json!({ "resource": { "type": "root", "id": crowd.root } }),
        json!({ "action": { "name": "note.write" } }),
    ];
    let items: Vec<&Value> = parts.iter().cycle().take(600).collect();
    let mut body = json!({ "subject": { "type": "user", "id": "a@x.org" }, "action": { "name": "note.read" },
        "resource": { "type": "node", "id": "acme" } });
    body["evaluations"] = json!(items);
    let all = service.post("/access/v1/evaluations", &bound, &body).await.expect(200);
    let all = all["evaluations"].as_array().unwrap();
    assert_eq!(all.len(), 600);
    let reasons: Vec<&str> = all
        .iter()
        .take(6)
        .map(|one| one["context"]["reason"].as_str().unwrap())
        .collect();
    let expected = [
        "granted",
        "identity_not_found",
        "identity_not_found",
        "node_not_found",
        "granted",
        "permission_not_found",
    ];
    assert_eq!(reasons, expected);
    assert!(all.chunks(6).all(|some| some == &all[..6]));
    let mut lacking = body;
    lacking["subject"] = json!({ "type": "user" });
    let all = service
        .post("/access/v1/evaluations", &bound, &lacking)
        .await
        .expect(200);
    assert_eq!(
        all["evaluations"][0]["context"]["error"],
        json!({ "status": 400, "message": "/subject/id is required" })
    );
    assert_eq!(all["evaluations"][1]["context"]["reason"], "identity_not_found");
}
