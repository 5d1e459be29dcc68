//! The effective permissions of an identity now.

use super::Asker;
use crate::decisions::Consistency;
use crate::{App, AppError};
use canopy_domain::{IdentityId, NodeId, PermissionKey, Revision};

/// The effective permissions of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectivePermissions {
    /// The keys, sorted.
    pub keys: Vec<PermissionKey>,
    /// The revision of the environment at which they were evaluated.
    pub revision: Revision,
}

/// Returns the effective permissions of an identity at a node, or at any active node. Empty for unknown ids.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for a key that is no longer valid; [`AppError::Store`]; [`AppError::Work`].
pub async fn get_effective_access(
    app: &App,
    asker: Asker<'_>,
    identity: IdentityId,
    node: Option<NodeId>,
) -> Result<EffectivePermissions, AppError> {
    let held = asker.judge_apart(app, Consistency::Strong, move |state, now, pace| {
        let held = state
            .index
            .effective_permissions_in_steps(identity, node, now, || pace.check())?;
        Ok(EffectivePermissions {
            keys: held.into_iter().cloned().collect(),
            revision: state.index.revision(),
        })
    });
    held.await
}
