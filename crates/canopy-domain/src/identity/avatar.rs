//! URLs of pictures.

use crate::text::{TextError, bounded};
use core::fmt;

/// The URL of a picture: `http` or `https`, with a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AvatarUrl(Box<str>);

/// The rule that a text breaks which is not an [`AvatarUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AvatarUrlError {
    /// The text is empty or too long.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The text is not an http or https URL.
    #[error("must be an http or https URL")]
    NotHttp,
}

impl AvatarUrl {
    /// Maximum number of characters.
    pub const MAX_CHARS: usize = 2048;

    /// Trims and checks a text.
    ///
    /// # Errors
    /// [`AvatarUrlError`] if a rule is broken.
    ///
    /// ```
    /// # use canopy_domain::AvatarUrl;
    /// assert!(AvatarUrl::parse("https://x.example/ada.png").is_ok());
    /// assert!(AvatarUrl::parse("javascript:alert(1)").is_err());
    /// ```
    pub fn parse(raw: &str) -> Result<Self, AvatarUrlError> {
        let text = bounded(raw, Self::MAX_CHARS, &[])?;
        let (scheme, rest) = text.split_once("://").ok_or(AvatarUrlError::NotHttp)?;
        let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let has_host = !host.is_empty() && !host.starts_with(':');
        let is_clean = !text
            .chars()
            .any(|one| one.is_whitespace() || matches!(one, '<' | '>' | '"' | '\\'))
            && !crate::text::has_hidden(text);
        if is_http && has_host && is_clean {
            Ok(Self(text.into()))
        } else {
            Err(AvatarUrlError::NotHttp)
        }
    }

    /// Reads a stored text: earlier releases accepted any.
    ///
    /// # Errors
    /// [`TextError`] for a text that no release accepted.
    pub fn restored(raw: &str) -> Result<Self, TextError> {
        bounded(raw, Self::MAX_CHARS, &[]).map(|text| Self(text.into()))
    }

    /// Returns the text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AvatarUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{AvatarUrl, AvatarUrlError};

    #[test]
    fn addresses_are_http_with_a_host() {
        for good in [
            "http://a",
            "https://x.example/ü.png",
            "HTTPS://x.example:8443/a?b=c#d",
            "https://[::1]/a",
            "https://u@x.example",
        ] {
            assert_eq!(AvatarUrl::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "javascript:alert(1)",
            "javascript://x.example/%0aalert(1)",
            "data:image/png;base64,AA==",
            "ftp://x.example/a",
            "//x.example/a",
            "x.example/a",
            "https://",
            "https:///a",
            "https://:80/a",
            "https:/x.example",
            "https://x.example/a b",
            "https://x.example/\u{202e}gnp",
            "https://x\"onerror=.example/",
        ] {
            assert_eq!(AvatarUrl::parse(bad), Err(AvatarUrlError::NotHttp), "{bad}");
        }
        assert!(AvatarUrl::restored("javascript:alert(1)").is_ok());
        assert!(AvatarUrl::restored("").is_err());
    }
}
