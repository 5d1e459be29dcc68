//! Side effects of a refused attempt: counters, limits, and the audit log of the caller's account.

use crate::credential;
use crate::error_code::ErrorCode;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::state::HttpState;
use canopy_app::Caller;
use canopy_app::audit::refusals::Refusal;

/// A call that was refused or that failed.
pub(crate) struct Attempt<'a> {
    /// The caller, if its credential is valid.
    pub(crate) caller: Option<&'a Caller>,
    /// The attempted action.
    pub(crate) operation: &'static str,
}

impl Attempt<'_> {
    /// Records the refusal and returns the problem to send: the given one, or 429 where too many credentials of the
    /// client's address have been refused.
    pub(crate) fn refused(&self, problem: Problem, incoming: &Incoming, state: &HttpState) -> Problem {
        let metrics = state.metrics();
        // A key can turn out to be invalid after it was accepted from the cache.
        let caller = self.caller.filter(|_| problem.code != ErrorCode::InvalidApiKey);
        match caller {
            // A missing credential does not count as a failed authentication.
            None if problem.code.status() == 401 && credential::presented(&incoming.http).is_some() => {
                metrics.refused_credentials.inc();
                state.limits().failed(&incoming.http).err().unwrap_or(problem)
            }
            Some(caller) if problem.code.refuses_caller() => {
                self.note(caller, &problem, incoming, state);
                problem
            }
            _ => problem,
        }
    }

    /// Adds the attempt to the audit log of the caller's account, unless the account has reached its limit.
    fn note(&self, caller: &Caller, problem: &Problem, incoming: &Incoming, state: &HttpState) {
        let refusals = state.refusals();
        let refusal = Refusal {
            caller,
            operation: self.operation,
            code: problem.code.as_str(),
            request_id: incoming.id(),
        };
        match caller.account() {
            Some(account) if !state.limits().may_log(account) => refusals.drop_another(),
            // An operator may look everywhere, so an account that does not exist is no refusal.
            None if problem.code.status() == 404 => {}
            _ => refusals.note(&refusal),
        }
    }
}
