//! The modules of a crate import each other in one direction, so each can be read without those that use it.

#![expect(clippy::unwrap_used, reason = "the source tree is there")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A source file: its module path and its code without comments and unit tests.
struct Source {
    path: Vec<String>,
    code: String,
}

/// A crate whose modules are compared at the first level, and at the second below `folders`.
struct Crate {
    sources: Vec<Source>,
    folders: &'static [&'static str],
}

impl Crate {
    fn read(name: &str, folders: &'static [&'static str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut sources = Vec::new();
        read_folder(&root.join(name).join("src"), &[], &mut sources);
        assert!(sources.len() > 10, "{name} is not where it was");
        Self { sources, folders }
    }

    /// The module of a path: its first name, or its first two below `folders`.
    fn module(&self, path: &[&str]) -> String {
        let is_folder = path.first().is_some_and(|first| self.folders.contains(first));
        let depth = if is_folder { 2 } else { 1 };
        path.iter().take(depth).copied().collect::<Vec<_>>().join("::")
    }

    /// The modules from which the roots re-export names.
    fn re_exports(&self) -> BTreeMap<Vec<&str>, Vec<&str>> {
        let is_root = |path: &[String]| match path {
            [only] => only == "lib" || self.folders.contains(&only.as_str()),
            _ => false,
        };
        let roots = self.sources.iter().filter(|source| is_root(&source.path));
        roots.flat_map(re_exports_of).collect()
    }

    /// The modules that each module imports.
    fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let borrowed = |path: &'_ Vec<String>| self.module(&path.iter().map(String::as_str).collect::<Vec<_>>());
        let modules: BTreeSet<String> = self.sources.iter().map(|source| borrowed(&source.path)).collect();
        let re_exports = self.re_exports();
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for source in &self.sources {
            let own = borrowed(&source.path);
            let above = source.path.len().saturating_sub(1);
            let above: Vec<&str> = source.path.iter().take(above).map(String::as_str).collect();
            let names = paths_behind(&source.code, "crate::", &[]).into_iter();
            let names = names.chain(paths_behind(&source.code, "super::", &above));
            let others = names.map(|path| self.module(re_exports.get(&path).unwrap_or(&path)));
            let known = others.filter(|name| *name != own && modules.contains(name));
            imports.entry(own.clone()).or_default().extend(known);
        }
        // The roots only list what is below them.
        for root in self.folders.iter().chain(&["lib"]) {
            imports.remove(*root);
        }
        imports
    }

    /// The modules that import each other, and those that import one of them.
    fn circles(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut imports = self.imports();
        // Takes away, again and again, what imports nothing that is left.
        while let Some(leaf) = {
            let left = |name: &String| imports.contains_key(name);
            let is_leaf = |others: &BTreeSet<String>| !others.iter().any(left);
            let leaf = imports.iter().find(|(_, others)| is_leaf(others));
            leaf.map(|(name, _)| name.clone())
        } {
            imports.remove(&leaf);
        }
        imports
    }
}

fn read_folder(folder: &Path, path: &[String], sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut path = path.to_vec();
        if file.is_dir() {
            path.push(name);
            read_folder(&file, &path, sources);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            if name != "mod" {
                path.push(name);
            }
            let code = code_of(&std::fs::read_to_string(file).unwrap());
            sources.push(Source { path, code });
        }
    }
}

/// The code of a file. Unit tests are no part of a module, and macros name the module that they are expanded for.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n").replace("$crate::", "")
}

/// The names that a root re-exports, each with the path of its module.
fn re_exports_of(root: &Source) -> Vec<(Vec<&str>, Vec<&str>)> {
    let above: Vec<&str> = root
        .path
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "lib")
        .collect();
    let mut found = Vec::new();
    for prefix in ["pub use ", "pub(crate) use "] {
        for path in paths_behind(&root.code, prefix, &above) {
            if let Some(name) = path.last() {
                found.push(([above.as_slice(), &[*name]].concat(), path));
            }
        }
    }
    found
}

/// The paths behind a prefix such as `crate::`, wherever it occurs. Groups in braces are expanded.
fn paths_behind<'t>(code: &'t str, prefix: &str, above: &[&'t str]) -> Vec<Vec<&'t str>> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices(prefix) {
        let (_, tree) = code.split_at(start + prefix.len());
        expand(tree, above, &mut found);
    }
    found
}

/// Adds the paths of the tree of names with which a text begins. Returns the text behind the tree.
fn expand<'t>(text: &'t str, above: &[&'t str], found: &mut Vec<Vec<&'t str>>) -> &'t str {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let end = text.find(|letter| !is_name(letter)).unwrap_or(text.len());
    let (names, rest) = text.split_at(end);
    let names: Vec<&str> = names.split("::").filter(|name| !name.is_empty()).collect();
    let path = [above, &names].concat();
    let Some(mut group) = rest.strip_prefix('{') else {
        found.push(path);
        return rest;
    };
    loop {
        group = group.trim_start();
        if group.is_empty() {
            return group;
        }
        if let Some(rest) = group.strip_prefix('}') {
            return rest;
        }
        group = expand(group, &path, found).trim_start_matches(|letter| letter != ',' && letter != '}');
        group = group.strip_prefix(',').unwrap_or(group);
    }
}

#[test]
fn no_module_is_imported_by_what_it_imports() {
    for (name, folders) in [
        ("canopy-app", [].as_slice()),
        ("canopy-storage-memory", &[]),
        ("canopy-http", &["route", "wire"]),
    ] {
        let circles = Crate::read(name, folders).circles();
        assert!(
            circles.is_empty(),
            "{name}: these import each other, or what does: {circles:#?}"
        );
    }
}

#[test]
fn groups_and_re_exports_hide_no_circle() {
    let source = |path: &str, code: &str| Source {
        path: path.split('/').map(str::to_owned).collect(),
        code: code_of(code),
    };
    let sources = vec![
        source("lib", "mod app;\nmod key;\nmod quiet;\npub use app::{App, Error};"),
        source("app", "use crate::{quiet, key::{Known, Other}};"),
        source("key", "use crate::{Call, App};"),
        source("quiet", "/// See [`App`](crate::App).\nstruct Quiet;"),
    ];
    let circles = Crate { sources, folders: &[] }.circles();
    let names: Vec<&str> = circles.keys().map(String::as_str).collect();
    assert_eq!(names, ["app", "key"]);
}
