//! Change the role or window of an assignment.

use super::bulk_create::taken_meanwhile;
use super::{audit_entry, granted};
use crate::audit::described::{Details, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::assignment::change::{self, AssignmentPatch, key_with_role};
use canopy_domain::audit::Detail;
use canopy_domain::port::WriteScope;
use canopy_domain::{Assignment, AssignmentError, AssignmentId, EnvironmentPlace};

/// Changes an assignment and answers it as it is afterwards. A change that changes nothing writes nothing.
///
/// # Errors
/// [`AssignmentError`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: AssignmentId,
    patch: &AssignmentPatch,
) -> Result<Assignment, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let found = tx.assignments(place.environment, &[id]).await?;
        let before = found.into_iter().next().ok_or(AssignmentError::NotFound)?;
        let key = key_with_role(&before, patch.role.unwrap_or(before.key.role));
        let facts = tx.assignment_facts(place, &[key]).await?;
        let after = change::patch(&before, patch, &facts, now)?;
        if (after.key, after.window) == (before.key, before.window) {
            return Ok(before);
        }
        let changed = core::slice::from_ref(&after);
        tx.update_assignments(changed).await.map_err(taken_meanwhile)?;
        let mut details = Details::default();
        let step = Step::Changed(&before, &after);
        details.assignments(tx.as_mut(), place, &[step]).await?;
        let more = vec![("before", state(&before)), ("after", state(&after))];
        let entry = audit_entry(place, "assignment.change", &[id], more).detailing(details);
        app.commit_within(tx, call, place, now, granted(changed), entry, &())
            .await?;
        Ok(after)
    })
    .await
}

fn state(assignment: &Assignment) -> Detail {
    Detail::Map(vec![
        ("role_id", Detail::text(assignment.key.role)),
        ("effective_from", Detail::text(assignment.window.from())),
        ("effective_to", Detail::optional(assignment.window.to())),
    ])
}
