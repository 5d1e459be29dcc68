//! Change an identity, or switch it on and off.

use super::{audit_entry, find_member, identifier_taken, only_members};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::MembershipStatus;
use canopy_domain::access::{Change, SubjectFact};
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::identity::change::{IdentityPatch, patch};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, LockScope, ReadTx};
use canopy_domain::{AccountId, ApplicationRef, EnvironmentId, Identity, IdentityError, IdentityId};
use std::collections::HashMap;
use std::sync::Arc;

/// Changes an identity of the account and answers it as it is afterwards. A change that changes nothing writes nothing.
///
/// # Errors
/// [`IdentityError`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    account: AccountId,
    id: IdentityId,
    asked: &IdentityPatch,
) -> Result<Identity, AppError> {
    change(app, call, (account, None), id, asked).await
}

/// Changes a member of the application, as [`run`] does.
///
/// # Errors
/// [`AppError::PortalOnly`] when a caller that is bound to one environment would change what reaches past it; [`IdentityError`];
/// [`AppError::Store`].
pub async fn member(
    app: &App,
    call: &Call,
    place: ApplicationRef,
    bound_to: Option<EnvironmentId>,
    id: IdentityId,
    asked: &IdentityPatch,
) -> Result<Identity, AppError> {
    if bound_to.is_some() && asked.reaches_the_account() {
        return Err(AppError::PortalOnly);
    }
    change(app, call, (place.account, Some(place)), id, asked).await
}

async fn change(
    app: &App,
    call: &Call,
    (account, member_of): (AccountId, Option<ApplicationRef>),
    id: IdentityId,
    asked: &IdentityPatch,
) -> Result<Identity, AppError> {
    unit_of_work::retry(|| async {
        let scope = LockScope::Identities {
            account,
            identities: vec![id],
        };
        let mut tx = app.begin(call, scope).await?;
        let now = app.now();
        let before = match member_of {
            Some(place) => find_member(tx.as_mut(), place, id).await.map_err(only_members)?.0,
            None => tx.identity(account, id).await?.ok_or(IdentityError::NotFound)?,
        };
        let taken = tx.taken_identifiers(account, &asked.taking(&before)).await?;
        let after = patch(&before, asked, &taken, now)?;
        if after == before {
            return Ok(before);
        }
        tx.update_identity(&after).await.map_err(identifier_taken)?;
        let switched = after.is_active != before.is_active;
        let changes = if switched {
            everywhere(tx.as_mut(), &after).await?
        } else {
            Vec::new()
        };
        let severity = if switched {
            AuditSeverity::Warning
        } else {
            AuditSeverity::Info
        };
        let metadata = vec![
            ("before", state(&before)),
            ("after", state(&after)),
            ("metadata_changed", Detail::Flag(after.metadata != before.metadata)),
        ];
        let application = member_of.map(|place| place.application);
        let entry = audit_entry(account, application, "identity.change", severity, &after, metadata);
        let record = CommitRecord {
            at: now,
            changes,
            audit: app.audit(call, now, entry),
        };
        app.commit(tx, call, record, &after).await?;
        Ok(after)
    })
    .await
}

/// The identity as it is now, for every environment to which it matters.
async fn everywhere(tx: &mut dyn ReadTx, identity: &Identity) -> Result<Vec<EnvironmentChanges>, AppError> {
    let standings = tx.standings(identity.account_id, identity.id).await?;
    // All environments of an application share what they learn.
    let mut shared: HashMap<MembershipStatus, Arc<[Change]>> = HashMap::new();
    let changes = standings.into_iter().map(|(environment, membership)| {
        let step = || {
            Arc::new([Change::SubjectPut(SubjectFact {
                id: identity.id,
                is_active: identity.is_active,
                membership,
            })])
        };
        EnvironmentChanges {
            environment,
            changes: Arc::clone(shared.entry(membership).or_insert_with(|| step())),
        }
    });
    Ok(changes.collect())
}

fn state(identity: &Identity) -> Detail {
    Detail::Map(vec![
        ("email", Detail::text(&identity.email)),
        ("first_name", Detail::text(&identity.first_name)),
        ("last_name", Detail::text(&identity.last_name)),
        ("avatar_url", Detail::optional(identity.avatar_url.as_ref())),
        ("external_id", Detail::optional(identity.external_id.as_ref())),
        ("is_active", Detail::Flag(identity.is_active)),
    ])
}
