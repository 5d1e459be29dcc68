//! A cache of verified tokens, so that a signature is checked once and not with every call.

use super::claims::refused_from;
use canopy_domain::Timestamp;
use canopy_domain::port::{AccountName, EnvironmentName, TokenError, VerifiedToken};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Maximum number of tokens of one generation.
const GENERATION_TOKENS: usize = 10_000;

/// Maximum size of one generation, in bytes.
const GENERATION_BYTES: usize = 4 * 1024 * 1024;

/// The SHA-256 digest of a token. The token itself is not stored.
pub(super) type Fingerprint = [u8; 32];

/// The number of a verification key. Never reused for another key.
pub(super) type KeyNumber = u64;

/// Returns the fingerprint of a token.
pub(super) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

/// Verified tokens, until they expire, in two generations. A full young generation takes the place of the old one, which is
/// evicted. A token that is used again moves to the young generation, so a flood of others does not evict it.
#[derive(Debug, Default)]
pub(super) struct VerifiedTokens {
    generations: RwLock<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: Generation,
    old: HashMap<Fingerprint, Entry>,
}

#[derive(Debug, Default)]
struct Generation {
    entries: HashMap<Fingerprint, Entry>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    token: VerifiedToken,
    key: KeyNumber,
}

impl Entry {
    /// Estimates its memory in bytes.
    fn bytes(&self) -> usize {
        let account = match &self.token.account {
            Some(AccountName::Slug(slug)) => slug.len(),
            Some(AccountName::Id(_)) | None => 0,
        };
        let environment = match &self.token.environment {
            Some(EnvironmentName::Path(path)) => path.len(),
            Some(EnvironmentName::Id(_)) | None => 0,
        };
        2 * size_of::<(Fingerprint, Self)>() + self.token.subject.len() + account + environment
    }

    fn judge(&self, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        if refused_from(self.token.expires_at) <= now {
            Err(TokenError::Expired)
        } else {
            Ok(self.token.clone())
        }
    }
}

impl Generations {
    fn insert(&mut self, fingerprint: Fingerprint, entry: Entry) {
        let bytes = entry.bytes();
        let is_full = self.young.entries.len() >= GENERATION_TOKENS || self.young.bytes + bytes > GENERATION_BYTES;
        if is_full {
            self.old = core::mem::take(&mut self.young).entries;
        }
        if self.young.entries.insert(fingerprint, entry).is_none() {
            self.young.bytes += bytes;
        }
    }
}

impl VerifiedTokens {
    /// Returns the claims of a cached token; `None` if it is not cached.
    pub(super) fn get(&self, fingerprint: &Fingerprint, now: Timestamp) -> Option<Result<VerifiedToken, TokenError>> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = generations.young.entries.get(fingerprint) {
            return Some(entry.judge(now));
        }
        let judged = generations.old.get(fingerprint)?.judge(now);
        drop(generations);
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = generations.old.remove(fingerprint) {
            generations.insert(*fingerprint, entry);
        }
        Some(judged)
    }

    /// Evicts the tokens that were verified with keys for which `is_gone` holds.
    pub(super) fn forget(&self, is_gone: impl Fn(KeyNumber) -> bool) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        generations.old.retain(|_, entry| !is_gone(entry.key));
        let young = &mut generations.young;
        young.entries.retain(|_, entry| !is_gone(entry.key));
        young.bytes = young.entries.values().map(Entry::bytes).sum();
    }

    /// Caches a token that was verified with a key.
    pub(super) fn remember(&self, fingerprint: Fingerprint, token: &VerifiedToken, key: KeyNumber) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let token = token.clone();
        generations.insert(fingerprint, Entry { token, key });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::port::{PrincipalKind, SubjectKind};

    fn token(expires_at: i64, subject: &str) -> VerifiedToken {
        VerifiedToken {
            subject: subject.into(),
            subject_kind: SubjectKind::Id,
            principal: PrincipalKind::Operator,
            account: None,
            environment: None,
            expires_at: at(expires_at),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn held(tokens: &VerifiedTokens) -> (usize, usize) {
        let generations = tokens.generations.read().unwrap();
        let entries = || generations.young.entries.values().chain(generations.old.values());
        (entries().count(), entries().map(Entry::bytes).sum())
    }

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let tokens = VerifiedTokens::default();
        let mark = fingerprint("token");
        assert_eq!(tokens.get(&mark, at(0)), None);
        tokens.remember(mark, &token(100, "ada"), 1);
        assert_eq!(tokens.get(&mark, at(104)), Some(Ok(token(100, "ada"))));
        assert_eq!(tokens.get(&mark, at(105)), Some(Err(TokenError::Expired)));
        assert_eq!(tokens.get(&fingerprint("tokem"), at(0)), None);
    }

    #[test]
    fn the_tokens_of_a_key_that_is_gone_are_forgotten_in_both_generations() {
        let tokens = VerifiedTokens::default();
        let marks = ["a", "b"].map(fingerprint);
        for (key, mark) in (1..).zip(marks) {
            tokens.remember(mark, &token(100, "ada"), key);
        }
        for number in 0..GENERATION_TOKENS - 2 {
            tokens.remember(fingerprint(&number.to_string()), &token(100, "eve"), 3);
        }
        // The next token begins a generation.
        tokens.remember(fingerprint("c"), &token(100, "ada"), 1);
        tokens.forget(|key| key == 1);
        assert_eq!(tokens.get(&marks[0], at(0)), None);
        assert_eq!(tokens.get(&fingerprint("c"), at(0)), None);
        assert!(tokens.get(&marks[1], at(0)).is_some());
    }

    #[test]
    fn memory_is_bounded_by_number_and_by_bytes() {
        let tokens = VerifiedTokens::default();
        for number in 0..GENERATION_TOKENS * 3 {
            tokens.remember(fingerprint(&number.to_string()), &token(100, "ada"), 1);
        }
        assert!(held(&tokens).0 <= 2 * GENERATION_TOKENS);
        let tokens = VerifiedTokens::default();
        let long = "x".repeat(8_000);
        for number in 0..2_000 {
            tokens.remember(fingerprint(&number.to_string()), &token(100, &long), 1);
        }
        let (count, bytes) = held(&tokens);
        assert!(
            bytes <= 2 * GENERATION_BYTES && count > 500,
            "{count} tokens, {bytes} bytes"
        );
    }

    #[test]
    fn a_flood_of_tokens_does_not_evict_one_that_is_in_use() {
        let tokens = VerifiedTokens::default();
        let mark = fingerprint("in use");
        tokens.remember(mark, &token(100, "ada"), 1);
        for number in 0..GENERATION_TOKENS * 5 {
            tokens.remember(fingerprint(&number.to_string()), &token(100, "eve"), 1);
            if number % (GENERATION_TOKENS / 2) == 0 {
                assert!(tokens.get(&mark, at(0)).is_some(), "after {number}");
            }
        }
        assert_eq!(tokens.get(&fingerprint("0"), at(0)), None);
    }
}
