//! The commands of the tutorial, the README and the script among the examples, run as they stand by a shell.

use crate::process::{Finished, Home};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Prints where the output of one block ends.
const MARK: &str = "=== end of block ===";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// A block of commands, and the answer that the document shows below it.
#[derive(Debug)]
struct Block {
    commands: String,
    answer: Option<Value>,
}

/// The blocks that are marked `sh`, each with the block marked `json` that follows it.
fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = vec![];
    for fenced in markdown.split("\n```").skip(1).step_by(2) {
        let (language, text) = fenced.split_once('\n').unwrap_or((fenced, ""));
        match (language, blocks.last_mut()) {
            ("sh", _) => blocks.push(Block {
                commands: text.to_owned(),
                answer: None,
            }),
            ("json", Some(block)) => block.answer = Some(serde_json::from_str(text).unwrap()),
            _ => {}
        }
    }
    blocks
}

/// Runs a script in the folder of a running server, with its binary on the path.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell finds curl where the test was started"
)]
fn run(home: &Home, url: &str, script: &str) -> Finished {
    let binary = Path::new(env!("CARGO_BIN_EXE_canopy")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = std::process::Command::new("sh")
        .args(["-eu", "-c", script])
        .env_clear()
        .env("PATH", format!("{}:{path}", binary.display()))
        .env("CANOPY_PUBLIC_URL", url)
        .current_dir(home.path())
        .output()
        .unwrap();
    Finished::of(output)
}

/// Returns whether a response has everything that a document shows; `…` matches any text.
fn shows(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => shown
            .iter()
            .all(|(name, value)| answer.get(name).is_some_and(|answer| shows(answer, value))),
        (Value::Array(answer), Value::Array(shown)) => {
            answer.len() == shown.len() && answer.iter().zip(shown).all(|(answer, shown)| shows(answer, shown))
        }
        (Value::String(_), Value::String(any)) if any == "…" => true,
        _ => answer == shown,
    }
}

/// Runs all blocks of a document in one shell, and compares what they print with what the document shows.
fn follow(document: &str, markdown: &str) {
    let blocks = blocks(markdown);
    assert!(blocks.len() > 3, "{document} has commands");
    let home = Home::new();
    let server = home.serve(&[]);
    let mut script = String::new();
    for block in &blocks {
        writeln!(script, "{}\necho '{MARK}'", block.commands).unwrap();
    }
    let finished = run(&home, &server.url, &script);
    let printed: Vec<&str> = finished.stdout.split(MARK).collect();
    for (block, printed) in blocks.iter().zip(&printed) {
        let context = format!("{document}: {}\n{printed}\n{}", block.commands, finished.stderr);
        if let Some(shown) = &block.answer {
            let last = printed.trim().lines().last().unwrap_or_default();
            let answer: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {context}"));
            assert!(shows(&answer, shown), "{context}");
        }
        assert!(!printed.contains(r#"{"error":"#), "{context}");
    }
    assert_eq!(finished.code, Some(0), "{document}: {finished:#?}");
    server.stop();
}

#[test]
fn the_tutorial_works_as_it_stands() {
    follow("docs/tutorial.md", &read("docs/tutorial.md"));
}

#[test]
fn the_first_check_of_the_readme_works_as_it_stands() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Your first check").unwrap();
    follow("README.md", section.split("\n## ").next().unwrap());
}

#[test]
fn the_guide_to_embedding_shows_the_example_as_it_is_compiled() {
    let example = read("examples/embed.rs");
    let (_, code) = example.split_once('\n').unwrap();
    assert!(read("docs/embedding.md").contains(code));
}

#[test]
fn the_script_sets_up_a_customer() {
    let home = Home::new();
    let server = home.serve(&[]);
    let script = root().join("examples/bootstrap.sh");
    let ask = r#"curl -sS "$BASE/access/v1/evaluation" -H "X-API-Key: $KEY" -H 'Content-Type: application/json' \
        -d '{"subject":{"type":"user","id":"ada@acme.example"},"action":{"name":"note.write"},"resource":{"type":"team","id":"acme/berlin"}}'"#;
    let finished = run(
        &home,
        &server.url,
        &format!(
            "eval \"$(canopy token --operator --export)\"\nkey=$({} Acme ada@acme.example)\neval \"$key\"\n{ask}",
            script.display()
        ),
    );
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let answer: Value = serde_json::from_str(finished.stdout.trim()).unwrap();
    assert_eq!(answer["decision"], true, "{answer}");
    server.stop();
}
