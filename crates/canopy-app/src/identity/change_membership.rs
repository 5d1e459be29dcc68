//! Activates, suspends or ends a membership.

use super::{audit_entry, find_member, only_members, seen};
use crate::audit::described;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::changeset::{AccessFacts, ChangeSet, LastingRows, Rows};
use canopy_domain::identity::membership::{MembershipChange, change};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{
    ApplicationRef, Assignment, AssignmentId, EnvironmentId, IdentityId, Membership, TenancyError, Tenant,
};

/// Changes the membership of an identity and returns it. A change without effect writes nothing. Ending a membership
/// deletes its assignments in the same transaction.
///
/// Fails with [`IdentityError::NotFound`](canopy_domain::IdentityError::NotFound),
/// [`MembershipError`](canopy_domain::MembershipError) or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeMembership {
    /// The application.
    pub application: ApplicationRef,
    /// The identity.
    pub id: IdentityId,
    /// The change.
    pub change: MembershipChange,
}

/// Changes the membership of a member of the application, like [`ChangeMembership`]; an identity that was never a
/// member is not found. The change affects all environments of the application, so a caller bound to one may make it
/// only if that is the default one.
///
/// Also fails with [`AppError::EnvironmentNotDefault`].
#[derive(Debug, Clone)]
pub struct ChangeMembershipOfMember {
    /// The application.
    pub application: ApplicationRef,
    /// The environment that the caller is bound to, if any.
    pub bound_to: Option<EnvironmentId>,
    /// The identity.
    pub id: IdentityId,
    /// The change.
    pub change: MembershipChange,
}

#[async_trait]
impl Write for ChangeMembership {
    type Outcome = Membership;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Memberships {
            application: self.application,
            identities: vec![self.id],
        }
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Membership>, AppError> {
        let (place, id, asked) = (self.application, self.id, self.change);
        let (identity, before) = find_member(facts, place, id).await?;
        let Some(after) = change(&before, asked, at.now())? else {
            return Ok(Plan::unchanged(before));
        };
        let environments = seen(facts, place.application, None).await?;
        let held = if asked.revokes() {
            facts.held(&environments, id).await?
        } else {
            Vec::new()
        };
        let mut details = at.details();
        details.revoked(facts, &held).await?;
        let mut revoked: Vec<Assignment> = held.into_iter().map(|view| view.assignment).collect();
        revoked.sort_unstable_by_key(|one| (one.environment_id, one.id));
        let revoked_ids: Vec<AssignmentId> = revoked.iter().map(|one| one.id).collect();
        let metadata = vec![
            ("membership_id", Detail::text(after.id)),
            ("before", Detail::text(before.status)),
            ("after", Detail::text(after.status)),
            ("assignment_ids", described::first(&revoked_ids)),
        ];
        let (action, severity) = match asked {
            MembershipChange::Activate => ("membership.activate", AuditSeverity::Info),
            MembershipChange::Suspend => ("membership.suspend", AuditSeverity::Warning),
            MembershipChange::End => ("membership.end", AuditSeverity::Warning),
        };
        let application = Some(place.application);
        let entry = audit_entry(place.account, application, action, severity, &identity, metadata).detailing(details);
        let known = AccessFacts {
            environments: [(place.application, environments)].into(),
            switches: [(id, identity.is_active)].into(),
            ..AccessFacts::default()
        };
        let changes = ChangeSet {
            memberships: LastingRows::update(before, after.clone()),
            assignments: Rows::removed(revoked),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, after, entry).with_facts(known))
    }
}

#[async_trait]
impl Write for ChangeMembershipOfMember {
    type Outcome = Membership;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::IdentityManage);

    fn lock(&self) -> LockScope {
        self.of_anybody().lock()
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Membership>, AppError> {
        if let Some(bound) = self.bound_to {
            must_be_default(facts, self.application, bound).await?;
        }
        let planned = self.of_anybody().plan(facts, at).await;
        planned.map_err(only_members)
    }
}

impl ChangeMembershipOfMember {
    const fn of_anybody(&self) -> ChangeMembership {
        ChangeMembership {
            application: self.application,
            id: self.id,
            change: self.change,
        }
    }
}

async fn must_be_default(facts: &mut dyn ReadTx, place: ApplicationRef, bound: EnvironmentId) -> Result<(), AppError> {
    let application = facts.application(place.application).await?;
    let application = application.ok_or(TenancyError::NotFound(Tenant::Application))?;
    if application.default_environment_id == Some(bound) {
        Ok(())
    } else {
        Err(AppError::EnvironmentNotDefault)
    }
}
