//! API keys, and the key that each digest belongs to.

use canopy_domain::EnvironmentId;
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyDigest};
use std::collections::BTreeMap;

/// The keys of one environment.
pub(crate) type ApiKeys = BTreeMap<ApiKeyId, ApiKey>;

/// The environment and key that each digest belongs to.
pub(crate) type Digests = BTreeMap<KeyDigest, (EnvironmentId, ApiKeyId)>;
