//! Create an identity as an active member of an application, with a first assignment where one is asked for.

use super::bulk_create::{fresh, new_member};
use super::{audit_entry, identifier_taken, seen};
use crate::audit::described::{Details, Step};
use crate::{App, AppError, Call, scope, unit_of_work};
use canopy_domain::access::{Change, GrantFact, SubjectFact};
use canopy_domain::api_key::AreaScope;
use canopy_domain::assignment::bulk_create::{self, NewAssignment};
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::bulk::Verdict;
use canopy_domain::identity::create::{NewIdentity, TakenIdentifiers, plan};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, ReadTx, WriteScope};
use canopy_domain::{
    ApplicationPlace, Assignment, AssignmentError, AssignmentId, AssignmentKey, EnvironmentId, EnvironmentPlace,
    Identity, Membership, NodeId, RoleId, Timestamp,
};
use std::sync::Arc;

/// Creates an identity, its membership and, where a role and a node are given, its assignment: all of it or nothing. The
/// assignment is made in the environment that has the node.
///
/// # Errors
/// [`AppError::ScopeMissing`] for a key that may not make assignments and is to make one;
/// [`IdentityError`](canopy_domain::IdentityError) first, then [`AssignmentError`] in the order of its rules;
/// [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: ApplicationPlace,
    bound_to: Option<EnvironmentId>,
    new: &NewIdentity,
    first: Option<(RoleId, NodeId)>,
) -> Result<Identity, AppError> {
    if first.is_some() {
        scope::opened(&call.caller, AreaScope::AssignmentManage)?;
    }
    unit_of_work::retry(|| async {
        let scope = WriteScope::Memberships {
            application: place,
            identities: Vec::new(),
        };
        let mut tx = app.begin(call, scope).await?;
        let now = app.now();
        let items = core::slice::from_ref(new);
        let taken = tx
            .taken_identifiers(place.account, &TakenIdentifiers::of(items))
            .await?;
        only(plan(items, &taken))?;
        let identity = fresh(app, place.account, new, now);
        let membership = new_member(app, place.application, &identity, now)?;
        let assignment = match first {
            Some((role, node)) => {
                let key = AssignmentKey {
                    identity: identity.id,
                    role,
                    node,
                };
                Some(judge(app, tx.as_mut(), (place, bound_to), key, &membership, now).await?)
            }
            None => None,
        };
        tx.insert_identities(core::slice::from_ref(&identity))
            .await
            .map_err(identifier_taken)?;
        tx.insert_memberships(core::slice::from_ref(&membership)).await?;
        tx.insert_assignments(assignment.as_slice()).await?;
        let mut details = Details::default();
        if let Some(one) = &assignment {
            let within = EnvironmentPlace {
                account: place.account,
                application: place.application,
                environment: one.environment_id,
            };
            details.assignments(tx.as_mut(), &within, &[Step::Granted(one)]).await?;
        }
        let metadata = vec![
            ("count", Detail::count(1)),
            ("identity_ids", Detail::texts([identity.id])),
            ("assignment_ids", Detail::texts(assignment.iter().map(|one| one.id))),
            ("role_id", Detail::optional(first.map(|(role, _)| role))),
            ("node_id", Detail::optional(first.map(|(_, node)| node))),
        ];
        let mut entry = audit_entry(
            place.account,
            Some(place.application),
            "identity.create",
            AuditSeverity::Info,
            &identity,
            metadata,
        )
        .detailing(details);
        entry.environment = assignment.as_ref().map(|one| one.environment_id);
        let subject = SubjectFact {
            id: identity.id,
            is_active: identity.is_active,
            membership: membership.status,
        };
        let subject_alone: Arc<[Change]> = Arc::new([Change::SubjectPut(subject)]);
        let changes = seen(tx.as_mut(), place.application, None)
            .await?
            .into_iter()
            .map(|environment| {
                let held = assignment.iter().find(|one| one.environment_id == environment);
                let granted = held.map(|one| Change::GrantPut(GrantFact::from(one)));
                EnvironmentChanges {
                    environment,
                    changes: match granted {
                        Some(granted) => Arc::new([Change::SubjectPut(subject), granted]),
                        None => Arc::clone(&subject_alone),
                    },
                }
            });
        let record = CommitRecord {
            at: now,
            changes: changes.collect(),
            audit: app.audit(call, now, entry),
        };
        app.commit(tx, call, record, &identity).await?;
        Ok(identity)
    })
    .await
}

/// Judges the assignment of an identity that is about to become a member.
async fn judge(
    app: &App,
    tx: &mut dyn ReadTx,
    (place, bound_to): (ApplicationPlace, Option<EnvironmentId>),
    key: AssignmentKey,
    membership: &Membership,
    now: Timestamp,
) -> Result<Assignment, AppError> {
    let seen = seen(tx, place.application, bound_to).await?;
    let found = tx.environments_with_node(&seen, key.node).await?;
    let environment = *found.first().ok_or(AssignmentError::NodeNotFound)?;
    let place = EnvironmentPlace {
        account: place.account,
        application: place.application,
        environment,
    };
    let mut facts = tx.assignment_facts(&place, &[key]).await?;
    facts.identities.insert(key.identity, Some(membership.status));
    let item = NewAssignment {
        key,
        from: None,
        to: None,
    };
    let window = only(bulk_create::plan(&[item], &facts, now))?;
    Ok(Assignment {
        id: AssignmentId::new(app.mint()),
        environment_id: environment,
        key,
        window,
        created_at: now,
        updated_at: now,
    })
}

/// The verdict on the only item of a batch.
fn only<T, E: Into<AppError>>(verdicts: Vec<Verdict<T, E>>) -> Result<T, AppError> {
    match verdicts.into_iter().next() {
        Some(Verdict::Accepted(judged)) => Ok(judged),
        Some(Verdict::Refused(error)) => Err(error.into()),
        Some(Verdict::NeedsRefused { .. }) | None => Err(AppError::Broken("one item has no verdict of its own")),
    }
}
