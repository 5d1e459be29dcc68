//! SpiceDB, which the ordinary registries have only as a library for Node: a script asks it.

use crate::engine::{Ask, Engine, Load, Run, count, resident};
use crate::facts::Facts;
use crate::{Outcome, Scale};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The script, which reads one line of JSON after the other and answers each with one.
const SCRIPT: &str = include_str!("spicedb.mjs");

#[derive(Debug)]
struct SpiceDb {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: usize,
}

impl Drop for SpiceDb {
    fn drop(&mut self) {
        // Nothing is left to do where it has ended by itself.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

impl SpiceDb {
    fn exchange(&mut self, command: &Value) -> Outcome<Value> {
        writeln!(self.input, "{command}")?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("SpiceDB's process has ended".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Ask for SpiceDb {
    fn run(&mut self, facts: &Facts, scale: Scale) -> Outcome<Run> {
        let seconds = scale.over_http().as_secs_f64();
        let found = self.exchange(&json!({"first": self.next, "seconds": seconds}))?;
        let microseconds = found["microseconds"].as_array().ok_or("no times")?.iter();
        let times: Vec<Duration> = microseconds
            .filter_map(Value::as_u64)
            .map(Duration::from_micros)
            .collect();
        let answers = found["answers"].as_str().ok_or("no answers")?;
        let expected = facts.expected.iter().cycle().skip(self.next);
        let wrong = answers
            .bytes()
            .zip(expected)
            .filter(|(answer, expected)| (*answer == b'1') != **expected);
        let took: Duration = times.iter().sum();
        self.next = (self.next + answers.len()) % facts.expected.len();
        Ok(Run {
            nanoseconds: Some(took.as_secs_f64() * 1e9 / count(times.len())),
            asked: answers.len(),
            wrong: wrong.count(),
            flat_out: Some(Load::of(times, took)),
            paced: None,
        })
    }
}

/// SpiceDB: roles are data, as they are here. A binding is a role at a node, and has those who hold the role there.
pub fn spicedb(tools: &Path, facts: &Facts) -> Outcome<Engine> {
    let mut process = Command::new("node")
        .args(["--input-type=module", "--eval", SCRIPT])
        .arg(tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut engine = SpiceDb {
        input: process.stdin.take().ok_or("no input")?,
        output: BufReader::new(process.stdout.take().ok_or("no output")?),
        process,
        next: 0,
    };
    let names = names(facts);
    let name = |key: &str| names.get(key).map(String::as_str).unwrap_or_default();
    let questions = facts.questions().iter().map(|asked| {
        json!([
            format!("node:{}", asked.node),
            name(&asked.permission),
            format!("identity:{}", asked.identity)
        ])
    });
    let loaded = engine.exchange(&json!({
        "schema": schema(names.values())?,
        "relationships": relationships(facts, name),
        "questions": questions.collect::<Vec<_>>(),
    }))?;
    Ok(Engine {
        name: "SpiceDB, embedded 0.7".to_owned(),
        load: Duration::from_secs_f64(loaded["seconds"].as_f64().ok_or("no time")?),
        memory: resident(&engine.process.id().to_string())?,
        remark: "a lower bound, not SpiceDB's speed: its caches are compiled off; one caller, no socket, through Node; \
                 spared windows and switches",
        asked: Box::new(engine),
    })
}

/// What each permission is called in the schema, which takes no dots.
fn names(facts: &Facts) -> HashMap<&str, String> {
    facts
        .keys()
        .enumerate()
        .map(|(number, key)| (key, format!("key_{number}")))
        .collect()
}

fn schema<'a>(names: impl Iterator<Item = &'a String> + Clone) -> Outcome<String> {
    let (mut role, mut binding, mut node) = (String::new(), String::new(), String::new());
    for name in names {
        writeln!(role, "relation {name}: identity:*")?;
        writeln!(binding, "permission {name} = holder & role->{name}")?;
        writeln!(node, "permission {name} = binding->{name} + parent->{name}")?;
    }
    Ok(format!(
        "definition identity {{}}\n\
         definition role {{\n{role}}}\n\
         definition binding {{\nrelation role: role\nrelation holder: identity\n{binding}}}\n\
         definition node {{\nrelation parent: node\nrelation binding: binding\n{node}}}\n"
    ))
}

/// Triples of resource, relation and subject.
fn relationships<'a>(facts: &'a Facts, name: impl Fn(&str) -> &'a str) -> Vec<[String; 3]> {
    let relationship = |resource: String, relation: &str, subject: String| [resource, relation.to_owned(), subject];
    let mut all = Vec::new();
    for role in facts.roles() {
        let bundled = |key: &&str| relationship(format!("role:{}", role.label), name(key), "identity:*".to_owned());
        all.extend(role.keys.iter().map(bundled));
    }
    for (node, parent) in facts.nodes() {
        all.extend(parent.map(|parent| relationship(format!("node:{node}"), "parent", format!("node:{parent}"))));
    }
    let mut bindings = BTreeSet::new();
    for live in facts.live() {
        let binding = format!("binding:{}_{}", live.role, live.node);
        all.push(relationship(
            binding.clone(),
            "holder",
            format!("identity:{}", live.identity),
        ));
        if bindings.insert((live.role, live.node)) {
            all.push(relationship(binding.clone(), "role", format!("role:{}", live.role)));
            all.push(relationship(format!("node:{}", live.node), "binding", binding));
        }
    }
    all
}
