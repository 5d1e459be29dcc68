//! Creates an identity as an active member of an application, with an optional first assignment.

use super::bulk_create::{fresh, new_member};
use super::{audit_entry, identifier_taken, seen};
use crate::audit::described::Step;
use crate::session::Requires;
use crate::{App, AppError, Call, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::assignment::bulk_create::{self, NewAssignment};
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::bulk::Verdict;
use canopy_domain::changeset::{AccessFacts, ChangeSet, LastingRows, Rows};
use canopy_domain::identity::create::{NewIdentity, TakenIdentifiers, plan};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{
    ApplicationRef, Assignment, AssignmentError, AssignmentId, AssignmentKey, EnvironmentId, EnvironmentRef, Identity,
    Membership, NodeId, RoleId,
};

/// Creates an identity, its membership and, if a role and a node are given, its assignment: all or nothing. The
/// assignment is created in the environment that has the node.
///
/// Fails with [`AppError::ScopeMissing`] for a key that may not create assignments if one is requested, with
/// [`IdentityError`](canopy_domain::IdentityError) first, then [`AssignmentError`] in the order of its rules, or with
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct CreateMember {
    /// The application.
    pub application: ApplicationRef,
    /// The environment that the caller is bound to, if any.
    pub bound_to: Option<EnvironmentId>,
    /// The identity.
    pub new: NewIdentity,
    /// The role and node of its first assignment, if any.
    pub first: Option<(RoleId, NodeId)>,
}

#[async_trait]
impl Write for CreateMember {
    type Outcome = Identity;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::IdentityManage);

    fn lock(&self) -> LockScope {
        LockScope::Memberships {
            application: self.application,
            identities: Vec::new(),
        }
    }

    async fn admit(&self, _: &App, call: &Call) -> Result<(), AppError> {
        if self.first.is_some() {
            Requires::Area(AreaScope::AssignmentManage).check(&call.caller)?;
        }
        Ok(())
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Identity>, AppError> {
        let (place, first) = (self.application, self.first);
        let items = core::slice::from_ref(&self.new);
        let taken = facts
            .taken_identifiers(place.account, &TakenIdentifiers::of(items))
            .await?;
        only(plan(items, &taken))?;
        let identity = fresh(at, place.account, &self.new);
        let membership = new_member(at, place.application, &identity)?;
        let environments = seen(facts, place.application, None).await?;
        let assignment = match first {
            Some((role, node)) => {
                let key = AssignmentKey {
                    identity: identity.id,
                    role,
                    node,
                };
                Some(self.judge(facts, at, (key, &membership), &environments).await?)
            }
            None => None,
        };
        let mut details = at.details();
        if let Some(one) = &assignment {
            let within = EnvironmentRef {
                account: place.account,
                application: place.application,
                environment: one.environment_id,
            };
            let new = core::slice::from_ref(&identity);
            details
                .assignments_of(facts, &within, &[Step::Granted(one)], new)
                .await?;
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
        let known = AccessFacts {
            environments: [(place.application, environments)].into(),
            ..AccessFacts::default()
        };
        let changes = ChangeSet {
            identities: Rows::added(vec![identity.clone()]),
            memberships: LastingRows::added(vec![membership]),
            assignments: Rows::added(assignment.into_iter().collect()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, identity, entry).with_facts(known))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        identifier_taken(unique)
    }
}

impl CreateMember {
    /// Judges the assignment of an identity that is about to become a member. It is created in the environment that has
    /// the node, among those that the caller sees.
    async fn judge(
        &self,
        facts: &mut dyn ReadTx,
        at: &Moment<'_>,
        (key, membership): (AssignmentKey, &Membership),
        environments: &[EnvironmentId],
    ) -> Result<Assignment, AppError> {
        let seen = environments.iter().copied();
        let seen: Vec<EnvironmentId> = seen
            .filter(|id| self.bound_to.is_none_or(|bound| bound == *id))
            .collect();
        let found = facts.environments_with_node(&seen, key.node).await?;
        let environment = *found.first().ok_or(AssignmentError::NodeNotFound)?;
        let place = EnvironmentRef {
            account: self.application.account,
            application: self.application.application,
            environment,
        };
        let mut found = facts.assignment_facts(&place, &[key]).await?;
        found.identities.insert(key.identity, Some(membership.status));
        let item = NewAssignment {
            key,
            from: None,
            to: None,
        };
        let window = only(bulk_create::plan(&[item], &found, at.now()))?;
        Ok(Assignment {
            id: AssignmentId::new(at.mint()),
            environment_id: environment,
            key,
            window,
            created_at: at.now(),
            updated_at: at.now(),
        })
    }
}

/// Returns the verdict on the only item of a batch.
fn only<T, E: Into<AppError>>(verdicts: Vec<Verdict<T, E>>) -> Result<T, AppError> {
    match verdicts.into_iter().next() {
        Some(Verdict::Accepted(judged)) => Ok(judged),
        Some(Verdict::Refused(error)) => Err(error.into()),
        Some(Verdict::NeedsRefused { .. }) | None => Err(AppError::Broken("a single item has no verdict")),
    }
}
