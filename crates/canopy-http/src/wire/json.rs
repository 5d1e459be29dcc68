//! A JSON text as a tree that borrows from it. Unlike `serde_json::Value` it keeps order and refuses repeated keys.

use core::cell::Cell;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::collections::HashSet;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Up to this many keys, an object is searched for repetitions without a hash set.
const SMALL: usize = 16;

/// How many values a body may hold, where nothing else is said. A value takes up to a hundred times the bytes that it is written with, so their
/// number has to be bounded besides the size of the text. The largest bulk call has 10,000 items of a dozen values each.
pub(crate) const MAX_VALUES: usize = 400_000;

/// Why a text is not read.
#[derive(Debug)]
pub(crate) enum JsonError {
    /// It is not one JSON text.
    Malformed(serde_json::Error),
    /// It has more values than it may.
    TooManyValues,
}

impl<'a> Json<'a> {
    /// Reads a whole text of at most so many values. The nesting is bounded by `serde_json`.
    pub(crate) fn parse(bytes: &'a [u8], max_values: usize) -> Result<Self, JsonError> {
        // One more than allowed, so that what is left is nothing exactly when there were too many.
        let left = Cell::new(max_values + 1);
        let refuse = |error| {
            if left.get() == 0 {
                JsonError::TooManyValues
            } else {
                JsonError::Malformed(error)
            }
        };
        // Faster than to look at each string by itself. What is not UTF-8 is read to where it is not, which the error tells.
        let tree = Tree { left: &left };
        match core::str::from_utf8(bytes) {
            Ok(text) => tree.read(serde_json::Deserializer::from_str(text)),
            Err(_) => tree.read(serde_json::Deserializer::from_slice(bytes)),
        }
        .map_err(refuse)
    }

    /// A member of an object, unless it is absent or `null`.
    pub(crate) fn given(&self, name: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        let found = entries.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value).filter(|value| **value != Self::Null)
    }

    /// What kind of value it is, for messages.
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

/// Reads a [`Json`].
#[derive(Clone, Copy)]
struct Tree<'l> {
    /// How many values may still come.
    left: &'l Cell<usize>,
}

impl Tree<'_> {
    /// Reads a whole text.
    fn read<'de, R: serde_json::de::Read<'de>>(
        self,
        mut deserializer: serde_json::Deserializer<R>,
    ) -> Result<Json<'de>, serde_json::Error> {
        let value = self.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        serde_json::Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut entries: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(key) = map.next_key_seed(Key)? {
            let repeated = if entries.len() < SMALL {
                entries.iter().any(|(other, _)| *other == key)
            } else {
                if seen.is_empty() {
                    seen.extend(entries.iter().map(|(other, _)| other.clone()));
                }
                !seen.insert(key.clone())
            };
            if repeated {
                return Err(A::Error::custom("an object has the same key twice"));
            }
            entries.push((key, map.next_value_seed(self)?));
        }
        Ok(Json::Object(entries))
    }
}

/// Reads the key of an object.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Json, JsonError, MAX_VALUES};
    use std::borrow::Cow;

    #[test]
    fn a_text_comes_back_as_it_was() {
        let text = r#"{"b":[1,-2,3.5,true,null,"x\n"],"a":{"é":""}}"#;
        let tree = Json::parse(text.as_bytes(), MAX_VALUES).unwrap();
        assert_eq!(serde_json::to_string(&tree).unwrap(), text);
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let list = |items: usize| format!("[{}{{}}]", "{},".repeat(items - 1));
        // The list is a value too.
        assert!(Json::parse(list(MAX_VALUES - 1).as_bytes(), MAX_VALUES).is_ok());
        let many = list(MAX_VALUES);
        assert!(matches!(
            Json::parse(many.as_bytes(), MAX_VALUES),
            Err(JsonError::TooManyValues)
        ));
        // What comes behind is not even read.
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
    fn repeated_keys_trailing_text_bad_utf8_and_bottomless_nesting_are_refused() {
        let many: Vec<String> = (0..40).map(|n| format!("\"k{n}\":1,")).collect();
        let many = many.concat();
        for bad in [
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"a":1,"\u0061":2}"#.to_owned(),
            format!("{{{many}\"k7\":1}}"),
            "{} {}".to_owned(),
            String::new(),
            "[".repeat(100_000),
            "1e999".to_owned(),
        ] {
            assert!(Json::parse(bad.as_bytes(), MAX_VALUES).is_err(), "{}", bad.len());
        }
        assert!(Json::parse(b"\"\xff\"", MAX_VALUES).is_err());
        assert!(Json::parse(format!("{{{many}\"last\":1}}").as_bytes(), MAX_VALUES).is_ok());
    }
}
