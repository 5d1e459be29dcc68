//! Runs the demo's commands as a shell would: words in quotes, pipes, `curl` and `sed`.
//!
//! The calls of curl are made by an HTTP client, so the tests need no curl; sed is the system's own.

use reqwest::Method;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// A shell with the variables that `export` lines set.
pub struct Shell {
    variables: HashMap<String, String>,
}

impl Shell {
    /// Runs the `export` lines of a text.
    pub fn of(text: &str) -> Self {
        let exports = text.lines().filter_map(|line| line.strip_prefix("export "));
        let variables = exports.map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            let value = value.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
            assert!(!value.contains('\''), "{line}");
            (name.to_owned(), value.to_owned())
        });
        Self {
            variables: variables.collect(),
        }
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Returns the status and body of the last call of a pipeline.
    pub async fn run(&self, line: &str) -> (u16, Value) {
        let mut input = String::new();
        let mut status = 0;
        for words in self.pipeline(line) {
            match words.first().map(String::as_str) {
                Some("curl") => (status, input) = curl(&words[1..], &input).await,
                Some("sed") => input = sed(&words[1..], &input),
                other => panic!("{other:?} in {line}"),
            }
        }
        let body = serde_json::from_str(&input).unwrap_or_else(|error| panic!("{error}: {input}"));
        (status, body)
    }

    /// Splits a line into commands at pipes, and commands into words. Single quotes keep everything as it is; between
    /// double quotes variables are replaced.
    fn pipeline(&self, line: &str) -> Vec<Vec<String>> {
        let mut commands = vec![vec![]];
        let mut word = String::new();
        let mut quote = None;
        let mut rest = line.chars().chain([' ']).peekable();
        while let Some(c) = rest.next() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (Some('"'), '$') => {
                    let mut name = String::new();
                    while let Some(c) = rest.next_if(char::is_ascii_uppercase) {
                        name.push(c);
                    }
                    let value = self.variable(&name);
                    word.push_str(value.unwrap_or_else(|| panic!("${name} is not set for {line}")));
                }
                (Some('\''), c) => word.push(c),
                (None, ' ') if word.is_empty() => {}
                (None, ' ') if word == "|" => {
                    word.clear();
                    commands.push(vec![]);
                }
                (None, ' ') => commands.last_mut().unwrap().push(std::mem::take(&mut word)),
                (_, '\\' | '`') | (None, '$' | '&' | ';' | '<' | '>' | '*' | '#') => {
                    panic!("a shell would see {c} in {line}")
                }
                (_, c) => word.push(c),
            }
        }
        assert_eq!(quote, None, "{line}");
        commands
    }
}

async fn curl(words: &[String], input: &str) -> (u16, String) {
    let (mut method, mut url, mut headers, mut body) = (Method::GET, None, vec![], None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap().clone();
        match word.as_str() {
            "-sS" => {}
            "-w" => assert_eq!(value(), "\\n"),
            "-X" => method = value().parse().unwrap(),
            "-H" => headers.push(value()),
            "-d" => {
                body = Some(match value().as_str() {
                    // As curl does: without the ends of lines.
                    "@-" => input.replace(['\r', '\n'], ""),
                    text => text.to_owned(),
                });
            }
            word if word.starts_with("http") => url = Some(word.to_owned()),
            other => panic!("curl {other}"),
        }
    }
    let mut request = reqwest::Client::new().request(method, url.unwrap());
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn sed(words: &[String], input: &str) -> String {
    let mut child = Command::new("sed")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
