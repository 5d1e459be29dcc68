//! API keys: credentials of a customer's backends, each bound to one environment.

mod access;

use crate::id::id_type;

pub use access::{AccessMode, AreaScope, KeyAccess, KeyScopes};

id_type!(
    /// Names an API key.
    ApiKeyId
);
