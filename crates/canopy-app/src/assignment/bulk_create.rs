//! Create assignments, one or many.

use super::{audit_entry, granted};
use crate::audit::described::{Details, Step};
use crate::{App, AppError, BulkMode, Call, unit_of_work};
use canopy_domain::assignment::bulk_create::{NewAssignment, plan};
use canopy_domain::bulk::{self, Outcome};
use canopy_domain::port::{StoreError, Unique, WriteScope};
use canopy_domain::{Assignment, AssignmentError, AssignmentId, AssignmentKey, EnvironmentPlace};

/// Creates assignments: the outcomes are in the order of the items. In a dry run the assignments are what would be made.
///
/// # Errors
/// [`AppError::Store`]; rules that items break are in their outcomes.
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    items: &[NewAssignment],
    mode: BulkMode,
) -> Result<Vec<Outcome<Assignment, AssignmentError>>, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let keys: Vec<AssignmentKey> = items.iter().map(|item| item.key).collect();
        let facts = tx.assignment_facts(place, &keys).await?;
        let mut created = Vec::new();
        let outcomes: Vec<Outcome<Assignment, AssignmentError>> = bulk::settle(plan(items, &facts, now), mode.atomic)
            .into_iter()
            .zip(items)
            .map(|(outcome, item)| match outcome {
                Outcome::Done(window) => {
                    let assignment = Assignment {
                        id: AssignmentId::new(app.mint()),
                        environment_id: place.environment,
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
        if mode.dry_run || created.is_empty() {
            return Ok(outcomes);
        }
        tx.insert_assignments(&created).await.map_err(taken_meanwhile)?;
        let ids: Vec<AssignmentId> = created.iter().map(|assignment| assignment.id).collect();
        let mut details = Details::default();
        let steps: Vec<Step<'_>> = created.iter().map(Step::Granted).collect();
        details.assignments(tx.as_mut(), place, &steps).await?;
        let entry = audit_entry(place, "assignment.create", &ids, Vec::new()).detailing(details);
        app.commit_within(tx, call, place, now, granted(&created), entry, &outcomes)
            .await?;
        Ok(outcomes)
    })
    .await
}

/// The environment is locked, so a taken triple means that the lock failed us: judge again.
pub(super) fn taken_meanwhile(error: StoreError) -> AppError {
    match error {
        StoreError::Duplicate(Unique::AssignmentKey) => {
            StoreError::Conflict("an assignment was made beside the environment's lock".into()).into()
        }
        other => other.into(),
    }
}
