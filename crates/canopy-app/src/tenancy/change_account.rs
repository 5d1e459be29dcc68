//! Change an account.

use super::audit;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, LockScope};
use canopy_domain::tenancy::change::{self, AccountPatch};
use canopy_domain::{Account, AccountId, Expected, TenancyError, Tenant};

/// Changes the name or settings of an account, and raises its version. Nothing asked anew changes nothing.
///
/// # Errors
/// [`TenancyError::Stale`] when it is not at version `seen`; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    id: AccountId,
    seen: impl Into<Expected> + Send,
    asked: &AccountPatch,
) -> Result<Account, AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, LockScope::Account(id)).await?;
        let now = app.now();
        let found = tx.account(id).await?;
        let before = found.ok_or(TenancyError::NotFound(Tenant::Account))?;
        let Some(account) = change::account(&before, asked, seen, now)? else {
            return Ok(before);
        };
        tx.update_account(&account).await?;
        let resource = (Tenant::Account, id.to_string(), &account.name);
        let metadata = vec![
            ("name_before", Detail::text(&before.name)),
            ("settings_changed", Detail::Flag(before.settings != account.settings)),
        ];
        let audit = audit(app, call, now, "account.change", resource, (id, None, None), metadata);
        let record = CommitRecord {
            at: now,
            changes: Vec::new(),
            audit,
        };
        app.commit(tx, call, record, &account).await?;
        Ok(account)
    })
    .await
}
