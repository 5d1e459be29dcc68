//! The issuer and the audience of tokens, and the clocks between them.

/// The issuer and the audience of tokens; both must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenParties {
    /// `iss`.
    pub issuer: String,
    /// `aud`, or one of them.
    pub audience: String,
}

/// The largest difference between the clocks of issuers and this one, in seconds.
pub const LEEWAY_SECONDS: i64 = 5;
