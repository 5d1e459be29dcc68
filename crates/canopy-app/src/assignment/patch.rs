//! Changes the role or window of an assignment.

use super::{audit_entry, lost_race};
use crate::audit::described::Step;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::assignment::change::{self, AssignmentPatch, key_with_role};
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{Assignment, AssignmentError, AssignmentId, EnvironmentRef};

/// Changes an assignment and returns it. A change without effect writes nothing.
///
/// Fails with [`AssignmentError`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeAssignment {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The assignment.
    pub id: AssignmentId,
    /// The change.
    pub patch: AssignmentPatch,
}

#[async_trait]
impl Write for ChangeAssignment {
    type Outcome = Assignment;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::AssignmentManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Assignment>, AppError> {
        let Self { environment, id, patch } = self;
        let found = facts.assignments(environment.environment, &[*id]).await?;
        let before = found.into_iter().next().ok_or(AssignmentError::NotFound)?;
        let key = key_with_role(&before, patch.role.unwrap_or(before.key.role));
        let found = facts.assignment_facts(environment, &[key]).await?;
        let after = change::patch(&before, patch, &found, at.now())?;
        if after == before {
            return Ok(Plan::unchanged(before));
        }
        let mut details = at.details();
        let step = Step::Changed(&before, &after);
        details.assignments(facts, environment, &[step]).await?;
        let more = vec![("before", state(&before)), ("after", state(&after))];
        let entry = audit_entry(environment, "assignment.change", &[*id], more).detailing(details);
        let changes = ChangeSet {
            assignments: Rows::update(before, after.clone()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, after, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        lost_race(unique)
    }
}

fn state(assignment: &Assignment) -> Detail {
    Detail::Map(vec![
        ("role_id", Detail::text(assignment.key.role)),
        ("effective_from", Detail::text(assignment.window.from())),
        ("effective_to", Detail::optional(assignment.window.to())),
    ])
}
