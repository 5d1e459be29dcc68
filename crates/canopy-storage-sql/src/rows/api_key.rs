//! Rows of API keys and their digests.

use crate::shape::shape;
use canopy_domain::access::KeyFact;
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyDigest, KeyPreview, KeyTotals};
use canopy_domain::{Description, DisplayName, EnvironmentRef};

shape! {
    /// An API key.
    ApiKeyRow in "api_keys" reads ApiKey {
        id: "id" as id,
        environment_id: "environment_id" as id,
        name: "name" as text(DisplayName::restored),
        description: "description" as optional_text(Description::restored),
        preview: "preview" as word(KeyPreview::parse),
        access: ["access_mode", "scopes"] as key_access,
        expires_at: "expires_at" as optional_at,
        last_used_at: "last_used_at" as optional_at,
        created_at: "created_at" as at,
    }
}

shape! {
    /// A key as decisions see it: its id, its access and its end.
    KeyFactRow in "api_keys" reads KeyFact {
        id: "id" as id,
        access: ["access_mode", "scopes"] as key_access,
        expires_at: "expires_at" as optional_at,
    }
}

shape! {
    /// The numbers of keys and of their scopes.
    KeyTotalsRow in "api_keys" reads KeyTotals { keys: _ as count, scopes: _ as count, }
}

shape! {
    /// A digest, its key, and the environment of the key.
    KeyPlaceRow in "api_key_digests" reads ((KeyDigest, (EnvironmentRef, ApiKeyId))) {
        digest: "digest" as bytes(|bytes| bytes.try_into().map(KeyDigest)),
        key: "key_id" as id,
        account: "account_id" as id,
        application: _ as id,
        environment: _ as id,
    } => (digest, (EnvironmentRef { account, application, environment }, key))
}
