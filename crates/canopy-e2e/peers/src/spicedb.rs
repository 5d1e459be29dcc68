//! SpiceDB, which the ordinary registries have only as a library for Node: a script asks it.

use crate::engine::{Ask, Engine, Load, Run, count, resident};
use crate::facts::{Facts, Live};
use crate::{Outcome, Scale};
use canopy_domain::NodeId;
use serde_json::{Value, json};
use std::collections::HashMap;
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

/// SpiceDB: a relation for each role and a permission for each key, which is had by those roles and at the parent.
///
/// The other way, roles and their bindings as relationships, was several times slower here.
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
        "schema": schema(facts, &names)?,
        "relationships": relationships(facts),
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

/// The name of each permission in the schema, which allows no dots.
fn names(facts: &Facts) -> HashMap<&str, String> {
    facts
        .keys()
        .enumerate()
        .map(|(number, key)| (key, format!("key_{number}")))
        .collect()
}

fn schema(facts: &Facts, names: &HashMap<&str, String>) -> Outcome<String> {
    let roles = facts.roles();
    let mut node = String::new();
    for role in &roles {
        writeln!(node, "relation {}: identity", role.label)?;
    }
    for (key, name) in names {
        write!(node, "permission {name} = parent->{name}")?;
        for role in roles.iter().filter(|role| role.keys.contains(key)) {
            write!(node, " + {}", role.label)?;
        }
        writeln!(node)?;
    }
    Ok(format!(
        "definition identity {{}}\ndefinition node {{\nrelation parent: node\n{node}}}\n"
    ))
}

/// Triples of resource, relation and subject.
fn relationships(facts: &Facts) -> Vec<[String; 3]> {
    let of_node =
        |node: NodeId, relation: &str, subject: String| [format!("node:{node}"), relation.to_owned(), subject];
    let below = |(node, parent): (NodeId, Option<NodeId>)| Some(of_node(node, "parent", format!("node:{}", parent?)));
    let mut all: Vec<_> = facts.nodes().filter_map(below).collect();
    let held = |live: Live<'_>| of_node(live.node, live.role, format!("identity:{}", live.identity));
    all.extend(facts.live().into_iter().map(held));
    all
}
