//! Resources and their actions, a shorthand for permission keys.

use crate::{PermissionKey, PermissionKeyError};

/// A resource and its actions. Each action forms the key `name.action`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The part of the keys before the action: one or more segments.
    pub name: String,
    /// The last part of the keys.
    pub actions: Vec<String>,
}

/// An action of a resource that forms no valid key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("resource {resource}, action {action}: {reason}")]
pub struct ResourceKeyError {
    /// The index of the resource.
    pub resource: usize,
    /// The index of the action within it.
    pub action: usize,
    /// The rule it breaks.
    pub reason: PermissionKeyError,
}

impl Resource {
    /// Returns the keys of all resources, in order and with repetitions.
    ///
    /// # Errors
    /// Every action that forms no valid key.
    ///
    /// ```
    /// # use canopy_domain::setup::Resource;
    /// let invoice = Resource { name: "invoice".into(), actions: vec!["read".into(), "pay".into()] };
    /// let keys = Resource::keys(&[invoice]).expect("valid");
    /// assert_eq!(keys.iter().map(|k| k.as_str()).collect::<Vec<_>>(), ["invoice.read", "invoice.pay"]);
    /// ```
    pub fn keys(resources: &[Self]) -> Result<Vec<PermissionKey>, Vec<ResourceKeyError>> {
        let mut keys = Vec::new();
        let mut errors = Vec::new();
        for (resource, Self { name, actions }) in resources.iter().enumerate() {
            for (action, word) in actions.iter().enumerate() {
                match PermissionKey::parse(&format!("{name}.{word}")) {
                    Ok(key) => keys.push(key),
                    Err(reason) => errors.push(ResourceKeyError {
                        resource,
                        action,
                        reason,
                    }),
                }
            }
        }
        if errors.is_empty() { Ok(keys) } else { Err(errors) }
    }
}
