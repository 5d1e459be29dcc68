//! Changes an account.

use super::audit_entry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, LastingRows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::tenancy::change::{self, AccountPatch};
use canopy_domain::{Account, AccountId, Expected, TenancyError, Tenant};

/// Changes the name or settings of an account, and raises its version. A change without effect writes nothing.
///
/// Fails with [`TenancyError::Stale`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeAccount {
    /// The account.
    pub id: AccountId,
    /// The expected version.
    pub seen: Expected,
    /// The change.
    pub patch: AccountPatch,
}

#[async_trait]
impl Write for ChangeAccount {
    type Outcome = Account;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Account(self.id)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Account>, AppError> {
        let id = self.id;
        let found = facts.account(id).await?;
        let before = found.ok_or(TenancyError::NotFound(Tenant::Account))?;
        let Some(account) = change::account(&before, &self.patch, self.seen, at.now())? else {
            return Ok(Plan::unchanged(before));
        };
        let metadata = vec![
            ("name_before", Detail::text(&before.name)),
            ("settings_changed", Detail::Flag(before.settings != account.settings)),
        ];
        let resource = (Tenant::Account, id.to_string(), &account.name);
        let entry = audit_entry("account.change", resource, (id, None, None), metadata);
        let changes = ChangeSet {
            accounts: LastingRows::update(before, account.clone()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, account, entry))
    }
}
