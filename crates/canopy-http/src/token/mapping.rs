//! The mapping of an issuer's claims to accounts, environments and identities.

use canopy_domain::port::{AccountName, EnvironmentName, PrincipalKind, SubjectKind};
use serde_json::{Map, Value};

/// The path of a claim: its name, or a JSON Pointer (RFC 6901) into nested claims if it begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Maximum length in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Parses a path.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err("must be the name of a claim, or a JSON Pointer such as /realm/tenant");
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the claim, if it is present and not null.
    pub(super) fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let found = match self.0.strip_prefix('/') {
            None => claims.get(&self.0),
            Some(rest) => {
                let (first, rest) = match rest.split_once('/') {
                    None => (rest, None),
                    Some((first, rest)) => (first, Some(rest)),
                };
                // Unescaping of RFC 6901.
                let first = first.replace("~1", "/").replace("~0", "~");
                let found = claims.get(&first);
                match rest {
                    None => found,
                    Some(rest) => found.and_then(|inner| inner.pointer(&format!("/{rest}"))),
                }
            }
        };
        found.filter(|value| !value.is_null())
    }
}

/// The principal of the tokens of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalRule {
    /// Always this one.
    Fixed(PrincipalKind),
    /// The one that a claim names.
    Claim(ClaimPath),
}

/// The account of the tokens of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountRule {
    /// Always this one.
    Fixed(AccountName),
    /// The account whose id is in a claim.
    Id(ClaimPath),
    /// The account whose slug is in a claim.
    Slug(ClaimPath),
}

/// The environment that tokens of a source are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentRule {
    /// Always this one.
    Fixed(EnvironmentName),
    /// The environment whose id is in a claim, if the claim is present.
    Id(ClaimPath),
    /// The environment whose slugs, as `application/environment`, are in a claim, if the claim is present.
    Path(ClaimPath),
}

/// The mapping of claims, for one source of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimMapping {
    /// The attribute of the identity that the subject claim holds.
    pub subject: SubjectKind,
    /// The claim with the subject.
    pub subject_claim: ClaimPath,
    /// True if a subject that is an email address requires `"email_verified": true`.
    pub requires_verified_email: bool,
    /// The principal.
    pub principal: PrincipalRule,
    /// The account.
    pub account: AccountRule,
    /// The environment.
    pub environment: EnvironmentRule,
}

impl Default for ClaimMapping {
    /// Returns the mapping of the installation's own tokens.
    fn default() -> Self {
        let claim = |name: &str| ClaimPath(name.to_owned());
        Self {
            subject: SubjectKind::Id,
            subject_claim: claim("sub"),
            requires_verified_email: true,
            principal: PrincipalRule::Claim(claim("principal")),
            account: AccountRule::Id(claim("account")),
            environment: EnvironmentRule::Id(claim("environment")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_found_by_its_name_or_by_a_pointer() {
        let claims = json!({
            "sub": "ada", "https://example.com/account": "acme", "a.b": 1, "nothing": null, "": 7,
            "realm_access": { "tenant": "acme", "list": ["x", "y"], "a/b": { "~": true } },
            "x/y": { "z": 1 },
        });
        let Value::Object(claims) = claims else { panic!() };
        for (path, expected) in [
            ("sub", Some(json!("ada"))),
            ("https://example.com/account", Some(json!("acme"))),
            ("a.b", Some(json!(1))),
            ("/realm_access/tenant", Some(json!("acme"))),
            ("/realm_access/list/1", Some(json!("y"))),
            ("/realm_access/a~1b/~0", Some(json!(true))),
            ("/x~1y/z", Some(json!(1))),
            ("/sub", Some(json!("ada"))),
            ("/sub/x", None),
            ("/", Some(json!(7))),
            ("realm_access/tenant", None),
            ("nothing", None),
            ("/nothing", None),
            ("none", None),
        ] {
            let found = ClaimPath::parse(path).unwrap();
            assert_eq!(found.find(&claims).cloned(), expected, "{path}");
        }
        for bad in ["", "a\nb", &"x".repeat(256)] {
            assert!(ClaimPath::parse(bad).is_err(), "{bad}");
        }
    }
}
