//! The operations of the service by area. A new operation changes only its area.

mod access;
mod api_key;
mod assignment;
mod audit;
mod authzen;
mod hierarchy;
mod identity;
mod me;
mod permission;
mod role;
mod setup;
mod tenancy;
mod transfer;

use crate::operation::Operation;

/// Returns every operation.
pub(crate) fn operations() -> Vec<Operation> {
    [
        setup::operations(),
        assignment::operations(),
        access::operations(),
        me::operations(),
        api_key::operations(),
        role::operations(),
        permission::operations(),
        hierarchy::operations(),
        identity::operations(),
        tenancy::operations(),
        transfer::operations(),
        audit::operations(),
        authzen::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
