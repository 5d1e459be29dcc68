//! The question that everything else serves.

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

/// A question that stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedQuestion {
    /// The identity that would do it.
    pub identity: IdentityId,
    /// The key of the permission.
    pub permission: String,
    /// Where.
    pub target: Target,
}

impl OwnedQuestion {
    /// The question as an index takes it.
    pub fn as_question(&self) -> Question<'_> {
        Question {
            identity: self.identity,
            permission: &self.permission,
            target: self.target,
        }
    }
}

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The identity.
    pub caller: &'a Caller,
    /// The environment that it is about.
    pub environment: &'a AskedEnvironment,
}

impl Asker<'_> {
    /// Where the environment lies, as far as is known without asking the store.
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

    /// Whether the scopes of a key allow checks of this permission; who needs no scope may check all.
    pub(crate) fn allows(self, permission: &str) -> bool {
        match self.caller {
            Caller::ApiKey { access, .. } => access.allows_check(permission),
            Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } => true,
        }
    }

    /// Asks for an answer that needs no check of its own, at a revision at which the asker is let in. One fence serves for
    /// that, for the names by which the environment was found, and for the answer. Where all is in memory and there is no
    /// fence to be asked, nothing is waited for; and whoever gives up waiting takes nothing from others.
    pub(crate) async fn ask<R: Send>(
        self,
        app: &App,
        consistency: Consistency,
        answer: impl FnOnce(&EnvironmentState, Timestamp) -> R + Send,
    ) -> Result<R, AppError> {
        self.view(app, consistency, |view, now| answer(view.state(), now)).await
    }

    /// The state that a question is to be judged by, and the instant now, for an answer that takes longer: as
    /// [`ask`](Self::ask) has them.
    pub(crate) async fn hold(self, app: &App, consistency: Consistency) -> Result<(HeldState, Timestamp), AppError> {
        self.view(app, consistency, |view, now| (view.hold(), now)).await
    }

    /// Judges a question as [`ask`](Self::ask) does, on a thread for long work. Dropping the future stops the work.
    pub(crate) async fn judge_apart<R: Send + 'static>(
        self,
        app: &App,
        consistency: Consistency,
        judge: impl FnOnce(&EnvironmentState, Timestamp, &mut Pace) -> Result<R, Stopped> + Send + 'static,
    ) -> Result<R, AppError> {
        let (state, now) = self.hold(app, consistency).await?;
        self.work_apart(app, move |pace| judge(&state, now, pace)).await
    }

    /// Works on a thread for long work, when it is the turn of the account.
    pub(crate) async fn work_apart<R: Send + 'static>(
        self,
        app: &App,
        work: impl FnOnce(&mut Pace) -> Result<R, Stopped> + Send + 'static,
    ) -> Result<R, AppError> {
        Ok(app.long_work().perform(self.place(), work).await?)
    }

    /// As [`ask`](Self::ask), with a view that can be held on to.
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
