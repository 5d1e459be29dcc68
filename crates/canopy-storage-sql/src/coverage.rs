//! Statements that tests did not run.

use crate::text::used;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The places below a crate's `src` with a statement that this process has not used, as `path:line`. Places in folders of
/// tests are left out.
///
/// A statement can be made from a [`SqlText`](crate::SqlText) alone, and that with [`sql!`](crate::sql) alone, which notes
/// its place when it is used. So a test that has run a whole store finds every statement that it did not run, and with
/// the others shows that the database accepts them.
///
/// # Errors
/// An error of reading the source.
pub fn unused(src: &Path) -> io::Result<Vec<String>> {
    let used: HashSet<(PathBuf, usize)> = used()
        .into_iter()
        .filter_map(|(file, line)| Some((Path::new(file).to_owned(), usize::try_from(line).ok()?)))
        .collect();
    let mut unused = Vec::new();
    for file in sources(src)? {
        for line in places(&fs::read_to_string(&file)?) {
            // The compiler names files from the root of the workspace.
            let is_used = used.iter().any(|(name, at)| *at == line && file.ends_with(name));
            if !is_used {
                unused.push(format!("{}:{line}", file.display()));
            }
        }
    }
    unused.sort();
    Ok(unused)
}

/// The files below a folder, without those of tests.
fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                files.extend(sources(&path)?);
            }
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// The lines of a source on which statements are made, counted from one. Definitions of macros are passed over: the compiler
/// names the line on which one is used.
fn places(source: &str) -> Vec<usize> {
    let mut is_macro = false;
    let mut places = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        is_macro |= line.starts_with("macro_rules!");
        let by_macro = line
            .split_once("SqlText = ")
            .is_some_and(|(_, text)| text.contains("!("));
        if !is_macro && !line.trim_start().starts_with("//") && (line.contains("sql!(") || by_macro) {
            places.push(number);
        }
        is_macro &= line != "}";
    }
    places
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn statements_are_found_and_definitions_of_macros_are_not() {
        let source = "static A: SqlText = sql!(\"A\");\nmacro_rules! b {\n    () => { sql!(\"B\") };\n}\n\
                      // sql!(\nstatic B: SqlText = b!();\nstatic C: [SqlText; 1] = [\n    sql!(\"C\"),\n];";
        assert_eq!(places(source), [1, 6, 8]);
    }
}
