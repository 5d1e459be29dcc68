//! Many questions, judged at one instant and one revision.

use super::Asker;
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError};
use canopy_domain::access::{AccessIndex, Decision, Question};
use canopy_domain::{Revision, RoleName, Timestamp};

/// The questions, about to be answered in their order.
#[derive(Debug)]
pub struct Judging<'a> {
    index: &'a AccessIndex,
    questions: &'a [Question<'a>],
    at: Timestamp,
}

impl<'a> Judging<'a> {
    /// The revision of the environment at which they are judged.
    pub const fn revision(&self) -> Revision {
        self.index.revision()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// Answers one after the other: the question, yes or no and why, and the names of all roles that grant it, sorted, each
    /// once. Takes no memory for any of them.
    pub fn each(self, mut tell: impl FnMut(&Question<'a>, Decision, &[&RoleName])) {
        let mut roles = Vec::new();
        for question in self.questions {
            let decision = self.index.decide_with_roles(question, self.at, &mut roles);
            tell(question, decision, &roles);
        }
    }
}

/// Answers, reading from the store what is missing in memory first.
///
/// # Errors
/// As [`evaluate::run`](super::evaluate::run): one question out of a key's scopes refuses all.
pub async fn run<R: Send>(
    app: &App,
    asker: Asker<'_>,
    questions: &[Question<'_>],
    at: Option<Timestamp>,
    consistency: Consistency,
    answer: impl FnOnce(Judging<'_>) -> R + Send,
) -> Result<R, AppError> {
    let ask = |state: &EnvironmentState, now: Timestamp| {
        answer(Judging {
            index: &state.index,
            questions,
            at: at.unwrap_or(now),
        })
    };
    let answer = asker.ask(app, consistency, ask).await?;
    may_check(asker, questions)?;
    Ok(answer)
}

fn may_check(asker: Asker<'_>, questions: &[Question<'_>]) -> Result<(), AppError> {
    questions
        .iter()
        .try_for_each(|question| asker.may_check(question.permission))
}
