//! May this identity do this there, and why?

use super::Asker;
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError};
use canopy_domain::access::{Explanation, Question};
use canopy_domain::{Revision, Timestamp};

/// Answers with all assignments that bear on the answer. `show` makes what is wanted of it, and of the revision at which it was
/// judged, while the index is held. Windows are judged at `at`, or now.
///
/// # Errors
/// As [`evaluate::run`](super::evaluate::run).
pub async fn run<R: Send>(
    app: &App,
    asker: Asker<'_>,
    question: &Question<'_>,
    at: Option<Timestamp>,
    consistency: Consistency,
    show: impl FnOnce(&Explanation<'_>, Revision) -> R + Send,
) -> Result<R, AppError> {
    let ask = |state: &EnvironmentState, now: Timestamp| {
        asker.may_check(question.permission)?;
        let explanation = state.index.explain(question, at.unwrap_or(now));
        Ok(show(&explanation, state.index.revision()))
    };
    asker.ask(app, consistency, ask).await?
}
