//! The question that everything else serves.

pub mod effective;
pub mod evaluate;
pub mod evaluate_many;

use crate::api_key::authenticate::{confirm_at, without_environment};
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError, Caller};
use canopy_domain::{EnvironmentId, Timestamp};

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The environment that it is about.
    pub environment: EnvironmentId,
}

impl Asker<'_> {
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

    /// Refuses a key that is not good at the revision at which its question is to be judged.
    pub(crate) fn confirm(self, state: &EnvironmentState, now: Timestamp) -> Result<(), AppError> {
        confirm_at(self.caller, &state.keys, now)
    }

    /// Asks for an answer that needs no check of its own, at a revision at which the asker is let in. One fence serves both.
    pub(crate) async fn ask<R: Send>(
        self,
        app: &App,
        consistency: Consistency,
        answer: impl FnOnce(&EnvironmentState, Timestamp) -> R + Send,
    ) -> Result<R, AppError> {
        let ask = |state: &EnvironmentState| {
            let now = app.now();
            self.confirm(state, now)?;
            Ok(answer(state, now))
        };
        let asked = app.decisions().ask(self.environment, consistency, ask).await;
        asked.map_err(|error| without_environment(self.caller, error))?
    }
}
