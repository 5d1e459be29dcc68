//! Every statement in the sources, whether a test runs it or not.

use canopy_testkit::postgres::Database;
use std::fs;
use std::path::{Path, PathBuf};

/// The texts in Rust source that are SQL, with the lines of each joined.
fn statements(source: &str) -> Vec<String> {
    let mut found = vec![];
    let mut characters = source.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '/' if characters.peek() == Some(&'/') => {
                characters.by_ref().take_while(|next| *next != '\n').for_each(drop);
            }
            '\'' => {
                // A character, or the start of a lifetime, which ends at once.
                let mut ahead = characters.clone();
                let is_escape = ahead.next() == Some('\\');
                if is_escape || ahead.next() == Some('\'') {
                    characters.by_ref().take(1 + usize::from(is_escape)).for_each(drop);
                    characters.by_ref().take_while(|next| *next != '\'').for_each(drop);
                }
            }
            '"' => {
                let mut text = String::new();
                while let Some(next) = characters.next().filter(|next| *next != '"') {
                    match (next, characters.peek()) {
                        ('\\', Some('\n')) => while characters.next_if(|next| next.is_whitespace()).is_some() {},
                        ('\\', Some(_)) => text.extend(characters.next()),
                        _ => text.push(next),
                    }
                }
                // What ends with a space is put together with more where it is run, which other tests look at.
                let begins = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
                if begins.iter().any(|begin| text.starts_with(begin)) && !text.ends_with(' ') {
                    found.push(text);
                }
            }
            _ => {}
        }
    }
    found
}

fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

/// Which tables are mentioned more often than their environment is named.
fn forgets_the_environment(sql: &str, tables: &[String]) -> bool {
    let mentions = words(sql)
        .zip(words(sql).skip(1))
        .filter(|(word, next)| {
            matches!(*word, "FROM" | "JOIN" | "INTO" | "UPDATE") && tables.iter().any(|table| table == next)
        })
        .count();
    mentions > words(sql).filter(|word| *word == "environment_id").count()
}

/// All files in a folder and the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// A statement that names the environment reaches the rows of one tenant alone. Audit events belong to accounts.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_of_the_sources_names_the_environment_of_its_tables() {
    let database = Database::new().await;
    let tables = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' \
         AND column_name = 'environment_id' AND table_name <> 'audit_events'";
    let tables: Vec<String> = database.query(tables).await.into_iter().flatten().flatten().collect();
    assert!(tables.len() >= 6, "{tables:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for path in files(&folder) {
        for sql in statements(&fs::read_to_string(&path).unwrap()) {
            seen += 1;
            assert!(!forgets_the_environment(&sql, &tables), "{}: {sql}", path.display());
        }
    }
    assert!(seen > 60, "only {seen} statements were found");
}

#[test]
fn a_statement_that_forgets_is_found() {
    let source = r#"
        // "SELECT a comment"
        const ROLE: &'static str = "SELECT name FROM roles WHERE id = $1";
        let quote = '"'; let escaped = '\''; let other = "not SQL \" FROM roles";
        Statement::new("SELECT n.id FROM nodes AS n \
             WHERE n.environment_id = $1");
    "#;
    let found = statements(source);
    assert_eq!(
        found,
        [
            "SELECT name FROM roles WHERE id = $1",
            "SELECT n.id FROM nodes AS n WHERE n.environment_id = $1"
        ]
    );
    let tables = ["roles".to_owned(), "nodes".to_owned()];
    assert!(forgets_the_environment(&found[0], &tables));
    assert!(!forgets_the_environment(&found[1], &tables));
}
