//! A JSON text as a tree that borrows from it. Unlike `serde_json::Value` it keeps the order of keys and the text of numbers, and refuses
//! repeated keys.
//!
//! The reader makes one pass over the text. It checks structure, numbers and nesting itself; `serde_json` decodes
//! strings with escapes.

use super::field::JsonPointer;
use core::num::IntErrorKind;
use core::str::Utf8Error;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The text of a number, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number<'a>(&'a str);

impl Number<'_> {
    /// Returns the value of a number that is spelled as a whole one. Values above the largest `u64` count as the
    /// largest.
    pub(crate) fn as_u64(self) -> Option<u64> {
        match self.0.parse() {
            Ok(value) => Some(value),
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => Some(u64::MAX),
            // Negative zero is zero.
            Err(_) => (self.0 == "-0").then_some(0),
        }
    }

    /// Returns the nearest double.
    pub(crate) fn as_f64(self) -> Option<f64> {
        self.0.parse().ok()
    }
}

impl Serialize for Number<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[cfg(feature = "fuzz")]
use super::steps::step;

/// Counts parser steps in tests.
#[cfg(not(feature = "fuzz"))]
const fn step(_: usize) {}

/// Up to this many keys, an object is searched for repetitions pair by pair.
const SMALL: usize = 16;

/// The default maximum number of values in a body. A value takes up to a hundred times the bytes of its text, so the
/// size of the text does not bound its memory. The largest bulk call has 10,000 items of a dozen values each.
pub(crate) const MAX_VALUES: usize = 400_000;

/// Maximum nesting of a body. Objects of callers may nest less, so that they fit wherever they are sent.
pub(crate) const MAX_DEPTH: usize = 128;

/// The reason for which a text is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not one JSON text.
    Malformed(Position),
    /// Too many values.
    TooManyValues,
    /// Nested too deep.
    TooDeep {
        /// The pointer to the first value that is too deep.
        path: String,
    },
}

/// A position in a text, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Counted from 1.
    pub(crate) line: usize,
    /// The number of bytes before it on its line, and 1.
    pub(crate) column: usize,
}

impl Position {
    /// The beginning of a text.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// Returns the position after these bytes.
    pub(crate) fn behind(self, bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let last = lines.next_back().map_or(0, <[u8]>::len);
        match lines.count() {
            0 => Self {
                column: self.column + last,
                ..self
            },
            ended => Self {
                line: self.line + ended,
                column: last + 1,
            },
        }
    }

    /// Returns a position in an inner text that begins at this position.
    pub(crate) const fn within(self, inner: Self) -> Self {
        if inner.line == 1 {
            Self {
                line: self.line,
                column: self.column + inner.column - 1,
            }
        } else {
            Self {
                line: self.line + inner.line - 1,
                column: inner.column,
            }
        }
    }
}

impl<'a> Json<'a> {
    /// Parses a whole text of at most `max_values` values, nested at most [`MAX_DEPTH`] levels.
    pub(crate) fn parse(bytes: &'a [u8], max_values: usize) -> Result<Self, JsonError> {
        Self::parse_at(bytes, max_values, &JsonPointer::Root)
    }

    /// Parses the whole text of a value at `place` in a larger one. It may nest less, by the depth of `place`.
    pub(crate) fn parse_at(bytes: &'a [u8], max_values: usize, place: &JsonPointer<'_>) -> Result<Self, JsonError> {
        // Faster than to check each string on its own.
        let valid = core::str::from_utf8(bytes);
        let end = valid.as_ref().map_or_else(Utf8Error::valid_up_to, |text| text.len());
        let malformed = |at: usize| JsonError::Malformed(Position::START.behind(bytes.get(..at).unwrap_or_default()));
        let text = valid.map_err(|_| malformed(end))?;
        let mut reader = Reader {
            text,
            at: 0,
            values_left: max_values,
        };
        let read = reader.value(place, place.depth()).and_then(|value| {
            reader.skip_space();
            if reader.at == text.len() {
                Ok(value)
            } else {
                Err(Stop::Malformed)
            }
        });
        read.map_err(|stop| match stop {
            Stop::Malformed => malformed(reader.at),
            Stop::TooManyValues => JsonError::TooManyValues,
            Stop::TooDeep(path) => JsonError::TooDeep { path },
        })
    }

    /// Returns a member of an object, unless it is absent or `null`.
    pub(crate) fn given(&self, name: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        let found = entries.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value).filter(|value| **value != Self::Null)
    }

    /// Returns the kind of the value, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Returns the nesting depth: 0 for a plain value, 1 for `{}`.
    pub(crate) fn depth(&self) -> usize {
        let deepest = match self {
            Self::Array(items) => items.iter().map(Self::depth).max(),
            Self::Object(entries) => entries.iter().map(|(_, value)| value.depth()).max(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => return 0,
        };
        deepest.unwrap_or(0) + 1
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// The reason for which the reader stops; `Malformed` at the current position.
enum Stop {
    Malformed,
    TooManyValues,
    TooDeep(String),
}

/// Reads a text from its beginning to its end.
struct Reader<'a> {
    text: &'a str,
    /// The number of bytes read.
    at: usize,
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        step(1);
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads this byte if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.take(byte) { Ok(()) } else { Err(Stop::Malformed) }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads these bytes. The caller has seen the first one.
    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        word.iter().try_for_each(|byte| self.expect(*byte))
    }

    fn value(&mut self, place: &JsonPointer<'_>, depth: usize) -> Result<Json<'a>, Stop> {
        self.values_left = self.values_left.checked_sub(1).ok_or(Stop::TooManyValues)?;
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(Stop::TooDeep(place.to_string())),
            Some(b'{') => self.object(place, depth + 1),
            Some(b'[') => self.array(place, depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(b't') => self.word(b"true").map(|()| Json::Bool(true)),
            Some(b'f') => self.word(b"false").map(|()| Json::Bool(false)),
            Some(b'n') => self.word(b"null").map(|()| Json::Null),
            _ => Err(Stop::Malformed),
        }
    }

    fn array(&mut self, place: &JsonPointer<'_>, depth: usize) -> Result<Json<'a>, Stop> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(&JsonPointer::Item(place, items.len()), depth)?);
            self.skip_space();
            if !self.take(b',') {
                self.expect(b']')?;
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, place: &JsonPointer<'_>, depth: usize) -> Result<Json<'a>, Stop> {
        self.at += 1;
        let mut entries: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Json::Object(entries));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(Stop::Malformed);
            }
            let key = self.string()?;
            step(entries.len().min(SMALL));
            if entries.len() < SMALL && entries.iter().any(|(other, _)| *other == key) {
                return Err(Stop::Malformed);
            }
            self.skip_space();
            self.expect(b':')?;
            let value = self.value(&JsonPointer::Member(place, &key), depth)?;
            entries.push((key, value));
            self.skip_space();
            if !self.take(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        if entries.len() > SMALL && repeats(&entries) {
            return Err(Stop::Malformed);
        }
        Ok(Json::Object(entries))
    }

    /// Reads a string. The caller has seen the quote.
    fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        let quote = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let plain = plain.unwrap_or(rest.len());
            step(plain);
            self.at += plain;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    // An escaped character never ends the string. It is one byte, or the text is malformed.
                    self.at += 2;
                }
                _ => return Err(Stop::Malformed),
            }
        }
        self.at += 1;
        if escaped {
            let whole = self.text.get(quote..self.at).unwrap_or_default();
            return serde_json::from_str(whole).map(Cow::Owned).map_err(|_| Stop::Malformed);
        }
        let plain = self.text.get(quote + 1..self.at - 1);
        plain.map(Cow::Borrowed).ok_or(Stop::Malformed)
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(Stop::Malformed) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Number<'a>, Stop> {
        let start = self.at;
        self.take(b'-');
        // No other digit follows a leading zero.
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        self.text.get(start..self.at).map(Number).ok_or(Stop::Malformed)
    }
}

/// Returns whether two entries of an object have the same key.
fn repeats(entries: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable_by(|one, other| {
        step(1);
        one.cmp(other)
    });
    keys.windows(2).any(|pair| matches!(pair, [one, next] if one == next))
}

#[cfg(test)]
mod tests {
    use super::{Json, JsonError, MAX_DEPTH, MAX_VALUES, Number, Position};
    use std::borrow::Cow;

    #[test]
    fn a_text_comes_back_as_it_was() {
        let text = r#"{"b":[1,-2,3.5,true,false,null,"x\n"],"a":{"é":""},"c":[],"d":{}}"#;
        let tree = Json::parse(text.as_bytes(), MAX_VALUES).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), text);
        let spaced =
            " {\t\"b\" :\r\n[ 1 , -2,3.5,true,false , null,\"x\\n\" ] ,\"a\":{\"é\":\"\"},\"c\":[ ],\"d\":{ }} ";
        assert_eq!(Json::parse(spaced.as_bytes(), MAX_VALUES).unwrap(), tree);
    }

    #[test]
    fn numbers_keep_every_digit_and_their_spelling() {
        let text = "[0.09090909090909091,18446744073709551616,5.5176019366924325e-17,1E5,1e+05,-0,1.10,123456789012345678901234567890.5,1e999]";
        let tree = Json::parse(text.as_bytes(), MAX_VALUES).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), text);
    }

    #[test]
    fn whole_numbers_have_a_value_and_no_others() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("12", Some(12)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", Some(u64::MAX)),
            ("-1", None),
            ("1.5", None),
            ("1e400", None),
        ] {
            assert_eq!(Number(text).as_u64(), value, "{text}");
        }
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let list = |items: usize| format!("[{}{{}}]", "{},".repeat(items - 1));
        // The list counts as a value too.
        assert!(Json::parse(list(MAX_VALUES - 1).as_bytes(), MAX_VALUES).is_ok());
        let many = list(MAX_VALUES);
        assert!(matches!(
            Json::parse(many.as_bytes(), MAX_VALUES),
            Err(JsonError::TooManyValues)
        ));
        // The rest is not read.
        let cut = many.strip_suffix(']').unwrap();
        assert!(matches!(
            Json::parse(cut.as_bytes(), MAX_VALUES),
            Err(JsonError::TooManyValues)
        ));
    }

    #[test]
    fn plain_strings_are_borrowed() {
        let Json::Array(items) = Json::parse(br#"["plain","esc\u0061ped"]"#, MAX_VALUES).unwrap() else {
            panic!()
        };
        assert!(matches!(&items[0], Json::String(Cow::Borrowed("plain"))));
        assert!(matches!(&items[1], Json::String(Cow::Owned(text)) if text == "escaped"));
    }

    #[test]
    fn what_is_nested_too_deep_is_named() {
        let nested = |levels: usize| format!("{{\"a\":[1,{}{}]}}", "[".repeat(levels), "]".repeat(levels));
        let deepest = nested(MAX_DEPTH - 2);
        assert_eq!(Json::parse(deepest.as_bytes(), MAX_VALUES).unwrap().depth(), MAX_DEPTH);
        let Err(JsonError::TooDeep { path }) = Json::parse(nested(MAX_DEPTH - 1).as_bytes(), MAX_VALUES) else {
            panic!("it is refused")
        };
        assert_eq!(path, format!("/a/1{}", "/0".repeat(MAX_DEPTH - 2)));
        // Nothing behind it is read.
        assert!(matches!(
            Json::parse("[".repeat(100_000).as_bytes(), MAX_VALUES),
            Err(JsonError::TooDeep { .. })
        ));
    }

    #[test]
    fn repeated_keys_trailing_text_and_bad_utf8_are_refused_where_they_are() {
        let many: Vec<String> = (0..40).map(|n| format!("\"k{n}\":1,")).collect();
        let many = many.concat();
        for bad in [
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"a":1,"\u0061":2}"#.to_owned(),
            format!("{{{many}\"k7\":1}}"),
            "{} {}".to_owned(),
            String::new(),
        ] {
            assert!(Json::parse(bad.as_bytes(), MAX_VALUES).is_err(), "{}", bad.len());
        }
        assert!(Json::parse(b"\"\xff\"", MAX_VALUES).is_err());
        assert!(Json::parse(format!("{{{many}\"last\":1}}").as_bytes(), MAX_VALUES).is_ok());
        for (text, line, column) in [
            ("{\"a\":\n1,\n x}", 3, 2),
            ("[1,2,]", 1, 6),
            ("", 1, 1),
            ("[\n01]", 2, 2),
        ] {
            let expected = JsonError::Malformed(Position { line, column });
            assert_eq!(Json::parse(text.as_bytes(), MAX_VALUES), Err(expected), "{text}");
        }
    }
}
