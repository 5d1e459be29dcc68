//! Side effects of a refused attempt: counters, limits, and the audit log of the caller's account.

use crate::credential;
use crate::error_code::ErrorCode;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::state::HttpState;
use canopy_app::Caller;
use canopy_app::audit::refusals::Refusal;

/// A call that was not answered as asked.
pub(crate) struct Attempt<'a> {
    /// The caller, if its credential is valid.
    pub(crate) caller: Option<&'a Caller>,
    /// The attempted action.
    pub(crate) operation: &'static str,
}

impl Attempt<'_> {
    /// Sees to what follows from the problem, and says how it is answered: as it is, or 429 where too many credentials of
    /// the client's address have been refused.
    pub(crate) fn refused(&self, problem: Problem, incoming: &Incoming, state: &HttpState) -> Problem {
        let metrics = state.metrics();
        // A key may turn out to be no good after it was taken for good.
        let caller = self.caller.filter(|_| problem.code != ErrorCode::InvalidApiKey);
        match caller {
            // A missing credential is no failure to authenticate.
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

    /// Puts the attempt into the audit log of the caller's account, unless that has too many already.
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
            // To an operator, who may look everywhere, an account that is not there is no refusal.
            None if problem.code.status() == 404 => {}
            _ => refusals.note(&refusal),
        }
    }
}
