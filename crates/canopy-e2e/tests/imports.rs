//! The modules of every crate import each other in one direction, so each can be read without those that use it.

#![expect(clippy::unwrap_used, reason = "what tests share is a test too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The module of a file: the first part of its path, or the first two below `route` and `wire`.
fn module(parts: &[&str]) -> String {
    let depth = if matches!(parts.first(), Some(&"route" | &"wire")) {
        2
    } else {
        1
    };
    parts.iter().take(depth).copied().collect::<Vec<_>>().join("::")
}

fn files(folder: &Path, parts: &[String], found: &mut Vec<(Vec<String>, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut parts = parts.to_vec();
        if path.is_dir() {
            parts.push(name);
            files(&path, &parts, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            if name != "mod" {
                parts.push(name);
            }
            found.push((parts, std::fs::read_to_string(path).unwrap()));
        }
    }
}

/// The names behind a prefix such as `crate::`, wherever it stands in a text.
fn behind<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = Vec<&'t str>> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    text.split(prefix).skip(1).map(move |rest| {
        let name = rest.split(|letter| !is_name(letter)).next().unwrap_or_default();
        name.split("::").filter(|part| !part.is_empty()).collect()
    })
}

/// The modules of one crate that import each other, or import what does, with what each imports.
fn circles(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = Vec::new();
    files(source, &[], &mut found);
    let modules: BTreeSet<String> = found
        .iter()
        .map(|(parts, _)| module(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (parts, text) in &found {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let own = module(&parts);
        // What the tests of a module use is no part of it, and macros name the module that they are made for.
        let code = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap()
            .replace("$crate::", "");
        let siblings = behind(&code, "super::").map(|names| {
            let above = parts.len().saturating_sub(1);
            parts[..above].iter().copied().chain(names).collect::<Vec<_>>()
        });
        let others = behind(&code, "crate::").chain(siblings).map(|names| module(&names));
        let known = others.filter(|name| *name != own && modules.contains(name));
        imports.entry(own.clone()).or_default().extend(known);
    }
    // The roots only list what is below them, and what they pass on is found where it is made.
    for root in ["lib", "main", "route", "wire"] {
        imports.remove(root);
    }
    // Takes away, again and again, what imports nothing that is left.
    while let Some(leaf) = {
        let left = |name: &String| imports.contains_key(name);
        let is_leaf = |others: &BTreeSet<String>| !others.iter().any(left);
        imports
            .iter()
            .find(|(_, others)| is_leaf(others))
            .map(|(name, _)| name.clone())
    } {
        imports.remove(&leaf);
    }
    imports
}

#[test]
fn no_module_is_imported_by_what_it_imports() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut looked_at = 0;
    let mut bad = BTreeMap::new();
    for one in std::fs::read_dir(crates).unwrap() {
        let source = one.unwrap().path().join("src");
        if source.is_dir() {
            looked_at += 1;
            let found = circles(&source);
            if !found.is_empty() {
                bad.insert(source, found);
            }
        }
    }
    assert!(looked_at > 10, "{looked_at} crates");
    assert!(bad.is_empty(), "these import each other, or what does: {bad:#?}");
}
