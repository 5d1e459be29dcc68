//! The log of refused credentials. It names the failed check for operators; callers learn nothing of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canopy_domain::port::TokenError;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::{Map, Value};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines per minute for each check.
const LINES_A_MINUTE: u32 = 60;

/// Lines of one check at once.
const BURST: u32 = 10;

/// Maximum length of a claim in the log, in characters.
const MAX_CHARS: usize = 120;

/// Maximum size of a token part that is decoded for the log, in bytes.
const MAX_PART_BYTES: usize = 8 * 1024;

/// Characters of an API key in the log: those that lists of keys show too.
const PREVIEW_CHARS: usize = 12;

/// Logs the reasons of refused credentials, with a budget per check: a flood of one failure does not hide others.
#[derive(Debug)]
pub struct RefusedCredentials {
    gates: Vec<(TokenError, Gate)>,
    keys: Gate,
}

#[derive(Debug)]
struct Gate {
    lines: DefaultDirectRateLimiter,
    suppressed: AtomicU64,
}

impl Gate {
    /// Returns the number of lines dropped before this one; `None` if this one is dropped too.
    fn pass(&self) -> Option<u64> {
        if self.lines.check().is_err() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

impl Default for RefusedCredentials {
    fn default() -> Self {
        let count = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(count(LINES_A_MINUTE)).allow_burst(count(BURST));
        let gate = || Gate {
            lines: RateLimiter::direct(quota),
            suppressed: AtomicU64::new(0),
        };
        Self {
            gates: TokenError::ALL.iter().map(|check| (*check, gate())).collect(),
            keys: gate(),
        }
    }
}

impl RefusedCredentials {
    /// Logs the refusal of an API key within the budget. The line identifies the key and contains nothing more of it.
    pub fn record_key(&self, text: &str, request_id: &str) {
        let Some(suppressed) = self.keys.pass() else { return };
        let key = match text.get(..PREVIEW_CHARS) {
            Some(preview) if text.starts_with("cnpy_") => visible(preview),
            _ => "(not an API key)".to_owned(),
        };
        tracing::info!(key, request_id, suppressed, "API key refused");
    }

    /// Logs the refusal of a token within the budget of its check.
    pub fn record(&self, token: &str, error: TokenError, request_id: &str) {
        let Some((_, gate)) = self.gates.iter().find(|(check, _)| *check == error) else {
            return;
        };
        let Some(suppressed) = gate.pass() else { return };
        let mut parts = token.split('.');
        let (header, claims) = (object(parts.next()), object(parts.next()));
        tracing::info!(
            check = error.check(),
            iss = shown(&claims, "iss"),
            kid = shown(&header, "kid"),
            sub = shown(&claims, "sub"),
            request_id,
            suppressed,
            "access token refused"
        );
    }
}

/// Decodes a part of a token, if it is a JSON object.
fn object(part: Option<&str>) -> Map<String, Value> {
    let part = part.filter(|part| part.len() <= MAX_PART_BYTES);
    let bytes = part.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// Formats a claim for the log: bounded, and without characters that a terminal or log reader interprets.
fn shown(claims: &Map<String, Value>, name: &str) -> String {
    let text = match claims.get(name) {
        None => return "-".to_owned(),
        Some(Value::String(text)) => text,
        Some(_) => return "(not text)".to_owned(),
    };
    let mut shown = visible(text);
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns the beginning of a text, with all control and invisible characters replaced.
fn visible(text: &str) -> String {
    let plain = |letter: char| {
        let is_plain = letter.is_alphanumeric() || letter.is_ascii_graphic() || letter == ' ';
        if is_plain { letter } else { '?' }
    };
    text.chars().take(MAX_CHARS).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_are_bounded_and_harmless_in_the_log() {
        let long = "x".repeat(500);
        let claims = json!({ "sub": "a\n\u{1b}[31mb\u{202e}c", "iss": long, "kid": 7, "name": "Zoë Ölç" });
        let Value::Object(claims) = claims else { panic!() };
        assert_eq!(shown(&claims, "sub"), "a??[31mb?c");
        assert_eq!(shown(&claims, "iss").chars().count(), MAX_CHARS + 1);
        assert_eq!(shown(&claims, "kid"), "(not text)");
        assert_eq!(shown(&claims, "name"), "Zoë Ölç");
        assert_eq!(shown(&claims, "none"), "-");
        for odd in ["", "!", "a.b", &"A".repeat(20_000)] {
            assert_eq!(object(Some(odd)), Map::new());
        }
    }

    #[test]
    fn a_flood_that_fails_one_check_hides_no_other() {
        let refused = RefusedCredentials::default();
        for _ in 0..1_000 {
            refused.record("a.b.c", TokenError::Signature, "r");
        }
        let suppressed = |error: TokenError| {
            let gate = refused.gates.iter().find(|(check, _)| *check == error);
            gate.unwrap().1.suppressed.load(Ordering::Relaxed)
        };
        assert!((900..=990).contains(&suppressed(TokenError::Signature)));
        for other in TokenError::ALL.iter().filter(|error| **error != TokenError::Signature) {
            refused.record("a.b.c", *other, "r");
            assert_eq!(suppressed(*other), 0, "{other:?}");
        }
    }
}
