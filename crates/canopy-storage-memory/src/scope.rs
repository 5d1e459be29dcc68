//! Checks that a write keeps to its lock scope. This store locks itself as a whole, so a too narrow scope does no harm
//! here; on a store that locks rows it would be a race. A strict store detects it.

use crate::rule::ensure;
use crate::state::State;
use canopy_domain::EnvironmentId;
use canopy_domain::port::{LockScope, StoreError};

/// Checks that a commit that changes an environment holds its lock. A new environment needs none.
pub(crate) fn check(before: &State, scope: &LockScope, touched: EnvironmentId) -> Result<(), StoreError> {
    let Some(place) = before.tenancy.place(touched) else {
        return Ok(());
    };
    let is_locked = match scope {
        LockScope::Installation | LockScope::Account(_) | LockScope::Application(_) => false,
        LockScope::Environment(place) => place.environment == touched,
        LockScope::WholeApplication(whole) | LockScope::Memberships { application: whole, .. } => {
            whole.application == place.application
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
