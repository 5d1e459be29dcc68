//! Creates assignments, one or many.

use super::{audit_entry, lost_race};
use crate::audit::described::Step;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::assignment::bulk_create::{NewAssignment, plan};
use canopy_domain::bulk::{self, Outcome};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{Assignment, AssignmentError, AssignmentId, AssignmentKey, EnvironmentRef};

/// Creates assignments. The outcomes are in the order of the items.
///
/// Fails only with [`AppError::Store`]; refusals of items are in their outcomes.
#[derive(Debug, Clone)]
pub struct CreateAssignments {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The assignments.
    pub items: Vec<NewAssignment>,
    /// True to roll back all items if one is refused.
    pub atomic: bool,
}

#[async_trait]
impl Write for CreateAssignments {
    type Outcome = Vec<Outcome<Assignment, AssignmentError>>;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::AssignmentManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Self::Outcome>, AppError> {
        let (environment, now) = (&self.environment, at.now());
        let keys: Vec<AssignmentKey> = self.items.iter().map(|item| item.key).collect();
        let found = facts.assignment_facts(environment, &keys).await?;
        let mut created = Vec::new();
        let outcomes: Self::Outcome = bulk::settle(plan(&self.items, &found, now), self.atomic)
            .into_iter()
            .zip(&self.items)
            .map(|(outcome, item)| match outcome {
                Outcome::Done(window) => {
                    let assignment = Assignment {
                        id: AssignmentId::new(at.mint()),
                        environment_id: environment.environment,
                        key: item.key,
                        window,
                        created_at: now,
                        updated_at: now,
                    };
                    created.push(assignment.clone());
                    Outcome::Done(assignment)
                }
                Outcome::Refused(error) => Outcome::Refused(error),
                Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
            })
            .collect();
        if created.is_empty() {
            return Ok(Plan::unchanged(outcomes));
        }
        let ids: Vec<AssignmentId> = created.iter().map(|assignment| assignment.id).collect();
        let mut details = at.details();
        let steps: Vec<Step<'_>> = created.iter().map(Step::Granted).collect();
        details.assignments(facts, environment, &steps).await?;
        let entry = audit_entry(environment, "assignment.create", &ids, Vec::new()).detailing(details);
        let changes = ChangeSet {
            assignments: Rows::added(created),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, outcomes, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        lost_race(unique)
    }
}
