//! The issuer and the audience of tokens, and the clock skew between them.

/// The issuer and the audience of tokens; both must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenParties {
    /// `iss`.
    pub issuer: String,
    /// `aud`: the audience, or one of several.
    pub audience: String,
}

/// Maximum difference between the clocks of issuers and this one, in seconds.
pub const LEEWAY_SECONDS: i64 = 5;
