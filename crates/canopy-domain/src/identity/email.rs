//! Email addresses.

use core::fmt;

/// An email address, trimmed and in lower case. Checked for its form, not for existence: one `@` with a local part of
/// at most 64 and a domain of at most 255 characters, no white space, control or hidden characters, 254 characters in
/// total (RFC 5321).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(Box<str>);

/// The error of a text that is not an [`Email`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an email address")]
pub struct EmailError;

impl Email {
    /// Maximum number of characters.
    pub const MAX_CHARS: usize = 254;

    /// Trims, lower-cases and checks a text.
    ///
    /// # Errors
    /// [`EmailError`] if it has not the form of an email address.
    pub fn parse(raw: &str) -> Result<Self, EmailError> {
        let email = Self::restored(raw)?;
        if crate::text::has_hidden(&email.0) {
            return Err(EmailError);
        }
        Ok(email)
    }

    /// Reads a stored text: earlier releases accepted hidden characters.
    ///
    /// # Errors
    /// [`EmailError`] if it has not the form of an email address.
    pub fn restored(raw: &str) -> Result<Self, EmailError> {
        // Lower case, not folded: the address must stay deliverable (`ß` is not `ss`).
        let lower = raw.trim().to_lowercase();
        let (local, domain) = lower.rsplit_once('@').ok_or(EmailError)?;
        let fits =
            (1..=64).contains(&local.chars().count()) && !domain.is_empty() && lower.chars().count() <= Self::MAX_CHARS;
        let printable = !lower.chars().any(|c| c.is_whitespace() || c.is_control());
        let labels = domain.split('.').all(|label| !label.is_empty());
        if !fits || !printable || !labels || local.contains('@') {
            return Err(EmailError);
        }
        Ok(Self(lower.into()))
    }

    /// Returns the text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn is_trimmed_and_in_lower_case() {
        assert_eq!(
            Email::parse("  Ada.L@Example.COM ").unwrap().as_str(),
            "ada.l@example.com"
        );
        assert_eq!(Email::parse("ΓΙΏΡΓΟΣ@x.gr"), Email::parse("γιώργος@X.GR"));
        assert_eq!(Email::parse("a@Straße.de").unwrap().as_str(), "a@straße.de");
    }

    #[test]
    fn what_earlier_releases_accepted_is_still_read() {
        assert_eq!(Email::restored("a\u{200b}@b").unwrap().as_str(), "a\u{200b}@b");
        assert!(Email::restored("a b@c").is_err());
    }

    #[test]
    fn shape_is_checked() {
        for good in ["a@b", "a+b@c.d", "ü@müller.de"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        let long_local = format!("{}@b.c", "a".repeat(65));
        let long = format!("a@{}.de", "b".repeat(250));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@@b",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@.b",
            "a@b..c",
            "a\u{0}@b",
            "a\u{200b}@b",
            "a@\u{202e}b",
            &long_local,
            &long,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }
}
