//! Deletes assignments, all or nothing.

use super::audit_entry;
use crate::audit::described::Step;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{Assignment, AssignmentId, EnvironmentRef};
use std::collections::{HashMap, HashSet};

/// Deletes assignments. A repeated id counts once.
///
/// Fails with [`AppError::AssignmentsNotFound`], which has all unknown ids, or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct RemoveAssignments {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The assignments.
    pub ids: Vec<AssignmentId>,
}

#[async_trait]
impl Write for RemoveAssignments {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = Some(AreaScope::AssignmentManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let environment = &self.environment;
        let found = all_of(facts, environment, &self.ids).await?;
        if found.is_empty() {
            return Ok(Plan::unchanged(()));
        }
        let ids: Vec<AssignmentId> = found.iter().map(|assignment| assignment.id).collect();
        let mut details = at.details();
        let steps: Vec<Step<'_>> = found.iter().map(Step::Revoked).collect();
        details.assignments(facts, environment, &steps).await?;
        let entry = audit_entry(environment, "assignment.bulk_remove", &ids, Vec::new()).detailing(details);
        let changes = ChangeSet {
            assignments: Rows::removed(found),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}

/// Returns all of these assignments, each once, in the order of the request.
///
/// # Errors
/// [`AppError::AssignmentsNotFound`] with all unknown ids.
pub(super) async fn all_of(
    facts: &mut dyn ReadTx,
    environment: &EnvironmentRef,
    ids: &[AssignmentId],
) -> Result<Vec<Assignment>, AppError> {
    let mut seen = HashSet::new();
    let asked: Vec<AssignmentId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let found = facts.assignments(environment.environment, &asked).await?;
    let mut by_id: HashMap<AssignmentId, Assignment> = found
        .into_iter()
        .map(|assignment| (assignment.id, assignment))
        .collect();
    let mut ordered = Vec::with_capacity(asked.len());
    let mut unknown = Vec::new();
    for id in asked {
        match by_id.remove(&id) {
            Some(assignment) => ordered.push(assignment),
            None => unknown.push(id),
        }
    }
    if unknown.is_empty() {
        Ok(ordered)
    } else {
        Err(AppError::AssignmentsNotFound { ids: unknown })
    }
}
