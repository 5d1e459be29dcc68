//! Cursors: opaque, signed positions in a list.
//!
//! A cursor is base64 (for URLs, without padding) of a version, a position and a tag. The tag is HMAC-SHA-256 over the
//! version, a digest of the query and the position. A cursor is valid only for its query and only unchanged.

use crate::problem::Problem;
use crate::wire::{Fault, QueryValue};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

/// The version of the format. A new format gets a new number, so that no cursor is read in the wrong format.
const VERSION: u8 = 1;

const TAG_BYTES: usize = 32;

/// Maximum length of a cursor in characters.
const MAX_CHARS: usize = 512;

/// The key that signs cursors, derived from the secret of the installation.
#[derive(Clone)]
pub(crate) struct CursorKey(hmac::Key);

/// The context of a cursor: one call, one tenancy, one set of filters.
///
/// Contains everything that selects the listed rows, in a fixed order. The page size is not part of it.
pub(crate) struct CursorScope(Sha256);

impl CursorScope {
    /// Starts the context of a call.
    pub(crate) fn of(operation: &'static str) -> Self {
        Self(Sha256::new()).with(Some(operation.as_bytes()))
    }

    /// Adds the next part, or its absence. Lengths are hashed too, so that no two queries are the same bytes.
    pub(crate) fn with(mut self, part: Option<impl AsRef<[u8]>>) -> Self {
        match part {
            None => self.0.update([0]),
            Some(part) => {
                let part = part.as_ref();
                self.0.update([1]);
                self.0
                    .update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                self.0.update(part);
            }
        }
        self
    }

    /// Returns the digest of the whole query.
    pub(crate) fn done(self) -> CursorBinding {
        CursorBinding(self.0.finalize().into())
    }
}

/// The digest of the query that a cursor is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CursorBinding([u8; 32]);

impl CursorKey {
    /// Derives the key from the secret that all processes of an installation share.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&secret, b"canopy cursors");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    fn sealed(binding: CursorBinding, place: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(1 + binding.0.len() + place.len());
        message.push(VERSION);
        message.extend_from_slice(&binding.0);
        message.extend_from_slice(place);
        message
    }

    /// Returns the cursor for a position in the list of a query.
    pub(crate) fn seal(&self, binding: CursorBinding, place: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &Self::sealed(binding, place));
        let mut bytes = Vec::with_capacity(1 + place.len() + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(place);
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the position of a cursor. The tag is compared in constant time.
    ///
    /// # Errors
    /// A fault of the parameter `cursor`, answered with 400, if this installation did not issue the cursor for this
    /// query.
    pub(crate) fn open(&self, binding: CursorBinding, cursor: &Cursor) -> Result<Vec<u8>, Problem> {
        let refused = || Problem::field("cursor", Fault::new("invalid_cursor", INVALID));
        self.place(binding, &cursor.0).ok_or_else(refused)
    }

    /// Returns the position that a text encodes, if it is a cursor of this query.
    pub(crate) fn place(&self, binding: CursorBinding, text: &str) -> Option<Vec<u8>> {
        if text.len() > MAX_CHARS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (place, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_BYTES)?)?;
        let genuine = hmac::verify(&self.0, &Self::sealed(binding, place), tag).is_ok();
        (genuine && *version == VERSION).then(|| place.to_vec())
    }
}

const INVALID: &str = "must be a `next_cursor` of this call with the same filters";

/// A cursor as it was sent, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor(String);

impl QueryValue for Cursor {
    fn parse(text: &str) -> Result<Self, Fault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Fault::new("invalid_cursor", INVALID))
        }
    }

    fn describe() -> Object {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .min_length(Some(1))
            .max_length(Some(MAX_CHARS))
            .pattern(Some("^[A-Za-z0-9_-]+$"))
            .build()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::ErrorCode;

    fn key() -> CursorKey {
        CursorKey::new(&[7; 32])
    }

    fn binding(parts: &[Option<&str>]) -> CursorBinding {
        let scope = parts
            .iter()
            .fold(CursorScope::of("listThings"), |scope, part| scope.with(*part));
        scope.done()
    }

    fn open(key: &CursorKey, binding: CursorBinding, text: &str) -> Option<Vec<u8>> {
        let cursor = Cursor::parse(text).ok()?;
        match key.open(binding, &cursor) {
            Ok(place) => Some(place),
            Err(problem) => {
                assert_eq!(problem.code, ErrorCode::ValidationFailed);
                assert_eq!(problem.details["fields"][0]["path"], "/cursor");
                assert_eq!(problem.details["fields"][0]["code"], "invalid_cursor");
                None
            }
        }
    }

    #[test]
    fn a_cursor_opens_for_its_query_alone() {
        let here = binding(&[Some("acme"), None]);
        let text = key().seal(here, b"place");
        assert_eq!(open(&key(), here, &text), Some(b"place".to_vec()));
        for there in [
            binding(&[Some("zeta"), None]),
            binding(&[Some("acme"), Some("")]),
            binding(&[Some("acme")]),
            binding(&[None, Some("acme")]),
            binding(&[Some("ac"), Some("me")]),
            CursorScope::of("listOthers")
                .with(Some("acme"))
                .with(None::<&str>)
                .done(),
        ] {
            assert_eq!(open(&key(), there, &text), None);
        }
        assert_eq!(open(&CursorKey::new(&[8; 32]), here, &text), None);
    }

    #[test]
    fn no_other_text_opens() {
        let here = binding(&[Some("acme")]);
        for place in [&b""[..], b"p", b"a place of some length"] {
            let text = key().seal(here, place);
            assert_eq!(open(&key(), here, &text).as_deref(), Some(place));
            let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut other = bytes.clone();
                    other[at] ^= 1 << bit;
                    assert_eq!(open(&key(), here, &URL_SAFE_NO_PAD.encode(other)), None);
                }
            }
            // Changes characters too: none of them has a second spelling.
            for at in 0..text.len() {
                for other in "ABQZabqz0189-_+/=. ".chars() {
                    let mut changed: Vec<char> = text.chars().collect();
                    if changed[at] == other {
                        continue;
                    }
                    changed[at] = other;
                    assert_eq!(open(&key(), here, &changed.into_iter().collect::<String>()), None);
                }
            }
            for length in 0..text.len() {
                assert_eq!(open(&key(), here, text.get(..length).unwrap()), None);
            }
            for longer in [
                format!("{text}A"),
                format!("{text}="),
                format!("A{text}"),
                format!("{text}{text}"),
            ] {
                assert_eq!(open(&key(), here, &longer), None);
            }
        }
    }

    #[test]
    fn cursors_of_another_version_are_refused_although_they_are_genuine() {
        let here = binding(&[]);
        let mut message = vec![VERSION + 1];
        message.extend_from_slice(&here.0);
        message.extend_from_slice(b"place");
        let tag = hmac::sign(&key().0, &message);
        let text = URL_SAFE_NO_PAD.encode([&[VERSION + 1][..], b"place", tag.as_ref()].concat());
        assert_eq!(open(&key(), here, &text), None);
    }

    #[test]
    fn the_secret_itself_seals_nothing() {
        let here = binding(&[]);
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]),
            &CursorKey::sealed(here, b"place"),
        );
        let text = URL_SAFE_NO_PAD.encode([&[VERSION][..], b"place", tag.as_ref()].concat());
        assert_eq!(open(&key(), here, &text), None);
    }
}
