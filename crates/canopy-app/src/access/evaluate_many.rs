//! Many checks, evaluated at one instant and one revision.

use super::{Asker, OwnedQuestion};
use crate::decisions::{Consistency, StateView};
use crate::long_work::{Pace, Stopped};
use crate::{App, AppError};
use canopy_domain::access::{AccessIndex, Decision, Question};
use canopy_domain::{Revision, RoleName, Timestamp};
use std::sync::Arc;

/// Checks to be decided in their order.
#[derive(Debug)]
pub struct Judging<'a> {
    index: &'a AccessIndex,
    questions: &'a [OwnedQuestion],
    at: Timestamp,
    max_bytes: usize,
    pace: &'a mut Pace,
}

impl<'a> Judging<'a> {
    /// Returns the revision of the environment at which they are evaluated.
    pub const fn revision(&self) -> Revision {
        self.index.revision()
    }

    /// Returns the number of checks.
    pub const fn len(&self) -> usize {
        self.questions.len()
    }

    /// Returns whether there are no checks.
    pub const fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// Returns the maximum size of the response in bytes.
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Calls `tell` with each check in turn: its decision, and the names of all granting roles, sorted, each once.
    /// Allocates nothing per check.
    ///
    /// # Errors
    /// [`Stopped`] once the caller has gone. An error of `tell` ends it too.
    pub fn each(
        self,
        mut tell: impl FnMut(&Question<'a>, Decision, &[&RoleName]) -> Written<()>,
    ) -> Result<Written<()>, Stopped> {
        /// This many checks take a few microseconds.
        const BETWEEN_CHECKS: usize = 16;
        let mut roles = Vec::new();
        for some in self.questions.chunks(BETWEEN_CHECKS) {
            self.pace.check()?;
            for question in some {
                let question = question.as_question();
                let decision = self.index.decide_with_roles(&question, self.at, &mut roles);
                if let Err(too_large) = tell(&question, decision, &roles) {
                    return Ok(Err(too_large));
                }
                if roles.len() > BETWEEN_CHECKS {
                    self.pace.check()?;
                }
            }
        }
        Ok(Ok(()))
    }
}

/// The response would exceed the maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerTooLarge;

/// The maximum cost of checks.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    bytes: usize,
    steps: usize,
}

impl Cost {
    /// This much work takes about half a millisecond, so it runs on the worker itself.
    const SMALL: Self = Self {
        bytes: 256 * 1024,
        steps: 16_384,
    };

    /// Adds up costs until the work is no longer small. Costs a look-up per check, of a record that the check reads
    /// anyway.
    fn of(index: &AccessIndex, questions: &[OwnedQuestion]) -> Self {
        /// Bytes of a response besides the names of roles and the permission.
        const BYTES: usize = 160;
        let mut sum = Self::default();
        for question in questions {
            let cost = index.cost(question.identity);
            let texts = cost.role_name_bytes.saturating_add(question.permission.len());
            sum.bytes = sum.bytes.saturating_add(texts.saturating_add(BYTES));
            sum.steps = sum.steps.saturating_add(cost.assignments.saturating_add(8));
            if !sum.is_small() {
                break;
            }
        }
        sum
    }

    const fn is_small(self) -> bool {
        self.steps <= Self::SMALL.steps && self.bytes <= Self::SMALL.bytes
    }
}

/// The result of rendering a response: `Err` if it grew too large.
type Written<R> = Result<R, AnswerTooLarge>;

/// Decides checks, after loading the index if it is not in memory. Longer work runs on a thread for long work; dropping
/// the future stops it. `answer` stops by itself once it exceeds `max_bytes`.
///
/// # Errors
/// Like [`evaluate`](super::evaluate::evaluate): one check outside a key's scopes refuses all.
/// [`AppError::AnswerTooLarge`]; [`AppError::Work`].
pub async fn evaluate_many<R: Send + 'static>(
    app: &App,
    asker: Asker<'_>,
    questions: Vec<OwnedQuestion>,
    (at, max_bytes): (Option<Timestamp>, usize),
    consistency: Consistency,
    answer: impl Fn(Judging<'_>) -> Result<Written<R>, Stopped> + Send + Sync + 'static,
) -> Result<R, AppError> {
    let questions = Arc::new(questions);
    let ask = |view: StateView<'_>, now: Timestamp| {
        let index = &view.state().index;
        may_check(asker, &questions)?;
        if !Cost::of(index, &questions).is_small() {
            return Ok(Err((view.hold(), now)));
        }
        let judging = Judging {
            index,
            questions: &questions,
            at: at.unwrap_or(now),
            max_bytes,
            pace: &mut Pace::unbroken(),
        };
        let written = answer(judging).map_err(|Stopped| AppError::Broken("short work stopped"));
        written.map(Ok)
    };
    let written = match asker.view(app, consistency, ask).await?? {
        Ok(written) => written,
        Err((state, now)) => {
            let work = asker.work_apart(app, move |pace| {
                answer(Judging {
                    index: &state.index,
                    questions: &questions,
                    at: at.unwrap_or(now),
                    max_bytes,
                    pace,
                })
            });
            work.await?
        }
    };
    written.map_err(|AnswerTooLarge| AppError::AnswerTooLarge { max_bytes })
}

fn may_check(asker: Asker<'_>, questions: &[OwnedQuestion]) -> Result<(), AppError> {
    questions
        .iter()
        .try_for_each(|question| asker.may_check(&question.permission))
}
