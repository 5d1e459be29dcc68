//! Collects the settings of all layers: defaults, the file, the environment, the command line.

use super::{Problem, SETTINGS, Setting, Source};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A raw value of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text or a number.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A list.
    List(Vec<Raw>),
    /// A table.
    Table(Vec<(String, Raw)>),
    /// A value of a type that no setting has, by the name of its type.
    Other(&'static str),
}

impl Raw {
    /// Parses the TOML form of a value, for variables that contain lists.
    ///
    /// # Errors
    /// The syntax error, without the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        DeValue::parse(text)
            .map(|value| value.into_inner().into())
            .map_err(|error| format!("must be a TOML value: {}", error.message()))
    }
}

impl From<DeValue<'_>> for Raw {
    fn from(value: DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.into_owned()),
            DeValue::Integer(number) => Self::Text(number.as_str().to_owned()),
            DeValue::Boolean(value) => Self::Bool(value),
            DeValue::Array(items) => Self::List(items.into_iter().map(|item| item.into_inner().into()).collect()),
            DeValue::Table(entries) => Self::Table(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.into_inner().into_owned(), value.into_inner().into()))
                    .collect(),
            ),
            other => Self::Other(other.type_str()),
        }
    }
}

/// The given settings and their sources.
#[derive(Debug, Default)]
pub struct Layers {
    values: BTreeMap<String, (Raw, Source)>,
    /// The problems found so far.
    pub problems: Vec<Problem>,
}

/// Returns whether a variable belongs to the project's tests instead of the server.
fn belongs_to_tests(name: &str) -> bool {
    name == "CANOPY_REAL_DATA" || name.starts_with("CANOPY_TEST_")
}

/// Returns whether Kubernetes sets this variable in every pod beside a service named `canopy`. `CANOPY_PORT=9000` is
/// none of them: it is a misspelt setting, and is reported.
fn belongs_to_kubernetes(name: &str, value: &OsString) -> bool {
    let link = || value.to_str().is_some_and(|value| value.contains("://"));
    match name {
        "CANOPY_PORT" => link(),
        _ => name.starts_with("CANOPY_SERVICE_") || name.starts_with("CANOPY_PORT_"),
    }
}

/// The variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "CANOPY_CONFIG";

impl Layers {
    /// Returns the value of the setting with this path, if it is set.
    pub fn get(&self, path: &str) -> Option<(&Raw, &Source)> {
        self.values.get(path).map(|(raw, source)| (raw, source))
    }

    /// Adds the values of a configuration file, which override earlier ones.
    pub fn file(&mut self, path: &Path, text: &str) {
        let at = |offset: usize| Source::File {
            path: path.to_owned(),
            line: text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1,
        };
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let source = at(error.span().map_or(0, |span| span.start));
                let message = format!("this is not TOML: {}", error.message());
                return self.problems.push(Problem { source, message });
            }
        };
        let is_section = |name: &str| {
            SETTINGS
                .iter()
                .any(|setting| !name.is_empty() && setting.section == name)
        };
        for (name, value) in table {
            let line = at(name.span().start);
            match value.into_inner() {
                DeValue::Table(entries) if is_section(name.get_ref()) => {
                    for (inner, value) in entries {
                        let path = format!("{}.{}", name.get_ref(), inner.get_ref());
                        self.entry(&path, value.into_inner(), at(inner.span().start));
                    }
                }
                value => self.entry(name.get_ref(), value, line),
            }
        }
    }

    fn entry(&mut self, path: &str, value: DeValue<'_>, source: Source) {
        if !SETTINGS.iter().any(|setting| setting.path() == path) {
            let message = unknown("setting", path, SETTINGS.iter().map(Setting::path));
            return self.problems.push(Problem { source, message });
        }
        self.values.insert(path.to_owned(), (value.into(), source));
    }

    /// Adds the values of environment variables, which override earlier ones. Ignores variables that do not begin with
    /// `CANOPY_`.
    pub fn environment(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        let mut ours: Vec<(String, OsString)> = variables
            .filter_map(|(name, value)| name.into_string().ok().map(|name| (name, value)))
            .filter(|(name, _)| name.starts_with("CANOPY_") && name != CONFIG_VARIABLE)
            .filter(|(name, value)| !belongs_to_tests(name) && !belongs_to_kubernetes(name, value))
            .collect();
        ours.sort();
        for (name, value) in ours {
            let source = Source::Variable(name.clone());
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) else {
                let names = SETTINGS
                    .iter()
                    .map(Setting::variable)
                    .chain([CONFIG_VARIABLE.to_owned()]);
                let message = unknown("variable of Canopy", &name, names);
                self.problems.push(Problem { source, message });
                continue;
            };
            match value.into_string() {
                Ok(text) => drop(self.values.insert(setting.path(), (Raw::Text(text), source))),
                Err(_) => self
                    .problems
                    .push(Problem::with(&setting.path(), &source, "must be UTF-8")),
            }
        }
    }

    /// Adds the value of a flag, which overrides earlier ones.
    pub fn flag(&mut self, setting: &Setting, text: String) {
        let source = Source::Flag(setting.flag_name());
        self.values.insert(setting.path(), (Raw::Text(text), source));
    }
}

fn unknown(what: &str, name: &str, names: impl Iterator<Item = String>) -> String {
    match nearest(name, names) {
        Some(meant) => format!("there is no {what} `{name}`; did you mean `{meant}`?"),
        None => format!("there is no {what} `{name}`"),
    }
}

/// Returns the name closest to `wrong`, if one is close enough for a typing error.
fn nearest(wrong: &str, names: impl Iterator<Item = String>) -> Option<String> {
    names
        .map(|name| (strsim::levenshtein(wrong, &name), name))
        .min()
        .filter(|(edits, name)| *edits <= 3 && *edits < name.len() / 2)
        .map(|(_, name)| name)
}
