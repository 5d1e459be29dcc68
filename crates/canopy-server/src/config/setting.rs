//! Declares settings: the structs that hold them, their reader and their printer come from one declaration.

use super::layers::{Layers, Raw};
use super::{Config, Problem, Source};
use std::collections::BTreeMap;
use std::fmt;

/// One setting: its position in the file, its documentation and its printed form.
pub struct Setting {
    /// The section of the file; empty for settings before the first section.
    pub section: &'static str,
    /// The name in its section.
    pub name: &'static str,
    /// The documentation; words are separated by single spaces or line ends.
    pub(super) about: &'static str,
    /// The default, as the sample file shows it.
    pub(super) default: &'static str,
    /// The values that are allowed.
    pub(super) allowed: fn() -> String,
    /// The effective value as TOML, with masked secrets.
    pub(super) value: fn(&Config) -> String,
    /// The flag on the command line, if there is one.
    pub flag: Option<Flag>,
}

/// A flag of a setting. Its name is the path with hyphens, such as `--log-level`.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The placeholder of the value in the help.
    pub value_name: &'static str,
    /// The text of the help.
    pub help: &'static str,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Setting").field(&self.path()).finish()
    }
}

/// Compares settings by their position.
impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        (self.section, self.name) == (other.section, other.name)
    }
}

impl Setting {
    /// Returns the position in the file: `name`, or `section.name`.
    pub fn path(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// Returns the environment variable: the path in capitals, after `CANOPY_`.
    pub fn variable(&self) -> String {
        format!("CANOPY_{}", self.path().replace('.', "_").to_uppercase())
    }

    /// Returns the flag without its leading hyphens.
    pub fn flag_name(&self) -> String {
        self.path().replace(['.', '_'], "-")
    }

    /// Returns the documentation on one line.
    pub(super) fn about(&self) -> String {
        self.about.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The type of a setting: how its values are read and printed.
pub trait Kind {
    /// The value as the server uses it.
    type Value;

    /// Returns the allowed values, for the documentation: "a number from 1 to 1024".
    fn allowed() -> String;

    /// Parses a single value.
    ///
    /// # Errors
    /// The rule that the text breaks, such as "must be a path"; never a secret.
    fn parse(text: &str) -> Result<Self::Value, String>;

    /// Reads a value of the file.
    ///
    /// # Errors
    /// Like [`parse`](Self::parse).
    fn read(raw: &Raw) -> Result<Self::Value, String> {
        match raw {
            Raw::Text(text) => Self::parse(text),
            Raw::Bool(_) | Raw::List(_) | Raw::Table(_) | Raw::Other(_) => Err("must be a single value".to_owned()),
        }
    }

    /// Returns the value as TOML; a secret is masked.
    fn to_toml(value: &Self::Value) -> String;
}

/// Reads values from the layers, and records the source of each and all problems.
pub(super) struct Reader {
    pub(super) layers: Layers,
    pub(super) problems: Vec<Problem>,
    pub(super) sources: BTreeMap<String, Source>,
}

impl Reader {
    /// Returns the value of a setting; `None` if it is not set or invalid, which is recorded as a problem.
    pub(super) fn given<K: Kind>(&mut self, path: &str) -> Option<K::Value> {
        let (raw, source) = self.layers.get(path)?;
        self.sources.insert(path.to_owned(), source.clone());
        K::read(raw)
            .map_err(|wrong| self.problems.push(Problem::with(path, source, wrong)))
            .ok()
    }

    /// Returns the value of a setting, or its default.
    ///
    /// # Errors
    /// An invalid default; a test rules that out.
    pub(super) fn given_or<K: Kind>(&mut self, path: &str, default: &str) -> Result<K::Value, String> {
        match self.given::<K>(path) {
            Some(value) => Ok(value),
            None => K::read(&Raw::parse(default)?),
        }
    }
}

/// Declares the sections of the file with their settings, in the order of the sample file.
///
/// A setting is `name: Kind = "default, as TOML";`. After the default may follow
/// - `or FUNCTION`: no value is stored by default, and `FUNCTION(&Config)` returns the effective value; the default is
///   then an example for the sample file;
/// - `flag "VALUE" "help"`: the setting also has a flag.
///
/// Generates a struct for each section, [`Config`], its reader, and the list of all [`Setting`]s.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        [$section:tt] $field:ident: $Section:ident {
            $(
                $(#[doc = $about:literal])+
                $name:ident: $kind:ty = $default:literal
                    $(or $derive:path)? $(, flag $value_name:literal $help:literal)?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone)]
            pub struct $Section {
                $($(#[doc = $about])+ pub $name: settings!(@type $kind $(, $derive)?),)+
            }
        )+

        /// The configuration of the server.
        #[derive(Debug, Clone)]
        pub struct Config {
            $($(#[doc = $section_doc])+ pub $field: $Section,)+
            /// The source of each value, by path; missing paths have their default.
            pub sources: std::collections::BTreeMap<String, $crate::config::Source>,
        }

        impl Config {
            /// Reads every setting. An error is an invalid default, which a test rules out.
            pub(super) fn read(reader: &mut $crate::config::setting::Reader) -> Result<Self, String> {
                Ok(Self {
                    $($field: $Section {
                        $($name: settings!(@read reader, $section, $name, $kind, $default $(, $derive)?),)+
                    },)+
                    sources: std::collections::BTreeMap::new(),
                })
            }
        }

        /// Every setting, in the order of the sample file: those before the first section first.
        pub static SETTINGS: &[Setting] = &[$($(
            Setting {
                section: $section,
                name: stringify!($name),
                about: concat!($($about),+),
                default: $default,
                allowed: <$kind as Kind>::allowed,
                value: |config| <$kind as Kind>::to_toml(settings!(@value config, $field, $name $(, $derive)?)),
                flag: settings!(@flag $($value_name, $help)?),
            },
        )+)+];
    };

    (@type $kind:ty) => { <$kind as Kind>::Value };
    (@type $kind:ty, $derive:path) => { Option<<$kind as Kind>::Value> };

    (@path "", $name:ident) => { stringify!($name) };
    (@path $section:tt, $name:ident) => { concat!($section, ".", stringify!($name)) };

    (@read $reader:ident, $section:tt, $name:ident, $kind:ty, $default:literal) => {
        $reader.given_or::<$kind>(settings!(@path $section, $name), $default)?
    };
    (@read $reader:ident, $section:tt, $name:ident, $kind:ty, $default:literal, $derive:path) => {
        $reader.given::<$kind>(settings!(@path $section, $name))
    };

    (@value $config:ident, $field:ident, $name:ident) => { &$config.$field.$name };
    (@value $config:ident, $field:ident, $name:ident, $derive:path) => { &$derive($config) };

    (@flag) => { None };
    (@flag $value_name:literal, $help:literal) => { Some(Flag { value_name: $value_name, help: $help }) };
}
pub(super) use settings;
