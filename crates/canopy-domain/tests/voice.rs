//! The voice of doc comments and guides, in every crate: it opens with a verb or a noun and uses the words of the glossary.
//!
//! The rule is in `CONTRIBUTING.md`, the words are in `docs/glossary.md`.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Words with which no doc comment opens: they hide the verb of a function and the noun of a type.
const OPENINGS: &[&str] = &[
    "What",
    "Who",
    "Whose",
    "Whom",
    "Whoever",
    "Whether",
    "How",
    "However",
    "Why",
    "When",
    "Where",
    "Which",
    "That",
    "Those",
    "Something",
    "Somebody",
    "Anything",
    "So many",
    "So much",
    "As many",
    "As much",
    "There is",
    "There are",
];

/// Phrases that neither doc comments nor guides contain, each with the words to use instead.
const PHRASES: &[(&str, &str)] = &[
    ("whoever", "the caller, anyone who"),
    ("nobody else", "no other transaction, no other process"),
    ("give back", "release, return"),
    ("given back", "released, returned"),
    ("lets go of", "evicts, drops"),
    ("letting go of", "evicting, dropping"),
    ("hears of", "receives"),
    ("the news", "the event"),
    ("is told", "gets, learns"),
    ("are told", "get, learn"),
    ("to be called now and then", "call periodically"),
    ("where nothing else is said", "by default"),
    ("stands below", "is below"),
];

/// Files that do not keep the rules yet. Remove a line once its files do.
const PENDING: &[&str] = &[
    "crates/canopy-app/src/api_key/",
    "crates/canopy-app/src/app.rs",
    "crates/canopy-app/src/audit_entry.rs",
    "crates/canopy-app/src/authzen/",
    "crates/canopy-app/src/commit.rs",
    "crates/canopy-app/src/session/",
    "crates/canopy-http/src/credential.rs",
    "crates/canopy-http/src/request.rs",
    "crates/canopy-storage-postgres/",
    "crates/canopy-storage-sql/",
    "crates/canopy-storage-sqlite/",
];

/// Returns the word or phrase of the list that a text begins with.
fn opening(text: &str) -> Option<&'static str> {
    OPENINGS.iter().copied().find(|word| {
        text.strip_prefix(word)
            .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    })
}

/// Returns the text of a line that is part of a doc comment.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))?;
    (!text.starts_with('/')).then(|| text.trim())
}

/// Returns the first phrase of the list in a text, with its replacement. Ignores case.
fn phrase(text: &str) -> Option<(&'static str, &'static str)> {
    let text = text.to_lowercase();
    PHRASES.iter().copied().find(|(phrase, _)| {
        text.match_indices(phrase).any(|(at, _)| {
            let (before, rest) = text.split_at(at);
            let behind = rest.strip_prefix(phrase).unwrap_or_default();
            !before.ends_with(char::is_alphanumeric) && !behind.starts_with(char::is_alphanumeric)
        })
    })
}

/// Returns the faults in the doc comments of a source file, with their line numbers.
fn faults_of_source(source: &str) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let mut is_first = true;
    for (number, line) in source.lines().enumerate() {
        let Some(text) = doc(line) else {
            is_first = true;
            continue;
        };
        if let Some(word) = opening(text).filter(|_| is_first) {
            faults.push((
                number + 1,
                format!("opens with `{word}`; start with the verb or the noun"),
            ));
        }
        if let Some((phrase, instead)) = phrase(text) {
            faults.push((number + 1, format!("has `{phrase}`; use: {instead}")));
        }
        is_first = false;
    }
    faults
}

/// Returns the faults in a guide, outside its code blocks.
fn faults_of_guide(guide: &str) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let mut in_code = false;
    for (number, line) in guide.lines().enumerate() {
        in_code ^= line.starts_with("```");
        if let Some((phrase, instead)) = phrase(line).filter(|_| !in_code) {
            faults.push((number + 1, format!("has `{phrase}`; use: {instead}")));
        }
    }
    faults
}

/// Collects the files below a folder with an extension.
fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, found)?;
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn doc_comments_and_guides_keep_the_voice() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let mut sources = Vec::new();
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        for folder in ["src", "tests", "benches"].map(|name| entry.as_ref().unwrap().path().join(name)) {
            if folder.is_dir() {
                collect(&folder, "rs", &mut sources).unwrap();
            }
        }
    }
    collect(&root.join("examples"), "rs", &mut sources).unwrap();
    let mut guides = vec![
        root.join("README.md"),
        root.join("CONTRIBUTING.md"),
        root.join("SECURITY.md"),
    ];
    collect(&root.join("docs"), "md", &mut guides).unwrap();
    assert!(sources.len() > 300 && guides.len() > 40, "the files of the workspace");

    let mut complaints = Vec::new();
    let judged = sources
        .iter()
        .map(|path| (path, faults_of_source as fn(&str) -> Vec<(usize, String)>));
    for (path, faults) in judged.chain(guides.iter().map(|path| (path, faults_of_guide as _))) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        if PENDING.iter().any(|pending| name.starts_with(pending)) {
            continue;
        }
        for (line, fault) in faults(&fs::read_to_string(path).unwrap()) {
            complaints.push(format!("{name}:{line}: {fault}"));
        }
    }
    complaints.sort();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn only_the_first_line_of_a_doc_comment_is_an_opening() {
    let source =
        "/// Whether it is open.\nfn a() {}\n\n/// Returns the key.\n///\n/// Where it is gone, `None`.\nfn b() {}\n";
    assert_eq!(
        faults_of_source(source)
            .iter()
            .map(|(line, _)| *line)
            .collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(
        faults_of_source("/// Whereabouts of a node.\n// Why: it is told.\n"),
        []
    );
    assert_eq!(faults_of_source("//! Who calls.\n").len(), 1);
}

#[test]
fn phrases_are_whole_words_in_any_case() {
    assert_eq!(phrase("Whoever calls"), Some(("whoever", "the caller, anyone who")));
    assert_eq!(
        phrase("memory is given back when it is dropped").unwrap().0,
        "given back"
    );
    assert_eq!(phrase("this told nobody; the newsletter"), None);
    assert_eq!(faults_of_guide("```\nwhoever\n```\nfine\n"), []);
    assert_eq!(faults_of_guide("a\nb whoever\n")[0].0, 2);
}
