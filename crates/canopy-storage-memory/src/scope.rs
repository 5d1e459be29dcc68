//! Whether a write keeps to its scope. This store locks itself whole, so too narrow a scope does no harm here; on a store
//! that locks rows it would be a race. A strict store finds it.

use crate::rule::ensure;
use crate::state::State;
use canopy_domain::EnvironmentId;
use canopy_domain::port::{LockScope, StoreError};

/// Checks that a commit which touches an environment holds its lock. What did not exist before the write needs none.
pub(crate) fn check(before: &State, scope: &LockScope, touched: EnvironmentId) -> Result<(), StoreError> {
    let Some(place) = before.tenancy.place(touched) else {
        return Ok(());
    };
    let is_locked = match scope {
        LockScope::Installation | LockScope::Account(_) | LockScope::Application(_) => false,
        LockScope::Environment(environment) => *environment == touched,
        LockScope::WholeApplication { application, .. } | LockScope::Memberships { application, .. } => {
            *application == place.application
        }
        LockScope::Identities { identities, .. } => {
            let is_member = |id| before.directory.membership(id, place.application).is_some();
            identities.iter().any(|id| is_member(*id))
        }
    };
    ensure(
        is_locked,
        "a commit touches only environments that its scope has locked",
    )
}
