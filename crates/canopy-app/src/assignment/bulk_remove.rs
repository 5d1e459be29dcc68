//! Remove assignments, all or nothing.

use super::{audit_entry, removed};
use crate::audit::described::{Details, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::port::{ReadTx, WriteScope};
use canopy_domain::{Assignment, AssignmentId, EnvironmentPlace};
use std::collections::HashSet;

/// Removes assignments. An id that comes twice counts once.
///
/// # Errors
/// [`AppError::AssignmentsNotFound`] with all unknown ids; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, place: &EnvironmentPlace, ids: &[AssignmentId]) -> Result<(), AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let found = all_of(tx.as_mut(), place, ids).await?;
        let ids: Vec<AssignmentId> = found.iter().map(|assignment| assignment.id).collect();
        let mut details = Details::default();
        let steps: Vec<Step<'_>> = found.iter().map(Step::Revoked).collect();
        details.assignments(tx.as_mut(), place, &steps).await?;
        tx.delete_assignments(place.environment, &ids).await?;
        let entry = audit_entry(place, "assignment.bulk_remove", &ids, Vec::new()).detailing(details);
        app.commit_within(tx, call, place, now, removed(&ids), entry, &())
            .await?;
        Ok(())
    })
    .await
}

/// All of these assignments, each once, in the order of the request.
///
/// # Errors
/// [`AppError::AssignmentsNotFound`] with all unknown ids.
pub(super) async fn all_of(
    tx: &mut dyn ReadTx,
    place: &EnvironmentPlace,
    ids: &[AssignmentId],
) -> Result<Vec<Assignment>, AppError> {
    let mut seen = HashSet::new();
    let asked: Vec<AssignmentId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let found = tx.assignments(place.environment, &asked).await?;
    let mut by_id: std::collections::HashMap<AssignmentId, Assignment> = found
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
