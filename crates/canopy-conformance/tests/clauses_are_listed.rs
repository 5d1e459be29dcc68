//! A clause that is not on the list would never run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_clause_of_the_storage_contract_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/contract");
    let list = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let listed: BTreeSet<&str> = list.split_whitespace().collect();
    let mut clauses = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let area = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if area == "support" || area == "mod" {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for line in source.lines() {
            let Some(rest) = line.strip_prefix("pub async fn ") else {
                continue;
            };
            let (name, _) = rest.split_once('(').unwrap();
            assert!(
                listed.contains(name),
                "{area}::{name} is not on the list of `storage_contract!`"
            );
            clauses += 1;
        }
    }
    assert!(clauses > 100, "only {clauses} clauses were found");
}
