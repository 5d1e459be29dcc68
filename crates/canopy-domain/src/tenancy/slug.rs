//! Slugs: short names in paths.

use core::fmt;
use deunicode::deunicode;
use unicode_normalization::UnicodeNormalization as _;

/// A short name in a path: 1 to 100 of `a-z`, `0-9` and `-`, with no `-` at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(Box<str>);

/// The error of a text that is not a [`Slug`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 characters of a-z, 0-9 and `-`, with no `-` at either end")]
pub struct SlugError;

impl Slug {
    /// Maximum number of characters (and bytes).
    pub const MAX_CHARS: usize = 100;

    /// Maximum number of characters of a slug derived from a name.
    pub const MAX_MADE_CHARS: usize = 80;

    /// Checks a text; nothing is trimmed or folded.
    ///
    /// # Errors
    /// [`SlugError`] if a rule is broken.
    pub fn parse(raw: &str) -> Result<Self, SlugError> {
        Self::check(raw)?;
        Ok(Self(raw.into()))
    }

    /// Checks a text without copying it.
    pub(crate) fn check(raw: &str) -> Result<(), SlugError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let ends = raw.starts_with('-') || raw.ends_with('-');
        if raw.is_empty() || raw.len() > Self::MAX_CHARS || ends || !raw.bytes().all(allowed) {
            return Err(SlugError);
        }
        Ok(())
    }

    /// Returns the slug of a node whose name has no letter or digit to derive one from.
    pub fn node() -> Self {
        Self("node".into())
    }

    /// Returns the slug of an account, application or environment whose name has no letter or digit to derive one from.
    pub fn of(tenant: super::Tenant) -> Self {
        Self(tenant.as_str().into())
    }

    /// Derives a slug from a name: transliterated to ASCII, letters and digits in lower case, `-` for each run of other
    /// characters, truncated so that any number still fits after it. Returns `None` for a name without letters and
    /// digits.
    ///
    /// ```
    /// # use canopy_domain::Slug;
    /// assert_eq!(Slug::from_name("São Paulo").as_ref().map(Slug::as_str), Some("sao-paulo"));
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        let mut slug = String::new();
        let composed: String = name.nfkc().collect();
        for c in deunicode(&composed).chars() {
            if slug.len() == Self::MAX_MADE_CHARS {
                break;
            }
            if c.is_ascii_alphanumeric() {
                slug.push(c.to_ascii_lowercase());
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        Self::parse(slug.trim_end_matches('-')).ok()
    }

    /// Returns this slug with the suffix `-{number}`, truncated so that the whole fits.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        let tail = format!("-{number}");
        let room = Self::MAX_CHARS.saturating_sub(tail.len());
        let head: String = self.0.chars().take(room).collect();
        Self(format!("{}{tail}", head.trim_end_matches('-')).into())
    }

    /// Returns the text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Slug;

    #[test]
    fn accepts_exactly_the_alphabet() {
        for good in ["a", "0", "acme", "a-b--c", &"x".repeat(100)] {
            assert_eq!(Slug::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "a/b", "é", &"x".repeat(101)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_becomes_a_slug() {
        for (name, slug) in [
            ("Zürich West", Some("zurich-west")),
            ("Zu\u{308}rich", Some("zurich")),
            ("São Paulo", Some("sao-paulo")),
            ("Łódź", Some("lodz")),
            ("Москва", Some("moskva")),
            ("Straße & Co.", Some("strasse-co")),
            ("  R&D -- Team 7! ", Some("r-d-team-7")),
            ("東京", Some("dong-jing")),
            ("\u{e000}", None),
            ("---", None),
        ] {
            assert_eq!(Slug::from_name(name).as_ref().map(Slug::as_str), slug, "{name}");
        }
        assert_eq!(Slug::from_name(&"ab ".repeat(90)).unwrap().as_str().len(), 79 + 1);
    }

    #[test]
    fn numbering_keeps_the_length() {
        assert_eq!(Slug::parse("eu").unwrap().numbered(2).as_str(), "eu-2");
        let long = Slug::parse(&"x".repeat(100)).unwrap().numbered(10);
        assert_eq!(long.as_str().len(), 100);
        assert!(Slug::parse(long.as_str()).is_ok());
    }
}
