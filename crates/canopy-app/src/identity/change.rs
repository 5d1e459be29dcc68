//! Changes an identity, or switches it on or off.

use super::{audit_entry, find_member, identifier_taken, only_members};
use crate::{App, AppError, Call, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::changeset::{AccessFacts, ChangeSet, Rows};
use canopy_domain::identity::change::{IdentityPatch, patch};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{AccountId, ApplicationRef, EnvironmentId, Identity, IdentityError, IdentityId};

/// Changes an identity and returns it. A change without effect writes nothing.
///
/// Fails with [`IdentityError`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeIdentity {
    /// The account.
    pub account: AccountId,
    /// The identity.
    pub id: IdentityId,
    /// The change.
    pub patch: IdentityPatch,
}

/// Changes a member of an application, like [`ChangeIdentity`].
///
/// Also fails with [`AppError::PortalOnly`] if a caller bound to one environment would change something that affects
/// others.
#[derive(Debug, Clone)]
pub struct ChangeMember {
    /// The application.
    pub application: ApplicationRef,
    /// The environment that the caller is bound to, if any.
    pub bound_to: Option<EnvironmentId>,
    /// The identity.
    pub id: IdentityId,
    /// The change.
    pub patch: IdentityPatch,
}

#[async_trait]
impl Write for ChangeIdentity {
    type Outcome = Identity;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        lock(self.account, self.id)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Identity>, AppError> {
        let before = facts.identity(self.account, self.id).await?;
        let before = before.ok_or(IdentityError::NotFound)?;
        change(facts, at, (before, None), &self.patch).await
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        identifier_taken(unique)
    }
}

#[async_trait]
impl Write for ChangeMember {
    type Outcome = Identity;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::IdentityManage);

    fn lock(&self) -> LockScope {
        lock(self.application.account, self.id)
    }

    async fn admit(&self, _: &App, _: &Call) -> Result<(), AppError> {
        if self.bound_to.is_some() && self.patch.reaches_the_account() {
            return Err(AppError::PortalOnly);
        }
        Ok(())
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Identity>, AppError> {
        let found = find_member(facts, self.application, self.id).await;
        let (before, _) = found.map_err(only_members)?;
        change(facts, at, (before, Some(self.application)), &self.patch).await
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        identifier_taken(unique)
    }
}

fn lock(account: AccountId, id: IdentityId) -> LockScope {
    LockScope::Identities {
        account,
        identities: vec![id],
    }
}

async fn change(
    facts: &mut dyn ReadTx,
    at: &Moment<'_>,
    (before, member_of): (Identity, Option<ApplicationRef>),
    asked: &IdentityPatch,
) -> Result<Plan<Identity>, AppError> {
    let account = before.account_id;
    let taken = facts.taken_identifiers(account, &asked.taking(&before)).await?;
    let after = patch(&before, asked, &taken, at.now())?;
    if after == before {
        return Ok(Plan::unchanged(before));
    }
    let mut known = AccessFacts::default();
    let mut severity = AuditSeverity::Info;
    if after.is_active != before.is_active {
        severity = AuditSeverity::Warning;
        known
            .standings
            .insert(after.id, facts.standings(account, after.id).await?);
    }
    let metadata = vec![
        ("before", state(&before)),
        ("after", state(&after)),
        ("metadata_changed", Detail::Flag(after.metadata != before.metadata)),
    ];
    let application = member_of.map(|place| place.application);
    let entry = audit_entry(account, application, "identity.change", severity, &after, metadata);
    let changes = ChangeSet {
        identities: Rows::update(before, after.clone()),
        ..ChangeSet::default()
    };
    Ok(Plan::new(changes, after, entry).with_facts(known))
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
