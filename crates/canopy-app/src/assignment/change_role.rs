//! Give one role to many assignments, all or nothing.

use super::bulk_create::taken_meanwhile;
use super::bulk_remove::all_of;
use super::{audit_entry, granted};
use crate::audit::described::{Details, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::assignment::change::{change_role, key_with_role};
use canopy_domain::audit::Detail;
use canopy_domain::port::WriteScope;
use canopy_domain::{Assignment, AssignmentId, AssignmentKey, EnvironmentPlace, RoleId};
use std::collections::HashMap;

/// Gives the role to each assignment and answers how many changed; those that have it already do not.
///
/// # Errors
/// [`AppError::AssignmentsNotFound`] with all unknown ids;
/// [`ChangeRoleError`](canopy_domain::assignment::change::ChangeRoleError) with all that is in the way; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    ids: &[AssignmentId],
    role: RoleId,
) -> Result<usize, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let assignments = all_of(tx.as_mut(), place, ids).await?;
        let keys: Vec<AssignmentKey> = assignments
            .iter()
            .map(|assignment| key_with_role(assignment, role))
            .collect();
        let facts = tx.assignment_facts(place, &keys).await?;
        let changed = change_role(&assignments, role, &facts, now)?;
        if changed.is_empty() {
            return Ok(0);
        }
        tx.update_assignments(&changed).await.map_err(taken_meanwhile)?;
        let ids: Vec<AssignmentId> = changed.iter().map(|assignment| assignment.id).collect();
        let before: HashMap<AssignmentId, &Assignment> = assignments.iter().map(|one| (one.id, one)).collect();
        let steps: Vec<Step<'_>> = changed
            .iter()
            .filter_map(|after| Some(Step::Changed(before.get(&after.id)?, after)))
            .collect();
        let mut details = Details::default();
        details.assignments(tx.as_mut(), place, &steps).await?;
        let more = vec![("role_id", Detail::text(role))];
        let entry = audit_entry(place, "assignment.bulk_change_role", &ids, more).detailing(details);
        app.commit_within(tx, call, place, now, granted(&changed), entry, &changed.len())
            .await?;
        Ok(changed.len())
    })
    .await
}
