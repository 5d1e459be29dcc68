//! The check: may an identity use a permission at a target, now or at another instant?

use super::Asker;
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError};
use canopy_domain::access::{AccessIndex, Decision, Question};
use canopy_domain::{Revision, RoleName, Timestamp};

/// A decision with its granting roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<'a> {
    /// The decision.
    pub decision: Decision,
    /// The names of all granting roles, sorted, each once.
    pub granting_roles: Vec<&'a RoleName>,
    /// The revision of the environment at which it was evaluated.
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

/// Decides a check, after loading the index if it is not in memory. `answer` maps the decision to a result while the
/// index is borrowed, so it must be quick. Windows are evaluated at `at`, or now.
///
/// # Errors
/// [`AppError::ScopeMissing`] for a key that may not run this check, [`AppError::InvalidApiKey`] for a key that is no
/// longer valid; [`AppError::Store`].
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
