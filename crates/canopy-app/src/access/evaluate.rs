//! May this identity do this there, now (or at another instant)?

use crate::decisions::Consistency;
use crate::{App, AppError};
use canopy_domain::access::{AccessIndex, Decision, Question};
use canopy_domain::{EnvironmentId, Revision, RoleName, Timestamp};

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

/// Answers without any I/O, if the environment's index is in memory and known to be fresh enough; `None` otherwise. `answer` makes what
/// is wanted of the evaluation while the index is held, so it must be quick. Windows are judged at `at`, or now.
pub fn at_once<R>(
    app: &App,
    environment: EnvironmentId,
    question: &Question<'_>,
    at: Option<Timestamp>,
    consistency: Consistency,
    answer: impl FnOnce(&Evaluation<'_>) -> R,
) -> Option<R> {
    app.decisions().ask_now(environment, consistency, |index| {
        let at = at.unwrap_or_else(|| app.now());
        answer(&judge(index, question, at))
    })
}

/// Answers, reading from the store what is missing in memory first.
///
/// # Errors
/// [`AppError::Store`].
pub async fn run<R>(
    app: &App,
    environment: EnvironmentId,
    question: &Question<'_>,
    at: Option<Timestamp>,
    consistency: Consistency,
    answer: impl FnOnce(&Evaluation<'_>) -> R + Send,
) -> Result<R, AppError> {
    let ask = |index: &AccessIndex| answer(&judge(index, question, at.unwrap_or_else(|| app.now())));
    app.decisions().ask(environment, consistency, ask).await
}
