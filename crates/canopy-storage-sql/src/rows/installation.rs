//! Rows that the processes of an installation share, and kept answers.

use crate::shape::shape;
use canopy_domain::Timestamp;
use canopy_domain::port::{KeptAnswer, RequestIdentity, SigningKey, StoreError};

shape! {
    /// A signing key.
    SigningKeyRow in "signing_keys" reads SigningKey {
        kid: "kid" as string,
        public_key: "public_key" as bytes(|bytes| <[u8; 32]>::try_from(bytes)),
        created_at: "created_at" as at,
    }
}

shape! {
    /// A secret.
    SecretRow in "installation_secrets" reads ([u8; 32]) {
        secret: "secret" as bytes(|bytes| <[u8; 32]>::try_from(bytes)),
    } => secret
}

/// A kept answer, but for the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    body: [u8; 32],
    answer: Vec<u8>,
    at: Timestamp,
}

impl StoredAnswer {
    /// The answer of this request.
    pub fn of(self, request: RequestIdentity) -> KeptAnswer {
        KeptAnswer {
            request,
            body: self.body,
            answer: self.answer,
            at: self.at,
        }
    }
}

shape! {
    /// A kept answer, but for the request.
    KeptAnswerRow in "kept_answers" reads StoredAnswer {
        body: "body" as bytes(|bytes| <[u8; 32]>::try_from(bytes)),
        answer: "answer" as bytes(|bytes| Ok::<_, StoreError>(bytes.to_vec())),
        at: "at" as at,
    }
}
