//! Every call that the contract lists is documented as the contract has it: its place, its headers, its members, its answers.
//!
//! The table is written from the contract by hand. What is documented is what is served: see [`crate::document`].

use canopy_http::openapi;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const TABLE: &str = include_str!("endpoints.txt");

/// The members of an object: name, whether it must be there, and the members of what it holds.
type Members = BTreeMap<String, (bool, Option<BTreeSet<String>>)>;

/// A call as the contract has it.
struct Expected {
    flags: BTreeSet<char>,
    query: Members,
    body: Members,
    statuses: BTreeSet<String>,
    answer: BTreeMap<String, Option<BTreeSet<String>>>,
}

fn prefix(place: &str) -> &'static str {
    match place {
        "ROOT" => "/portal/v1",
        "ACC" => "/portal/v1/accounts/{}",
        "APP" => "/portal/v1/accounts/{}/applications/{}",
        "ENV" => "/portal/v1/accounts/{}/applications/{}/environments/{}",
        "PUB" => "/api/v1",
        "AZ" => "/access/v1",
        _ => panic!("no place is called {place}"),
    }
}

/// Splits `a b*[c d] e` into its words, brackets and all.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut depth) = (vec![], String::new(), 0);
    for letter in text.chars().chain([' ']) {
        match letter {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ => {}
        }
        if letter.is_whitespace() && depth == 0 {
            if !word.is_empty() {
                words.push(core::mem::take(&mut word));
            }
        } else {
            word.push(letter);
        }
    }
    words
}

fn members(words: &[String]) -> Members {
    let member = |word: &String| {
        let (name, inner) = match word.split_once('[') {
            Some((name, inner)) => (name, Some(inner.trim_end_matches(']'))),
            None => (word.as_str(), None),
        };
        let inner = inner.map(|inner| inner.split_whitespace().map(str::to_owned).collect());
        (name.trim_end_matches('*').to_owned(), (name.ends_with('*'), inner))
    };
    words.iter().map(member).collect()
}

/// The members of a shape, whose own shapes are looked up by name.
fn answer(words: &[String], shapes: &BTreeMap<&str, &str>) -> BTreeMap<String, Option<BTreeSet<String>>> {
    let names = |shape: &str| -> BTreeSet<String> {
        let text = shapes
            .get(shape)
            .unwrap_or_else(|| panic!("no shape is called {shape}"));
        answer(&self::words(text), shapes).into_keys().collect()
    };
    let plain = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<String>>()
    };
    let mut all = BTreeMap::new();
    for word in words {
        if let Some((kind, shape)) = word.split_once('(') {
            let shape = names(shape.trim_end_matches(')'));
            match kind {
                "page" => {
                    all.insert("items".to_owned(), Some(shape));
                    let pages = [
                        "page",
                        "take",
                        "item_count",
                        "page_count",
                        "has_previous_page",
                        "has_next_page",
                    ];
                    all.insert("pagination".to_owned(), Some(plain(&pages)));
                }
                "part" => {
                    all.insert("items".to_owned(), Some(shape));
                    all.insert("next_cursor".to_owned(), None);
                }
                "bulk" => {
                    all.insert("summary".to_owned(), Some(plain(&["total", "succeeded", "failed"])));
                    let item = ["index", "status", "code", "input", "data", "error"];
                    all.insert("results".to_owned(), Some(plain(&item)));
                }
                list => {
                    all.insert(list.to_owned(), Some(shape));
                }
            }
        } else if let Some((name, inner)) = word.split_once('[') {
            let inner = inner.trim_end_matches(']').split_whitespace().map(str::to_owned);
            all.insert(name.to_owned(), Some(inner.collect()));
        } else if let Some(text) = shapes.get(word.as_str()) {
            all.extend(answer(&self::words(text), shapes));
        } else {
            all.insert(word.clone(), None);
        }
    }
    all
}

/// Every call of the table, by method and path.
fn table() -> BTreeMap<(String, String), Expected> {
    let lines = || TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let shape = |line: &'static str| {
        let (name, text) = line.split_once(" = ")?;
        Some((name.trim(), text))
    };
    let shapes: BTreeMap<&str, &str> = lines().filter_map(shape).collect();
    let mut calls = BTreeMap::new();
    for line in lines().filter(|line| shape(line).is_none()) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [call, flags, given, answers] = columns[..] else {
            panic!("{line}");
        };
        let [method, places, tail] = call.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        for place in places.split(',') {
            let is_query = given.starts_with('?') && method != "POST";
            let given = words(given.trim_start_matches('?'));
            // A POST with a query has that alone as its first member.
            let split = match (is_query, line.contains("| ?")) {
                (true, _) => given.len(),
                (false, true) => 1,
                (false, false) => 0,
            };
            let (query, body) = given.split_at(split);
            let is_status = |word: &&String| word.bytes().all(|byte| byte.is_ascii_digit());
            let answers = words(answers);
            let expected = Expected {
                flags: flags.chars().collect(),
                query: members(query),
                body: members(body),
                statuses: answers.iter().take_while(is_status).cloned().collect(),
                answer: answer(
                    &answers.iter().skip_while(is_status).cloned().collect::<Vec<_>>(),
                    &shapes,
                ),
            };
            let path = format!("{}{}", prefix(place), tail.trim_start_matches('-'));
            assert!(
                calls.insert((method.to_owned(), path), expected).is_none(),
                "twice: {line}"
            );
        }
    }
    calls
}

/// A path whose names do not matter.
fn nameless(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// The schema behind references, and behind what may be null or is a list.
fn within<'d>(document: &'d Value, mut schema: &'d Value) -> &'d Value {
    loop {
        let next = if let Some(name) = schema["$ref"].as_str() {
            document.pointer(name.trim_start_matches('#'))
        } else if schema.get("items").is_some() {
            schema.get("items")
        } else if let Some(choices) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            choices.iter().find(|choice| choice["type"] != "null")
        } else {
            None
        };
        match next {
            Some(next) => schema = next,
            None => return schema,
        }
    }
}

/// The members of the object that a schema describes, and which of them must be there.
fn described<'d>(document: &'d Value, schema: &'d Value) -> (Map<String, Value>, BTreeSet<String>) {
    let schema = within(document, schema);
    let mut members = schema["properties"].as_object().cloned().unwrap_or_default();
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required: BTreeSet<String> = required.filter_map(Value::as_str).map(str::to_owned).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (more, needed) = described(document, part);
        members.extend(more);
        required.extend(needed);
    }
    (members, required)
}

/// Returns the documented members of a body or a query, to the depth of the expected ones.
fn found_members(document: &Value, schema: &Value, expected: &Members) -> Members {
    let (members, required) = described(document, schema);
    let found = members.iter().map(|(name, schema)| {
        let inner = expected.get(name).and_then(|(_, inner)| inner.as_ref()).map(|_| {
            let (inner, needed) = described(document, schema);
            let star = |name: &String| if needed.contains(name) { "*" } else { "" };
            inner.keys().map(|name| format!("{name}{}", star(name))).collect()
        });
        (name.clone(), (required.contains(name), inner))
    });
    found.collect()
}

#[test]
fn every_call_of_the_contract_is_documented_as_it_is_there() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut table = table();
    let operators = ["/health/", "/metrics", "/openapi.json", "/docs", "/.well-known/"];
    for (path, item) in document["paths"].as_object().unwrap() {
        if operators.iter().any(|start| path.starts_with(start)) {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let key = (method.to_uppercase(), nameless(path));
            let expected = table.remove(&key);
            let expected = expected.unwrap_or_else(|| panic!("{key:?} is not in the contract's table"));
            let parameters = || operation["parameters"].as_array().into_iter().flatten();
            let header = |name: &str| parameters().find(|one| one["in"] == "header" && one["name"] == name);
            let mut flags = BTreeSet::new();
            match header("If-Match") {
                Some(one) if one["required"] == true => flags.insert('v'),
                Some(_) => flags.insert('m'),
                None => false,
            };
            if header("Idempotency-Key").is_some() {
                flags.insert('i');
            }
            assert_eq!(flags, expected.flags, "{key:?}");
            let query = parameters().filter(|one| one["in"] == "query");
            let query = query.map(|one| {
                (
                    one["name"].as_str().unwrap().to_owned(),
                    (one["required"] == true, None),
                )
            });
            assert_eq!(query.collect::<Members>(), expected.query, "{key:?}");
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(found_members(&document, body, &expected.body), expected.body, "{key:?}");
            let successes: Vec<(&String, &Value)> = operation["responses"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(status, _)| status.starts_with('2'))
                .collect();
            let statuses: BTreeSet<String> = successes.iter().map(|(status, _)| (*status).clone()).collect();
            assert_eq!(statuses, expected.statuses, "{key:?}");
            for (status, success) in successes {
                if expected.answer.is_empty() {
                    continue;
                }
                let schema = &success["content"]["application/json"]["schema"];
                let (members, _) = described(&document, schema);
                let names: BTreeSet<&String> = members.keys().collect();
                assert_eq!(names, expected.answer.keys().collect(), "{key:?} {status}");
                for (name, inner) in &expected.answer {
                    if let Some(inner) = inner {
                        let (found, _) = described(&document, &members[name]);
                        let found: BTreeSet<&String> = found.keys().collect();
                        assert_eq!(found, inner.iter().collect(), "{key:?} {status} {name}");
                    }
                }
            }
        }
    }
    let missing: Vec<_> = table.into_keys().collect();
    assert!(missing.is_empty(), "not served: {missing:?}");
}
