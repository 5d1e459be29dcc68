//! The codes of faults in single fields.

/// Every code that `details.fields` can carry. `docs/errors.md` explains each.
pub const FIELD_CODES: &[&str] = &[
    "child_type_not_allowed",
    "control_character",
    "empty",
    "hidden_character",
    "invalid_cursor",
    "invalid_email",
    "invalid_encoding",
    "invalid_key",
    "invalid_node_type",
    "invalid_permission_key",
    "invalid_slug",
    "invalid_timestamp",
    "invalid_token",
    "invalid_url",
    "invalid_uuid",
    "invalid_version",
    "max_depth_exceeded",
    "no_root",
    "no_visible_character",
    "not_allowed",
    "not_one_of",
    "not_the_root_type",
    "out_of_range",
    "repeated",
    "required",
    "second_root",
    "too_deep",
    "too_large",
    "too_long",
    "too_many_items",
    "too_many_values",
    "too_many_words",
    "unknown_field",
    "unknown_node_type",
    "unknown_parameter",
    "unknown_parent",
    "unknown_permission_key",
    "unsupported_field",
    "unsupported_media_type",
    "wrong_type",
];

#[cfg(test)]
mod tests {
    use super::FIELD_CODES;
    use std::fs;
    use std::path::Path;

    /// Returns the text up to the next quote that is not escaped.
    fn literal(text: &str) -> &str {
        text.split('"').next().unwrap_or_default()
    }

    /// Returns the codes that a source file names where it creates faults.
    fn codes_in(source: &str) -> Vec<String> {
        let mut codes = Vec::new();
        for call in ["Fault::new(", "fault("] {
            for rest in source.split(call).skip(1) {
                codes.extend(rest.trim_start().strip_prefix('"').map(literal));
            }
        }
        // The codes into which errors of the domain are translated.
        for rest in source.split(" for Fault {").skip(1) {
            let block = rest.split("\n}\n").next().unwrap_or_default();
            let is_code = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            codes.extend(block.split('"').skip(1).step_by(2).filter(is_code));
        }
        codes.into_iter().map(str::to_owned).collect()
    }

    /// Collects the source files of the crate, with their names.
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.file_name().is_some_and(|name| name != "field_code.rs") {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn every_code_in_the_source_is_in_the_list_and_the_other_way_round() {
        let mut files = Vec::new();
        sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
        let mut found = 0;
        for (name, source) in &files {
            for code in codes_in(source) {
                assert!(
                    FIELD_CODES.contains(&code.as_str()),
                    "{code} of {name} is not in the list"
                );
                found += 1;
            }
        }
        assert!(found > 30, "the search finds nothing any more");
        for code in FIELD_CODES {
            let quoted = format!("\"{code}\"");
            assert!(
                files.iter().any(|(_, source)| source.contains(&quoted)),
                "nothing answers {code}"
            );
        }
    }

    #[test]
    fn the_list_is_sorted_and_has_nothing_twice() {
        assert!(FIELD_CODES.is_sorted_by(|one, next| one < next));
    }
}
