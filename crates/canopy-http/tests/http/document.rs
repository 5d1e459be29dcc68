//! The OpenAPI document says what is served, no more and no less.

use crate::service::Service;
use actix_web::http::Method;
use actix_web::test::TestRequest;
use canopy_app::authzen::terms::Verdict;
use canopy_domain::access::Shortfall;
use canopy_domain::{SYSTEM_PERMISSION_KEYS, SchemaBreakReason};
use canopy_http::{ErrorCode, FIELD_CODES, openapi};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

fn object<'a>(value: &'a Value, pointer: &str) -> &'a Map<String, Value> {
    value.pointer(pointer).and_then(Value::as_object).unwrap()
}

/// Path, method and operation of each call.
fn calls(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = object(document, "/paths").iter();
    paths
        .flat_map(|(path, item)| {
            let calls = item.as_object().unwrap().iter();
            calls.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

/// Returns whether a call requires no credential.
fn is_open(operation: &Value) -> bool {
    operation["security"] == json!([{}])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_documented_is_served_and_what_is_served_is_documented() {
    let service = Service::new();
    let document = document();
    let mut by_path: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, method, operation) in calls(&document) {
        by_path.entry(path).or_default().insert(method.to_uppercase());
        let uri = path.replace(['{', '}'], "");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let answer = service.send(TestRequest::with_uri(&uri).method(method.clone())).await;
        let open = is_open(operation);
        assert_eq!(answer.status, if open { 200 } else { 401 }, "{method} {path}");
    }
    for (path, methods) in by_path {
        let uri = path.replace(['{', '}'], "");
        let answer = service.send(TestRequest::with_uri(&uri).method(Method::TRACE)).await;
        let mut allowed: BTreeSet<String> = answer.header("allow").unwrap().split(", ").map(str::to_owned).collect();
        // HEAD comes with GET and is not described apart from it.
        assert_eq!(allowed.remove("HEAD"), methods.contains("GET"), "{path}");
        assert_eq!((answer.status, allowed), (405, methods), "{path}");
    }
}

#[test]
fn every_call_has_a_name_of_its_own_a_summary_and_all_its_answers() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["info"]["title"], "Canopy");
    let mut names = BTreeSet::new();
    let known: BTreeMap<&str, u16> = ErrorCode::ALL
        .iter()
        .map(|code| (code.as_str(), code.status()))
        .collect();
    for (path, method, operation) in calls(&document) {
        assert!(
            names.insert(operation["operationId"].as_str().unwrap()),
            "{method} {path}"
        );
        assert!(
            operation["summary"].as_str().unwrap().ends_with(['.', '?']),
            "{method} {path}"
        );
        let responses = object(operation, "/responses");
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{method} {path}"
        );
        if !is_open(operation) {
            for status in ["400", "401", "403", "500", "503"] {
                assert!(responses.contains_key(status), "{method} {path} {status}");
            }
        }
        // The codes of items have statuses of their own.
        for (status, response) in responses.iter().filter(|(status, _)| *status != "207") {
            for code in response.get("x-codes").and_then(Value::as_array).into_iter().flatten() {
                assert_eq!(
                    known[code.as_str().unwrap()].to_string(),
                    *status,
                    "{method} {path} {code}"
                );
            }
        }
        let templated: BTreeSet<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let declared: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(templated, declared, "{method} {path}");
    }
}

#[test]
fn each_surface_has_its_credentials() {
    let document = document();
    let schemes = object(&document, "/components/securitySchemes");
    assert_eq!(schemes["apiKey"]["name"], "X-API-Key");
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    for (path, method, operation) in calls(&document) {
        let about_caller = path == "/api/v1/me" || path.starts_with("/api/v1/me/");
        let expected = if path.starts_with("/portal/v1/") || about_caller {
            json!([{ "bearer": [] }])
        } else if path.starts_with("/api/v1/") || path.starts_with("/access/v1/") {
            json!([{ "apiKey": [] }, { "bearer": [] }])
        } else {
            json!([{}])
        };
        assert_eq!(operation["security"], expected, "{method} {path}");
        // Every call that takes keys says which scope it needs of them, and can refuse them.
        let takes_keys = operation["security"][0].get("apiKey").is_some();
        let scope = operation.get("x-key-scope").and_then(Value::as_str);
        assert_eq!(scope.is_some(), takes_keys, "{method} {path}");
        assert!(
            scope.is_none_or(|scope| SYSTEM_PERMISSION_KEYS.contains(&scope)),
            "{method} {path}"
        );
        let codes = operation["responses"]["403"]["x-codes"].to_string();
        assert_eq!(codes.contains("auth.scope_missing"), takes_keys, "{method} {path}");
    }
}

#[test]
fn what_is_served_on_both_surfaces_is_the_same_but_for_its_place() {
    const ENV: &str = "/portal/v1/accounts/{accountSlug}/applications/{appSlug}/environments/{envSlug}";
    let document = document();
    let mut compared = 0;
    for (path, method, public) in calls(&document) {
        let Some(tail) = path.strip_prefix("/api/v1") else {
            continue;
        };
        let portal = &document["paths"][format!("{ENV}{tail}")][method];
        if portal.is_null() {
            continue;
        }
        compared += 1;
        assert_eq!(public["requestBody"], portal["requestBody"], "{method} {path}");
        let succeeded = |operation: &Value| {
            let mut responses = object(operation, "/responses").clone();
            responses.retain(|status, _| status.starts_with('2'));
            responses
        };
        assert_eq!(succeeded(public), succeeded(portal), "{method} {path}");
        let parameters = |operation: &Value| {
            let listed = operation["parameters"].as_array().into_iter().flatten();
            let own = listed.filter(|one| !one["name"].as_str().unwrap().ends_with("Slug"));
            own.cloned().collect::<Vec<_>>()
        };
        assert_eq!(parameters(public), parameters(portal), "{method} {path}");
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn a_call_whose_body_needs_nothing_takes_none() {
    let document = document();
    let mut optional = Vec::new();
    for (path, method, operation) in calls(&document) {
        let Some(body) = operation.get("requestBody").filter(|_| method == "post") else {
            continue;
        };
        // AuthZEN demands a body, and reads past what it does not know.
        if path.starts_with("/access/v1") {
            assert_eq!(body["required"], true, "{}", operation["operationId"]);
            continue;
        }
        let schema = &body["content"]["application/json"]["schema"]["$ref"];
        let schema = document
            .pointer(schema.as_str().unwrap().trim_start_matches('#'))
            .unwrap();
        let needs_nothing = schema
            .get("required")
            .is_none_or(|names| names == &serde_json::json!([]));
        assert_eq!(body["required"], !needs_nothing, "{}", operation["operationId"]);
        if needs_nothing {
            optional.push(operation["operationId"].as_str().unwrap());
        }
    }
    assert_eq!(optional, ["publicRotateApiKey", "rotateApiKey"]);
}

#[test]
fn no_schema_is_composed_of_nothing() {
    fn check(value: &Value, at: &str) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if ["allOf", "anyOf", "oneOf"].contains(&name.as_str()) {
                        assert!(member.as_array().is_none_or(|of| !of.is_empty()), "{at}/{name}");
                    }
                    check(member, &format!("{at}/{name}"));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, at)),
            _ => {}
        }
    }
    check(&document(), "");
}

#[test]
fn bulk_calls_list_the_codes_of_their_items_and_only_some_calls_have_unsupported_fields() {
    let document = document();
    let (mut bulk, mut unsupported) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in calls(&document) {
        let codes = |status: &str| {
            let codes = operation["responses"][status]["x-codes"].as_array();
            codes
                .into_iter()
                .flatten()
                .map(|code| code.as_str().unwrap())
                .collect::<BTreeSet<_>>()
        };
        let name = operation["operationId"].as_str().unwrap();
        if operation["responses"].get("207").is_some() {
            let codes = codes("207");
            assert!(codes.contains("bulk.rolled_back") && codes.len() > 3, "{method} {path}");
            let description = operation["responses"]["207"]["description"].as_str().unwrap();
            assert!(codes.iter().all(|code| description.contains(code)), "{method} {path}");
            bulk.insert(name.to_owned());
        }
        if codes("400").contains("request.unsupported_field") {
            unsupported.insert(name.to_owned());
        }
    }
    let expected = [
        "bulkAttachIdentities",
        "bulkCreateAssignments",
        "bulkCreateIdentities",
        "bulkCreateNodes",
        "publicBulkCreateAssignments",
        "publicBulkCreateNodes",
    ];
    assert_eq!(bulk, expected.map(str::to_owned).into());
    assert_eq!(
        unsupported,
        [
            "bulkCreateIdentities",
            "changeApplicationIdentity",
            "changeIdentity",
            "createApplicationIdentity",
            "createIdentity",
            "importEnvironment",
            "publicChangeApplicationIdentity",
            "publicCreateApplicationIdentity",
        ]
        .map(str::to_owned)
        .into()
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    collect(&document, &mut used);
    let schemas: BTreeSet<String> = object(&document, "/components/schemas")
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    assert_eq!(used, schemas);
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_its_page_are_served_and_need_no_network() {
    let service = Service::new();
    let served = service.send(TestRequest::get().uri("/openapi.json")).await;
    assert_eq!(served.expect(200), document());
    let page = service.send(TestRequest::get().uri("/docs")).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    for (path, _, operation) in calls(&document()) {
        assert!(page.text.contains(path), "{path}");
        assert!(page.text.contains(operation["operationId"].as_str().unwrap()));
    }
    assert!(page.text.contains("<li><code>bulk.rolled_back</code>"));
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.text.contains(outside), "{outside}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_at_the_root_links_to_paths_that_are_answered() {
    let service = Service::new();
    let page = service.send(TestRequest::get().uri("/")).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let links: Vec<&str> = page
        .text
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(links.contains(&"/docs"), "{links:?}");
    for link in links {
        let answer = service.send(TestRequest::get().uri(link)).await;
        assert_eq!(answer.status, 200, "{link}");
    }
}

/// A section of the page of errors, up to the next heading.
fn section_of_errors(heading: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The codes that the first column of a table names.
fn codes_of_rows(section: &str) -> Vec<&str> {
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|line| line.split('|').nth(1));
    let mut codes: Vec<&str> = first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    codes.sort_unstable();
    codes
}

#[test]
fn every_code_that_a_client_can_see_is_explained() {
    let fields = section_of_errors("Codes of fields");
    assert_eq!(codes_of_rows(&fields), FIELD_CODES);
    let mut reasons: Vec<&str> = Verdict::all().map(Verdict::as_str).collect();
    reasons.extend(Shortfall::ALL.iter().map(|reason| reason.as_str()));
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(codes_of_rows(&section_of_errors("Reasons of decisions")), reasons);
    let mut breaks: Vec<&str> = SchemaBreakReason::ALL.iter().map(|reason| reason.as_str()).collect();
    breaks.sort_unstable();
    assert_eq!(
        codes_of_rows(&section_of_errors("Reasons in `hierarchy.schema_in_use`")),
        breaks
    );
}

#[test]
fn the_list_of_codes_for_people_is_complete() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let text = std::fs::read_to_string(path).unwrap();
    // Codes have a dot; the codes of fields, in a table of their own, have none.
    let is_code = |line: &&str| {
        line.strip_prefix("| `")
            .is_some_and(|rest| rest.split('`').next().unwrap().contains('.'))
    };
    let listed: Vec<&str> = text.lines().filter(is_code).collect();
    let row = |code: &ErrorCode| format!("| `{}` | {} | {} |", code.as_str(), code.status(), code.meaning());
    let expected: Vec<String> = ErrorCode::ALL.iter().map(row).collect();
    assert_eq!(listed, expected, "docs/errors.md should be:\n{}", expected.join("\n"));
}
