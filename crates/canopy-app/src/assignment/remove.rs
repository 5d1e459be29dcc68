//! Deletes one assignment.

use super::audit_entry;
use crate::audit::described::Step;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{AssignmentError, AssignmentId, EnvironmentRef};

/// Deletes an assignment.
///
/// Fails with [`AssignmentError::NotFound`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct RemoveAssignment {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The assignment.
    pub id: AssignmentId,
}

#[async_trait]
impl Write for RemoveAssignment {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = Some(AreaScope::AssignmentManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let Self { environment, id } = self;
        let found = facts.assignments(environment.environment, &[*id]).await?;
        let gone = found.into_iter().next().ok_or(AssignmentError::NotFound)?;
        let mut details = at.details();
        details.assignments(facts, environment, &[Step::Revoked(&gone)]).await?;
        let more = vec![
            ("identity_id", Detail::text(gone.key.identity)),
            ("role_id", Detail::text(gone.key.role)),
            ("node_id", Detail::text(gone.key.node)),
        ];
        let entry = audit_entry(environment, "assignment.remove", &[*id], more).detailing(details);
        let changes = ChangeSet {
            assignments: Rows::removed(vec![gone]),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}
