//! May this identity do this there, now (or at another instant)?

use super::Asker;
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError};
use canopy_domain::access::{AccessIndex, Decision, Question};
use canopy_domain::{Revision, RoleName, Timestamp};

/// An answer, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<'a> {
    /// Yes, or no and why.
    pub decision: Decision,
    /// The names of all roles that grant it, sorted, each once.
    pub granting_roles: Vec<&'a RoleName>,
    /// The revision of the environment at which it was judged.
    pub revision: Revision,
}

fn judge<'a>(index: &'a AccessIndex, question: &Question<'_>, at: Timestamp) -> Evaluation<'a> {
    let mut granting_roles = Vec::new();
    let decision = index.decide_with_roles(question, at, &mut granting_roles);
    Evaluation {
        decision,
        granting_roles,
        revision: index.revision(),
    }
}

/// Answers, reading from the store what is missing in memory first. `answer` makes what is wanted of the evaluation while
/// the index is held, so it must be quick. Windows are judged at `at`, or now.
///
/// # Errors
/// [`AppError::ScopeMissing`] and [`AppError::InvalidApiKey`] for a key that may not ask this, or not any more;
/// [`AppError::Store`].
pub async fn evaluate<R: Send>(
    app: &App,
    asker: Asker<'_>,
    question: &Question<'_>,
    at: Option<Timestamp>,
    consistency: Consistency,
    answer: impl FnOnce(&Evaluation<'_>) -> R + Send,
) -> Result<R, AppError> {
    let ask = |state: &EnvironmentState, now: Timestamp| answer(&judge(&state.index, question, at.unwrap_or(now)));
    let answer = asker.ask(app, consistency, ask).await?;
    asker.may_check(question.permission)?;
    Ok(answer)
}
