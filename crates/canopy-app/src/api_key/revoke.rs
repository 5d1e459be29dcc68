//! Revoke an API key.

use super::{audit_entry, described};
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::{ApiKeyId, AreaScope};
use canopy_domain::audit::AuditSeverity;
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{ApiKeyError, EnvironmentRef};

/// Revokes a key: from the answer on it opens nothing, in any process.
///
/// Fails with [`ApiKeyError::NotFound`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct RevokeApiKey {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The key.
    pub id: ApiKeyId,
}

#[async_trait]
impl Write for RevokeApiKey {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = Some(AreaScope::ApiKeyManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, _: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let environment = &self.environment;
        let found = facts.api_key(environment.environment, self.id).await?;
        let key = found.ok_or(ApiKeyError::NotFound)?;
        let entry = audit_entry(environment, "api_key.revoke", &key)
            .severity(AuditSeverity::Warning)
            .detail(described(&key));
        let changes = ChangeSet {
            api_keys: Rows::removed(vec![key]),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}
