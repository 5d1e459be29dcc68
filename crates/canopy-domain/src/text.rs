//! Bounded, printable text, and the folding for comparisons that ignore case.

mod fold;
mod search;
mod visible;

pub use fold::fold_case;
pub use search::{SearchError, SearchWords, searched_text};
use std::sync::Arc;
pub(crate) use visible::has_hidden;

/// The rule that a text breaks which is not accepted as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing is left after trimming.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The maximum number of characters (Unicode scalar values).
        max: usize,
    },
    /// It has a control character, other than separators of lines and words in a text that may have several lines.
    #[error("must not contain control characters")]
    Control,
    /// It has a character that is not displayed or changes the direction of the text, and that its script does not need
    /// there.
    #[error("must not contain invisible or direction-changing characters")]
    Hidden,
    /// No character of it is displayed.
    #[error("must have a visible character")]
    Invisible,
}

/// Trims `raw` and checks it against the rules of names: 1 to `max` characters, without control characters except the
/// `allowed` ones.
pub(crate) fn bounded<'r>(raw: &'r str, max: usize, allowed: &[char]) -> Result<&'r str, TextError> {
    let trimmed = raw.trim();
    if trimmed.is_empty() {
        return Err(TextError::Empty);
    }
    if trimmed.chars().nth(max).is_some() {
        return Err(TextError::TooLong { max });
    }
    if trimmed.chars().any(|one| one.is_control() && !allowed.contains(&one)) {
        return Err(TextError::Control);
    }
    Ok(trimmed)
}

/// Like [`bounded`], and checks that the text is visible and has no hidden characters.
pub(crate) fn named<'r>(raw: &'r str, max: usize, allowed: &[char]) -> Result<&'r str, TextError> {
    let text = bounded(raw, max, allowed)?;
    visible::check(text)?;
    Ok(text)
}

/// Declares a trimmed, bounded text type.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $crate::text::text_type!($(#[$doc])* $name, $max, &[]);
    };
    ($(#[$doc:meta])* $name:ident, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Maximum number of characters.
            pub const MAX_CHARS: usize = $max;

            /// Trims and checks a text.
            ///
            /// # Errors
            /// The rule of [`TextError`](crate::TextError) that the text breaks.
            pub fn parse(raw: &str) -> Result<Self, $crate::TextError> {
                $crate::text::named(raw, Self::MAX_CHARS, $allowed).map(|text| Self(text.into()))
            }

            /// Reads a stored text: earlier releases accepted hidden characters.
            ///
            /// # Errors
            /// [`TextError`](crate::TextError) for a text that no release accepted.
            pub fn restored(raw: &str) -> Result<Self, $crate::TextError> {
                $crate::text::bounded(raw, Self::MAX_CHARS, $allowed).map(|text| Self(text.into()))
            }

            /// Returns the text.
            pub const fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the text with its case folded, for comparisons that ignore case.
            pub fn folded(&self) -> String {
                $crate::fold_case(&self.0)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_type;

text_type!(
    /// The display name of an account, application, environment or node.
    DisplayName,
    200
);
text_type!(
    /// A free description of a role, permission or key, which may have several lines.
    Description,
    1000,
    &['\n', '\r', '\t']
);

/// The text of a JSON object that the service stores and returns but never reads (`settings`, `metadata`).
///
/// The adapter that read it from the wire has parsed it and removed the space between its values; the rest of the text
/// is unchanged, digit for digit and key for key. Two objects are equal if their texts are. Copies share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonObject(Arc<str>);

/// The rule that a text breaks which is not a [`JsonObject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonObjectError {
    /// It is not the text of an object.
    #[error("must be an object")]
    NotAnObject,
    /// It is larger than allowed.
    #[error("must have at most {max} bytes as JSON")]
    TooLarge {
        /// The maximum number of bytes.
        max: usize,
    },
}

impl JsonObject {
    /// Maximum size in bytes.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Maximum nesting of objects and lists that adapters accept; `{}` has 1.
    pub const MAX_DEPTH: usize = 64;

    /// Creates an object from its compact JSON text.
    ///
    /// # Errors
    /// [`JsonObjectError::NotAnObject`] without the braces of an object, [`JsonObjectError::TooLarge`] over the limit.
    pub fn parse(json: &str) -> Result<Self, JsonObjectError> {
        if !(json.starts_with('{') && json.ends_with('}')) {
            return Err(JsonObjectError::NotAnObject);
        }
        if json.len() > Self::MAX_BYTES {
            return Err(JsonObjectError::TooLarge { max: Self::MAX_BYTES });
        }
        Ok(Self(json.into()))
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for JsonObject {
    fn default() -> Self {
        Self("{}".into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Description, DisplayName, JsonObject, JsonObjectError, TextError};

    #[test]
    fn names_are_trimmed_and_bounded_by_characters_not_bytes() {
        assert_eq!(DisplayName::parse("  Zürich \n").unwrap().as_str(), "Zürich");
        assert_eq!(DisplayName::parse(&"ü".repeat(200)).unwrap().as_str().len(), 400);
        assert_eq!(
            DisplayName::parse(&"ü".repeat(201)),
            Err(TextError::TooLong { max: 200 })
        );
        assert_eq!(DisplayName::parse(" \t "), Err(TextError::Empty));
        assert_eq!(DisplayName::parse("a\u{0}b"), Err(TextError::Control));
        assert_eq!(DisplayName::parse("a\nb"), Err(TextError::Control));
    }

    #[test]
    fn names_and_descriptions_show_all_that_is_in_them() {
        assert_eq!(DisplayName::parse("\u{200b}"), Err(TextError::Hidden));
        assert_eq!(Description::parse("a\n\u{202e}b"), Err(TextError::Hidden));
        assert_eq!(DisplayName::parse("\u{2800}"), Err(TextError::Invisible));
        assert_eq!(
            Description::parse("می\u{200c}خواهم\n").unwrap().as_str(),
            "می\u{200c}خواهم"
        );
        assert_eq!(DisplayName::restored("\u{200b}").unwrap().as_str(), "\u{200b}");
        assert_eq!(DisplayName::restored(" "), Err(TextError::Empty));
    }

    #[test]
    fn descriptions_may_have_several_lines() {
        let text = "First\r\n\n\tsecond";
        assert_eq!(Description::parse(&format!("\n{text}\n")).unwrap().as_str(), text);
        assert_eq!(Description::parse(" \n\t "), Err(TextError::Empty));
        assert_eq!(Description::parse("a\u{7}b"), Err(TextError::Control));
        assert_eq!(DisplayName::parse("a\tb"), Err(TextError::Control));
    }

    #[test]
    fn json_objects_are_objects_of_bounded_size() {
        assert_eq!(JsonObject::default().as_str(), "{}");
        assert_eq!(JsonObject::parse("[1]"), Err(JsonObjectError::NotAnObject));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(JsonObject::MAX_BYTES));
        assert_eq!(
            JsonObject::parse(&large),
            Err(JsonObjectError::TooLarge {
                max: JsonObject::MAX_BYTES
            })
        );
    }
}
