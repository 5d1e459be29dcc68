//! Deletes an identity.

use super::audit_entry;
use crate::audit::described;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::changeset::{AccessFacts, ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{AccountId, Assignment, EnvironmentId, IdentityError, IdentityId};

/// Deletes an identity of the account with all its memberships and assignments.
///
/// Fails with [`IdentityError::NotFound`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct DeleteIdentity {
    /// The account.
    pub account: AccountId,
    /// The identity.
    pub id: IdentityId,
}

#[async_trait]
impl Write for DeleteIdentity {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Identities {
            account: self.account,
            identities: vec![self.id],
        }
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let (account, id) = (self.account, self.id);
        let identity = facts.identity(account, id).await?.ok_or(IdentityError::NotFound)?;
        let memberships = facts.memberships(id).await?;
        let standings = facts.standings(account, id).await?;
        let environments: Vec<EnvironmentId> = standings.iter().map(|(environment, _)| *environment).collect();
        let held = facts.held(&environments, id).await?;
        let mut details = at.details();
        details.revoked(facts, &held).await?;
        let mut revoked: Vec<Assignment> = held.into_iter().map(|view| view.assignment).collect();
        revoked.sort_unstable_by_key(|one| (one.environment_id, one.id));
        let metadata = vec![
            (
                "application_ids",
                Detail::texts(memberships.iter().map(|one| one.application_id)),
            ),
            ("assignment_ids", described::first(revoked.iter().map(|one| one.id))),
        ];
        let warning = AuditSeverity::Warning;
        let entry = audit_entry(account, None, "identity.delete", warning, &identity, metadata).detailing(details);
        let known = AccessFacts {
            standings: [(id, standings)].into(),
            ..AccessFacts::default()
        };
        let changes = ChangeSet {
            identities: Rows::removed(vec![identity]),
            assignments: Rows::removed(revoked),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry).with_facts(known))
    }
}
