//! The configuration as text: the effective one with its sources, the sample file and the reference.

use super::{Config, SETTINGS, Setting, Source};
use std::fmt::Write as _;

/// Returns the effective configuration as TOML, with masked secrets and the source of each value.
pub fn effective(config: &Config) -> String {
    let mut out = String::from("# The effective configuration, and where each value comes from.\n");
    let mut section = "";
    for setting in SETTINGS {
        heading(&mut out, &mut section, setting);
        let source = config.sources.get(&setting.path()).unwrap_or(&Source::Default);
        let line = format!("{} = {}", setting.name, (setting.value)(config));
        let _ = writeln!(out, "{line:<60} # {source}");
    }
    out
}

/// Returns a configuration file with every setting, its default and its documentation, all commented out.
pub fn sample() -> String {
    let mut out = String::from(
        "# Every setting of Canopy with its default. Written by scripts/gen; do not edit.\n\
         #\n\
         # Read from canopy.toml in the working directory, or from the file that --config or CANOPY_CONFIG names.\n\
         # An environment variable wins over this file, a flag on the command line over both.\n\
         # Relative paths start at the working directory.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        heading(&mut out, &mut section, setting);
        out.push('\n');
        for line in wrapped(&setting.about(), 110) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "# Variable: {}", setting.variable());
        let _ = writeln!(out, "#{} = {}", setting.name, setting.default);
    }
    out
}

/// Returns the reference of all settings, in Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         Written by `scripts/gen` from the declarations in `canopy-server/src/config/settings.rs`; do not edit.\n\n\
         A flag wins over a variable, a variable over the file, the file over the default.\n\
         [config.sample.toml](config.sample.toml) is a file with all of them; [operations](operations.md) says how they are\n\
         used.\n",
    );
    let mut section = None;
    for setting in SETTINGS {
        if section != Some(setting.section) {
            section = Some(setting.section);
            match setting.section {
                "" => out.push_str("\n## Before the first section\n"),
                name => drop(write!(out, "\n## `[{name}]`\n")),
            }
        }
        let _ = write!(out, "\n### `{}`\n\n", setting.path());
        for line in wrapped(&setting.about(), 118) {
            let _ = writeln!(out, "{line}");
        }
        let _ = write!(out, "\n- Variable: `{}`", setting.variable());
        if let Some(flag) = setting.flag {
            let _ = write!(out, "; flag: `--{} {}`", setting.flag_name(), flag.value_name);
        }
        let _ = write!(
            out,
            "\n- Values: {}\n- Default: `{}`\n",
            (setting.allowed)(),
            setting.default
        );
    }
    out
}

fn heading(out: &mut String, section: &mut &'static str, setting: &Setting) {
    if *section != setting.section {
        *section = setting.section;
        let _ = write!(out, "\n[{section}]\n");
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
