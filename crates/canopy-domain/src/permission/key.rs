//! The grammar of permission keys.

use core::fmt;

/// The key of a permission: two or more dot-separated segments, each 1 to 100 of `A-Z a-z 0-9 _ - / :`, 255 characters
/// in all. Case counts; there are no wildcards, and no key implies another.
///
/// ```
/// # use canopy_domain::PermissionKey;
/// let key = PermissionKey::parse("invoice.read")?;
/// assert_eq!(key.as_str(), "invoice.read");
/// assert!(PermissionKey::parse("invoice").is_err());
/// # Ok::<(), canopy_domain::PermissionKeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionKey(Box<str>);

/// The rule that a text breaks which is not a [`PermissionKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermissionKeyError {
    /// Longer than 255 characters.
    #[error("must have at most 255 characters")]
    TooLong,
    /// Fewer than two segments.
    #[error("must have two or more segments, separated by dots")]
    TooFewSegments,
    /// A segment is empty or longer than 100 characters.
    #[error("each segment must have 1 to 100 characters")]
    SegmentLength,
    /// A character outside the alphabet.
    #[error("segments may contain only the characters A-Z a-z 0-9 _ - / :")]
    Character,
}

impl PermissionKey {
    /// Maximum number of characters (and bytes).
    pub const MAX_CHARS: usize = 255;
    /// Maximum number of characters between two dots.
    pub const MAX_SEGMENT_CHARS: usize = 100;

    /// Checks a text; nothing is trimmed or folded.
    ///
    /// # Errors
    /// The first rule of [`PermissionKeyError`] that the text breaks.
    pub fn parse(raw: &str) -> Result<Self, PermissionKeyError> {
        if Self::segments(raw)? < 2 {
            return Err(PermissionKeyError::TooFewSegments);
        }
        Ok(Self(raw.into()))
    }

    /// Checks a part of a key, between two dots, and counts its segments.
    ///
    /// # Errors
    /// The first rule of [`PermissionKeyError`] that the text breaks.
    pub fn segments(raw: &str) -> Result<usize, PermissionKeyError> {
        if raw.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(PermissionKeyError::TooLong);
        }
        let mut segments = 0;
        for segment in raw.split('.') {
            segments += 1;
            if !segment.bytes().all(is_segment_byte) {
                return Err(PermissionKeyError::Character);
            }
            if segment.is_empty() || segment.len() > Self::MAX_SEGMENT_CHARS {
                return Err(PermissionKeyError::SegmentLength);
            }
        }
        Ok(segments)
    }

    /// Returns the text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b':')
}

impl fmt::Display for PermissionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::borrow::Borrow<str> for PermissionKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{PermissionKey, PermissionKeyError as E};
    use crate::SYSTEM_PERMISSION_KEYS;
    use proptest::prelude::*;

    #[test]
    fn each_rule_has_its_error() {
        let hundred = "x".repeat(100);
        for (text, expected) in [
            ("a.b", Ok(())),
            ("A-Z_0/9:x.b.c", Ok(())),
            (&format!("{hundred}.{hundred}"), Ok(())),
            (&format!("{hundred}.{hundred}.{}", "y".repeat(53)), Ok(())),
            (&format!("{hundred}.{hundred}.{}", "y".repeat(54)), Err(E::TooLong)),
            (&format!("{hundred}x.b"), Err(E::SegmentLength)),
            ("", Err(E::SegmentLength)),
            ("a", Err(E::TooFewSegments)),
            ("a.", Err(E::SegmentLength)),
            (".a", Err(E::SegmentLength)),
            ("a..b", Err(E::SegmentLength)),
            ("a.*", Err(E::Character)),
            (" a.b", Err(E::Character)),
            ("a.b\n", Err(E::Character)),
            ("ä.b", Err(E::Character)),
        ] {
            assert_eq!(PermissionKey::parse(text).map(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn every_system_key_is_a_key() {
        for key in SYSTEM_PERMISSION_KEYS {
            assert_eq!(PermissionKey::parse(key).unwrap().as_str(), key);
        }
    }

    proptest! {
        #[test]
        fn a_key_is_exactly_what_the_grammar_says(text in "[a-zA-Z0-9_/:. *ü-]{0,12}") {
            let grammar = text.split('.').count() >= 2
                && text.split('.').all(|s| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "_-/:".contains(c)));
            prop_assert_eq!(PermissionKey::parse(&text).is_ok(), grammar);
        }
    }
}
