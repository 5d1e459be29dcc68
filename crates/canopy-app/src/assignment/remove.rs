//! Remove one assignment.

use super::{audit_entry, removed};
use crate::audit::described::{Details, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::Detail;
use canopy_domain::port::WriteScope;
use canopy_domain::{AssignmentError, AssignmentId, EnvironmentPlace};

/// Removes an assignment.
///
/// # Errors
/// [`AssignmentError::NotFound`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, place: &EnvironmentPlace, id: AssignmentId) -> Result<(), AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let found = tx.assignments(place.environment, &[id]).await?;
        let gone = found.into_iter().next().ok_or(AssignmentError::NotFound)?;
        let mut details = Details::default();
        details.assignments(tx.as_mut(), place, &[Step::Revoked(&gone)]).await?;
        tx.delete_assignments(place.environment, &[id]).await?;
        let more = vec![
            ("identity_id", Detail::text(gone.key.identity)),
            ("role_id", Detail::text(gone.key.role)),
            ("node_id", Detail::text(gone.key.node)),
        ];
        let entry = audit_entry(place, "assignment.remove", &[id], more).detailing(details);
        app.commit_within(tx, call, place, now, removed(&[id]), entry, &())
            .await?;
        Ok(())
    })
    .await
}
