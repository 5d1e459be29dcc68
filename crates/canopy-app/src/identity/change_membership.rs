//! Activate, pause or end a membership.

use super::{audit_entry, find_member, only_members};
use crate::audit::described::{self, Details};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, SubjectFact};
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::identity::membership::{MembershipChange, change};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, ReadTx, WriteScope};
use canopy_domain::{
    ApplicationPlace, AssignmentId, EnvironmentId, Identity, IdentityId, Membership, TenancyError, Tenant,
};
use std::collections::HashMap;
use std::sync::Arc;

/// Changes the membership of an identity and answers it as it is afterwards. A change that changes nothing writes nothing.
/// Assignments go with a membership that ends, in the same transaction.
///
/// # Errors
/// [`IdentityError::NotFound`](canopy_domain::IdentityError::NotFound),
/// [`MembershipError`](canopy_domain::MembershipError); [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: ApplicationPlace,
    id: IdentityId,
    asked: MembershipChange,
) -> Result<Membership, AppError> {
    apply(app, call, (place, None), id, asked).await
}

/// Changes the membership of a member of the application, as [`run`] does. It matters to all environments of the
/// application, so a caller that is bound to one may do it only where that is the default one.
///
/// # Errors
/// [`AppError::EnvironmentNotDefault`]; those of [`run`], where an identity that has never been a member is not there.
pub async fn member(
    app: &App,
    call: &Call,
    place: ApplicationPlace,
    bound_to: Option<EnvironmentId>,
    id: IdentityId,
    asked: MembershipChange,
) -> Result<Membership, AppError> {
    let changed = apply(app, call, (place, bound_to), id, asked).await;
    changed.map_err(only_members)
}

async fn apply(
    app: &App,
    call: &Call,
    (place, bound_to): (ApplicationPlace, Option<EnvironmentId>),
    id: IdentityId,
    asked: MembershipChange,
) -> Result<Membership, AppError> {
    unit_of_work::retry(|| async {
        let scope = WriteScope::Memberships {
            application: place,
            identities: vec![id],
        };
        let mut tx = app.begin(call, scope).await?;
        let now = app.now();
        if let Some(bound) = bound_to {
            must_be_default(tx.as_mut(), place, bound).await?;
        }
        let (identity, before) = find_member(tx.as_mut(), place, id).await?;
        let Some(after) = change(&before, asked, now)? else {
            return Ok(before);
        };
        tx.update_memberships(core::slice::from_ref(&after)).await?;
        let environments = tx.environments(place.application).await?;
        let environments: Vec<EnvironmentId> = environments.iter().map(|one| one.id).collect();
        let held = if asked.revokes() {
            tx.held(&environments, id).await?
        } else {
            Vec::new()
        };
        let mut details = Details::default();
        details.revoked(tx.as_mut(), &held).await?;
        let revoked = if asked.revokes() {
            tx.revoke_all(&environments, id).await?
        } else {
            Vec::new()
        };
        let metadata = vec![
            ("membership_id", Detail::text(after.id)),
            ("before", Detail::text(before.status)),
            ("after", Detail::text(after.status)),
            (
                "assignment_ids",
                described::first(revoked.iter().map(|(_, assignment)| assignment)),
            ),
        ];
        let (action, severity) = match asked {
            MembershipChange::Activate => ("membership.activate", AuditSeverity::Info),
            MembershipChange::Suspend => ("membership.suspend", AuditSeverity::Warning),
            MembershipChange::End => ("membership.end", AuditSeverity::Warning),
        };
        let application = Some(place.application);
        let entry = audit_entry(place.account, application, action, severity, &identity, metadata).detailing(details);
        let record = CommitRecord {
            at: now,
            changes: changes(&environments, &revoked, &identity, &after),
            audit: app.audit(call, now, entry),
        };
        app.commit(tx, call, record, &after).await?;
        Ok(after)
    })
    .await
}

async fn must_be_default(tx: &mut dyn ReadTx, place: ApplicationPlace, bound: EnvironmentId) -> Result<(), AppError> {
    let application = tx.application(place.application).await?;
    let application = application.ok_or(TenancyError::NotFound(Tenant::Application))?;
    if application.default_environment_id == Some(bound) {
        Ok(())
    } else {
        Err(AppError::EnvironmentNotDefault)
    }
}

/// What each environment of the application learns: first what is gone, then the state of the membership.
fn changes(
    environments: &[EnvironmentId],
    revoked: &[(EnvironmentId, AssignmentId)],
    identity: &Identity,
    membership: &Membership,
) -> Vec<EnvironmentChanges> {
    let mut gone: HashMap<EnvironmentId, Vec<Change>> = HashMap::new();
    for (environment, assignment) in revoked {
        let steps = gone.entry(*environment).or_default();
        steps.push(Change::GrantRemoved(*assignment));
    }
    let subject = SubjectFact {
        id: identity.id,
        is_active: identity.is_active,
        membership: membership.status,
    };
    let subject_alone: Arc<[Change]> = Arc::new([Change::SubjectPut(subject)]);
    let changes = environments.iter().map(|environment| EnvironmentChanges {
        environment: *environment,
        changes: match gone.remove(environment) {
            Some(gone) => gone.into_iter().chain([Change::SubjectPut(subject)]).collect(),
            None => Arc::clone(&subject_alone),
        },
    });
    changes.collect()
}
