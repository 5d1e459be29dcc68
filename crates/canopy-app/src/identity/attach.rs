//! Attach identities to an application.

use crate::app::AuditEntry;
use crate::audit::described::{self, Details};
use crate::{App, AppError, BulkMode, Call, unit_of_work};
use canopy_domain::access::{Change, SubjectFact};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::bulk::{self, Outcome, Verdict};
use canopy_domain::identity::create::IdentityFacts;
use canopy_domain::identity::membership::{self, Attachment};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, ReadTx, WriteScope};
use canopy_domain::{
    ApplicationId, ApplicationPlace, IdentityError, IdentityId, Membership, MembershipError, MembershipId, Timestamp,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The largest number of steps that one call may take in all environments together. Each is written to the history of its
/// environment, about twenty bytes, and moves an index.
pub const MAX_CHANGES: usize = 5_000_000;

/// Why one identity was not attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The account has no such identity.
    #[error(transparent)]
    Identity(IdentityError),
    /// A rule of memberships.
    #[error(transparent)]
    Membership(MembershipError),
}

impl From<AttachError> for AppError {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Identity(error) => error.into(),
            AttachError::Membership(error) => error.into(),
        }
    }
}

/// Attaches identities: each becomes an active member, or is one again.
///
/// # Errors
/// [`AppError::Store`]; rules that items break are in their outcomes.
pub async fn run(
    app: &App,
    call: &Call,
    place: ApplicationPlace,
    ids: &[IdentityId],
    mode: BulkMode,
) -> Result<Vec<Outcome<Membership, AttachError>>, AppError> {
    unit_of_work::retry(|| async {
        let scope = WriteScope::Memberships {
            application: place,
            identities: ids.to_vec(),
        };
        let mut tx = app.begin(call, scope).await?;
        let now = app.now();
        let facts = tx.identity_facts(place.account, place.application, ids).await?;
        let settled = bulk::settle(plan(app, place.application, ids, &facts, now), mode.atomic);
        let mut created = Vec::new();
        let mut revived = Vec::new();
        let mut steps = Vec::new();
        let mut outcomes = Vec::with_capacity(settled.len());
        for outcome in settled {
            outcomes.push(match outcome {
                Outcome::Done(attachment) => {
                    let membership = attachment.membership().clone();
                    let is_active = facts.get(&membership.identity_id).is_some_and(|fact| fact.is_active);
                    let id = membership.identity_id;
                    steps.push(Change::SubjectPut(SubjectFact {
                        id,
                        is_active,
                        membership: membership.status,
                    }));
                    match attachment {
                        Attachment::Created(fresh) => created.push(fresh),
                        Attachment::Revived(changed) => revived.push(changed),
                    }
                    Outcome::Done(membership)
                }
                Outcome::Refused(error) => Outcome::Refused(error),
                Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
            });
        }
        if mode.dry_run || steps.is_empty() {
            return Ok(outcomes);
        }
        tx.insert_memberships(&created).await?;
        tx.update_memberships(&revived).await?;
        let attached = || created.iter().chain(&revived).map(|one| one.identity_id);
        let ids: Vec<IdentityId> = attached().collect();
        let names = tx.identity_labels(place.account, &ids).await?;
        let identities = ids.iter().map(|id| {
            Detail::Map(vec![
                ("id", Detail::text(id)),
                ("name", Detail::optional(names.get(id))),
            ])
        });
        let entry = AuditEntry {
            account: place.account,
            application: Some(place.application),
            environment: None,
            action: "membership.attach",
            category: AuditCategory::Identity,
            severity: AuditSeverity::Info,
            resource_type: "application",
            resource_id: place.application.to_string(),
            resource_label: String::new(),
            metadata: Detail::Map(vec![
                ("count", Detail::count(steps.len())),
                ("identity_ids", described::first(&ids)),
                ("identities", described::first_entries(identities)),
            ]),
            details: Vec::new(),
        };
        let mut details = Details::default();
        details.identities(ids.iter().map(|id| (*id, names.get(id))));
        let entry = entry.detailing_all(details);
        let audit = app.audit(call, now, entry);
        let changes = member_changes(tx.as_mut(), place.application, steps).await?;
        app.commit(
            tx,
            call,
            CommitRecord {
                at: now,
                changes,
                audit,
            },
            &outcomes,
        )
        .await?;
        Ok(outcomes)
    })
    .await
}

fn plan(
    app: &App,
    application: ApplicationId,
    ids: &[IdentityId],
    facts: &IdentityFacts,
    now: Timestamp,
) -> Vec<Verdict<Attachment, AttachError>> {
    let mut first_with: HashMap<IdentityId, usize> = HashMap::new();
    ids.iter()
        .enumerate()
        .map(|(index, id)| {
            let first = *first_with.entry(*id).or_insert(index);
            let Some(fact) = facts.get(id) else {
                return Verdict::Refused(AttachError::Identity(IdentityError::NotFound));
            };
            if first != index {
                return Verdict::Refused(AttachError::Membership(MembershipError::DuplicateInBatch { first }));
            }
            let fresh = MembershipId::new(app.mint());
            match membership::attach(*id, application, fact.membership.as_ref(), fresh, now) {
                Ok(attachment) => Verdict::Accepted(attachment),
                Err(error) => Verdict::Refused(AttachError::Membership(error)),
            }
        })
        .collect()
}

/// The same steps for every environment of an application: a membership matters to all of them.
///
/// # Errors
/// [`AppError::TooManyChanges`] for more steps times environments than one call may have.
pub(super) async fn member_changes(
    tx: &mut dyn ReadTx,
    application: ApplicationId,
    steps: Vec<Change>,
) -> Result<Vec<EnvironmentChanges>, AppError> {
    let environments = tx.environments(application).await?;
    admit(steps.len(), environments.len())?;
    let steps: Arc<[Change]> = steps.into();
    let changes = |environment: canopy_domain::Environment| EnvironmentChanges {
        environment: environment.id,
        changes: Arc::clone(&steps),
    };
    Ok(environments.into_iter().map(changes).collect())
}

const fn admit(steps: usize, environments: usize) -> Result<(), AppError> {
    if steps.saturating_mul(environments) > MAX_CHANGES {
        return Err(AppError::TooManyChanges {
            environments,
            max_changes: MAX_CHANGES,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MAX_CHANGES, admit};
    use crate::AppError;

    #[test]
    fn items_times_environments_are_bounded() {
        assert!(admit(10_000, 500).is_ok() && admit(MAX_CHANGES, 1).is_ok() && admit(0, usize::MAX).is_ok());
        for (steps, environments) in [(10_000, 501), (usize::MAX, 2), (2, MAX_CHANGES)] {
            let refused = admit(steps, environments).unwrap_err();
            let AppError::TooManyChanges {
                environments: told,
                max_changes,
            } = refused
            else {
                panic!("{refused}");
            };
            assert_eq!((told, max_changes), (environments, MAX_CHANGES));
        }
    }
}
