//! The explanation of a check.

use super::{Asker, OwnedQuestion};
use crate::decisions::Consistency;
use crate::{App, AppError};
use canopy_domain::access::Explanation;
use canopy_domain::{Revision, Timestamp};

/// Explains a check: at most `limit` granting assignments and as many near misses. `show` maps the explanation and its
/// revision to a result while the index is borrowed. Windows are evaluated at `at`, or now.
///
/// # Errors
/// Like [`evaluate`](super::evaluate::evaluate), and [`AppError::Work`].
pub async fn explain_decision<R: Send + 'static>(
    app: &App,
    asker: Asker<'_>,
    question: OwnedQuestion,
    (at, limit): (Option<Timestamp>, usize),
    consistency: Consistency,
    show: impl FnOnce(&OwnedQuestion, &Explanation<'_>, Revision) -> R + Send + 'static,
) -> Result<R, AppError> {
    let (state, now) = asker.hold(app, consistency).await?;
    asker.may_check(&question.permission)?;
    let work = asker.work_apart(app, move |pace| {
        let explanation = state
            .index
            .explain_in_steps(&question.as_question(), at.unwrap_or(now), limit, || pace.check())?;
        Ok(show(&question, &explanation, state.index.revision()))
    });
    work.await
}
