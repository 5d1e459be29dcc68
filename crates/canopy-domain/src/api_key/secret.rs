//! The secret text of an API key, its preview and its digest.

use core::fmt;

/// The text of an API key: `cnpy_` and thirty-two random bytes in lower-case hex. It is a secret: it has no `Debug`
/// text and no `Display`; only [`expose`](Self::expose) returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(Box<str>);

impl KeyText {
    const PREFIX: &str = "cnpy_";
    /// Length in characters.
    pub const CHARS: usize = 69;

    /// Creates a key from random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
        let hex = secret.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
        Self(Self::PREFIX.chars().chain(hex).collect())
    }

    /// Parses a text from a caller; `None` if it is no key.
    pub fn parse(raw: &str) -> Option<Self> {
        let hex = raw.strip_prefix(Self::PREFIX)?;
        let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex && raw.len() == Self::CHARS).then(|| Self(raw.into()))
    }

    /// Returns the secret itself: to be digested, or shown once to its creator.
    pub const fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the part that is shown to people later.
    pub fn preview(&self) -> KeyPreview {
        let shown = self.0.chars().take(KeyPreview::SHOWN);
        KeyPreview(shown.chain(KeyPreview::REST.chars()).collect())
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// The first characters of a key, by which people recognize it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPreview(Box<str>);

impl KeyPreview {
    const SHOWN: usize = 12;
    const REST: &str = "****";

    /// Parses a stored preview; `None` for any other text, such as a whole key.
    pub fn parse(raw: &str) -> Option<Self> {
        let shown = raw.strip_suffix(Self::REST)?;
        let fits = shown.starts_with(KeyText::PREFIX) && shown.len() == Self::SHOWN;
        fits.then(|| Self(raw.into()))
    }

    /// Returns the text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 digest of a key's text. It does not reveal the text, which has 256 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 32]);

#[cfg(test)]
mod tests {
    #![expect(clippy::string_slice, reason = "keys are ASCII")]

    use super::*;

    #[test]
    fn a_key_has_69_characters_and_is_told_by_its_first_twelve() {
        let mut secret = [0; 32];
        secret[0] = 0xab;
        secret[31] = 0x0f;
        let key = KeyText::new(secret);
        assert_eq!(key.expose(), format!("cnpy_ab{}0f", "0".repeat(60)));
        assert_eq!(key.expose().len(), KeyText::CHARS);
        assert_eq!(key.preview().as_str(), "cnpy_ab00000****");
        assert_eq!(KeyText::parse(key.expose()), Some(key.clone()));
        assert_eq!(KeyPreview::parse("cnpy_ab00000****"), Some(key.preview()));
    }

    #[test]
    fn nothing_but_a_key_is_taken_for_one() {
        let good = KeyText::new([0xfe; 32]);
        let good = good.expose();
        for bad in [
            "",
            "cnpy_",
            &good[1..],
            &good[..68],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace("cnpy_", "CNPY_"),
            &good.replacen("fe", "FE", 1),
            &good.replacen("fe", "fg", 1),
            &format!(" {}", &good[..68]),
            &good.replacen("fefe", "ü€", 1),
        ] {
            assert_eq!(KeyText::parse(bad), None, "{bad}");
        }
        assert_eq!(KeyPreview::parse(good), None);
        assert_eq!(KeyPreview::parse("cnpy_****"), None);
    }

    #[test]
    fn a_key_does_not_show_in_debug_output() {
        let key = KeyText::new([0xfe; 32]);
        assert!(!format!("{key:?} {:?}", Some(&key)).contains("fefe"));
    }
}
