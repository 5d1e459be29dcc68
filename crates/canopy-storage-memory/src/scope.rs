//! Whether a write keeps to its scope. This store locks itself whole, so too narrow a scope does no harm here; on a store
//! that locks rows it would be a race. A strict store finds it.

use crate::rule::must;
use crate::state::State;
use canopy_domain::EnvironmentId;
use canopy_domain::port::{StoreError, WriteScope};

/// Checks that a commit which touches an environment holds its lock. What did not exist before the write needs none.
pub(crate) fn check(before: &State, scope: &WriteScope, touched: EnvironmentId) -> Result<(), StoreError> {
    let Some(place) = before.tenancy.place(touched) else {
        return Ok(());
    };
    let is_locked = match scope {
        WriteScope::Installation | WriteScope::Account(_) | WriteScope::Application(_) => false,
        WriteScope::Environment(place) => place.environment == touched,
        WriteScope::WholeApplication(whole) | WriteScope::Memberships { application: whole, .. } => {
            whole.application == place.application
        }
        WriteScope::Identities { identities, .. } => {
            let is_member = |id| before.directory.membership(id, place.application).is_some();
            identities.iter().any(|id| is_member(*id))
        }
    };
    must(
        is_locked,
        "a commit touches only environments that its scope has locked",
    )
}
