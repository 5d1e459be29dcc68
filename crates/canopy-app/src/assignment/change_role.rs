//! Changes many assignments to one role, all or nothing.

use super::bulk_remove::all_of;
use super::{audit_entry, lost_race};
use crate::audit::described::Step;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::assignment::change::{change_role, key_with_role};
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, Rows, Updated};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{Assignment, AssignmentId, AssignmentKey, EnvironmentRef, RoleId};
use std::collections::HashMap;

/// Changes the role of each assignment and returns the number of changed ones; those that have the role already do not
/// change.
///
/// Fails with [`AppError::AssignmentsNotFound`], which has all unknown ids, with
/// [`ChangeRoleError`](canopy_domain::assignment::change::ChangeRoleError), which has all conflicts, or with
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeAssignmentRoles {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The assignments.
    pub ids: Vec<AssignmentId>,
    /// The new role.
    pub role: RoleId,
}

#[async_trait]
impl Write for ChangeAssignmentRoles {
    type Outcome = usize;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::AssignmentManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<usize>, AppError> {
        let (environment, role) = (&self.environment, self.role);
        let assignments = all_of(facts, environment, &self.ids).await?;
        let keys: Vec<AssignmentKey> = assignments
            .iter()
            .map(|assignment| key_with_role(assignment, role))
            .collect();
        let found = facts.assignment_facts(environment, &keys).await?;
        let given = change_role(&assignments, role, &found, at.now())?;
        if given.is_empty() {
            return Ok(Plan::unchanged(0));
        }
        let ids: Vec<AssignmentId> = given.iter().map(|assignment| assignment.id).collect();
        let mut before: HashMap<AssignmentId, Assignment> = assignments.into_iter().map(|one| (one.id, one)).collect();
        let updated: Vec<Updated<Assignment>> = given
            .into_iter()
            .filter_map(|after| {
                let before = before.remove(&after.id)?;
                Some(Updated { before, after })
            })
            .collect();
        let steps: Vec<Step<'_>> = updated
            .iter()
            .map(|row| Step::Changed(&row.before, &row.after))
            .collect();
        let mut details = at.details();
        details.assignments(facts, environment, &steps).await?;
        let more = vec![("role_id", Detail::text(role))];
        let entry = audit_entry(environment, "assignment.bulk_change_role", &ids, more).detailing(details);
        let changes = ChangeSet {
            assignments: Rows::updated(updated),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, ids.len(), entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        lost_race(unique)
    }
}
