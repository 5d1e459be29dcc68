//! Attaches identities to an application.

use super::seen;
use crate::audit::described;
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::bulk::{self, Outcome, Verdict};
use canopy_domain::changeset::{AccessFacts, ChangeSet, LastingRows, Updated};
use canopy_domain::identity::create::IdentityFacts;
use canopy_domain::identity::membership::{self, Attachment};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{
    ApplicationId, ApplicationRef, EnvironmentId, IdentityError, IdentityId, Membership, MembershipError, MembershipId,
};
use std::collections::HashMap;

/// Maximum number of changes of one call in all environments together. Each is written to the history of its
/// environment, about twenty bytes, and updates an index.
pub const MAX_CHANGES: usize = 5_000_000;

/// The reason for which one identity was not attached.
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

/// Attaches identities: creates or activates the membership of each. The outcomes are in the order of the ids.
///
/// Fails with [`AppError::TooManyChanges`] or [`AppError::Store`]; refusals of items are in their outcomes.
#[derive(Debug, Clone)]
pub struct AttachIdentities {
    /// The application.
    pub application: ApplicationRef,
    /// The identities.
    pub ids: Vec<IdentityId>,
    /// True to roll back all items if one is refused.
    pub atomic: bool,
}

#[async_trait]
impl Write for AttachIdentities {
    type Outcome = Vec<Outcome<Membership, AttachError>>;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Memberships {
            application: self.application,
            identities: self.ids.clone(),
        }
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Self::Outcome>, AppError> {
        let ApplicationRef { account, application } = self.application;
        let found = facts.identity_facts(account, application, &self.ids).await?;
        let settled = bulk::settle(judge(application, &self.ids, &found, at), self.atomic);
        let mut rows = LastingRows::default();
        let mut outcomes = Vec::with_capacity(settled.len());
        for outcome in settled {
            outcomes.push(match outcome {
                Outcome::Done(attachment) => {
                    let membership = attachment.membership().clone();
                    match attachment {
                        Attachment::Created(fresh) => rows.added.push(fresh),
                        Attachment::Revived(after) => {
                            let fact = found.get(&after.identity_id);
                            let before = fact.and_then(|fact| fact.membership.clone());
                            let before = before.ok_or(AppError::Broken("a reactivated membership does not exist"))?;
                            rows.updated.push(Updated { before, after });
                        }
                    }
                    Outcome::Done(membership)
                }
                Outcome::Refused(error) => Outcome::Refused(error),
                Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
            });
        }
        if rows.is_empty() {
            return Ok(Plan::unchanged(outcomes));
        }
        let revived = rows.updated.iter().map(|row| row.after.identity_id);
        let attached: Vec<IdentityId> = rows.added.iter().map(|one| one.identity_id).chain(revived).collect();
        let names = facts.identity_labels(account, &attached).await?;
        let identities = attached.iter().map(|id| {
            Detail::Map(vec![
                ("id", Detail::text(id)),
                ("name", Detail::optional(names.get(id))),
            ])
        });
        let entry = AuditEntry {
            account,
            application: Some(application),
            environment: None,
            action: "membership.attach",
            category: AuditCategory::Identity,
            severity: AuditSeverity::Info,
            resource_type: "application",
            resource_id: application.to_string(),
            resource_label: String::new(),
            metadata: Detail::Map(vec![
                ("count", Detail::count(attached.len())),
                ("identity_ids", described::first(&attached)),
                ("identities", described::first_entries(identities)),
            ]),
            details: Vec::new(),
        };
        let mut details = at.details();
        details.identities(attached.iter().map(|id| (*id, names.get(id))));
        let entry = entry.detailing_all(details);
        let environments = environments_for(facts, application, attached.len()).await?;
        let known = AccessFacts {
            environments: [(application, environments)].into(),
            switches: found.iter().map(|(id, fact)| (*id, fact.is_active)).collect(),
            ..AccessFacts::default()
        };
        let changes = ChangeSet {
            memberships: rows,
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, outcomes, entry).with_facts(known))
    }
}

fn judge(
    application: ApplicationId,
    ids: &[IdentityId],
    facts: &IdentityFacts,
    at: &Moment<'_>,
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
            let fresh = MembershipId::new(at.mint());
            match membership::attach(*id, application, fact.membership.as_ref(), fresh, at.now()) {
                Ok(attachment) => Verdict::Accepted(attachment),
                Err(error) => Verdict::Refused(AttachError::Membership(error)),
            }
        })
        .collect()
}

/// Returns the environments of an application, all of which a membership affects.
///
/// # Errors
/// [`AppError::TooManyChanges`] if members times environments exceed the limit of a call.
pub(super) async fn environments_for(
    facts: &mut dyn ReadTx,
    application: ApplicationId,
    members: usize,
) -> Result<Vec<EnvironmentId>, AppError> {
    let environments = seen(facts, application, None).await?;
    admit(members, environments.len())?;
    Ok(environments)
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
