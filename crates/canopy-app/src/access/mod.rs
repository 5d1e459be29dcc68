//! Checks, explanations and reverse questions.

pub mod effective;
pub mod evaluate;
pub mod evaluate_many;
pub mod explain;
pub mod nodes;
pub mod part;
pub mod who_can;

use crate::decisions::{Consistency, EnvironmentState, HeldState, StateView};
use crate::long_work::{Pace, Stopped};
use crate::session::AskedEnvironment;
use crate::{App, AppError, Caller};
use canopy_domain::access::{Question, Target};
use canopy_domain::{EnvironmentRef, IdentityId, Timestamp};

/// A check that owns its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedQuestion {
    /// The identity.
    pub identity: IdentityId,
    /// The key of the permission.
    pub permission: String,
    /// The target.
    pub target: Target,
}

impl OwnedQuestion {
    /// Returns the check in the form that an index takes.
    pub fn as_question(&self) -> Question<'_> {
        Question {
            identity: self.identity,
            permission: &self.permission,
            target: self.target,
        }
    }
}

/// The caller of a check, and its environment.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The environment of the check.
    pub environment: &'a AskedEnvironment,
}

impl Asker<'_> {
    /// Returns the reference of the environment, which may be unconfirmed.
    pub(crate) const fn place(&self) -> &EnvironmentRef {
        self.environment.place()
    }

    /// Refuses a key whose scopes do not allow checks of this permission.
    fn may_check(self, permission: &str) -> Result<(), AppError> {
        if self.allows(permission) {
            Ok(())
        } else {
            Err(AppError::ScopeMissing)
        }
    }

    /// Returns whether the caller may check this permission. Callers other than keys may check all.
    pub(crate) fn allows(self, permission: &str) -> bool {
        match self.caller {
            Caller::ApiKey { access, .. } => access.allows_check(permission),
            Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } => true,
        }
    }

    /// Asks for an answer that needs no check of its own, at a revision at which the asker is let in. One fence serves for
    /// that, for the names by which the environment was found, and for the answer. Where all is in memory and there is no
    /// fence to be asked, nothing is waited for; and a caller that stops waiting cancels nothing for others.
    pub(crate) async fn ask<R: Send>(
        self,
        app: &App,
        consistency: Consistency,
        answer: impl FnOnce(&EnvironmentState, Timestamp) -> R + Send,
    ) -> Result<R, AppError> {
        self.view(app, consistency, |view, now| answer(view.state(), now)).await
    }

    /// Returns the state for a longer evaluation, and the current instant, under the conditions of [`ask`](Self::ask).
    pub(crate) async fn hold(self, app: &App, consistency: Consistency) -> Result<(HeldState, Timestamp), AppError> {
        self.view(app, consistency, |view, now| (view.hold(), now)).await
    }

    /// Runs a read like [`ask`](Self::ask) on a thread for long work. Dropping the future stops the work.
    pub(crate) async fn judge_apart<R: Send + 'static>(
        self,
        app: &App,
        consistency: Consistency,
        judge: impl FnOnce(&EnvironmentState, Timestamp, &mut Pace) -> Result<R, Stopped> + Send + 'static,
    ) -> Result<R, AppError> {
        let (state, now) = self.hold(app, consistency).await?;
        self.work_apart(app, move |pace| judge(&state, now, pace)).await
    }

    /// Runs work on a thread for long work, when it is the account's turn.
    pub(crate) async fn work_apart<R: Send + 'static>(
        self,
        app: &App,
        work: impl FnOnce(&mut Pace) -> Result<R, Stopped> + Send + 'static,
    ) -> Result<R, AppError> {
        Ok(app.long_work().perform(self.place(), work).await?)
    }

    /// Like [`ask`](Self::ask), with a view that can be held.
    pub(crate) async fn view<R: Send>(
        self,
        app: &App,
        consistency: Consistency,
        answer: impl FnOnce(StateView<'_>, Timestamp) -> R + Send,
    ) -> Result<R, AppError> {
        let asker = (self.caller, self.environment);
        app.sessions().view(asker, consistency, answer).await
    }
}
