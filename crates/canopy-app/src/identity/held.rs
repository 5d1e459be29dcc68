//! Gets a member of an application with its assignments there.

use super::{find_member, only_members, seen};
use crate::session::Requires;
use crate::{App, AppError, Call};
use canopy_domain::api_key::AreaScope;
use canopy_domain::assignment::listing::AssignmentView;
use canopy_domain::{ApplicationRef, EnvironmentId, Identity, IdentityId, Timestamp};

/// A member of an application with its assignments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAssignments {
    /// The member.
    pub identity: Identity,
    /// Its assignments, whatever their windows, by the folded name of the role.
    pub assignments: Vec<AssignmentView>,
    /// True if the caller may change the member.
    pub can_manage: bool,
    /// The instant of their status.
    pub at: Timestamp,
}

/// Returns the member with its assignments in all environments that the caller sees.
///
/// # Errors
/// [`IdentityError::NotFound`](canopy_domain::IdentityError::NotFound); [`AppError::Store`].
pub async fn get_member_assignments(
    app: &App,
    call: &Call,
    place: ApplicationRef,
    bound_to: Option<EnvironmentId>,
    id: IdentityId,
) -> Result<MemberAssignments, AppError> {
    let mut tx = app.read(place.account).await?;
    let (identity, _) = find_member(tx.as_mut(), place, id).await.map_err(only_members)?;
    let environments = seen(tx.as_mut(), place.application, bound_to).await?;
    Ok(MemberAssignments {
        identity,
        assignments: tx.held(&environments, id).await?,
        can_manage: Requires::Area(AreaScope::IdentityManage).check(&call.caller).is_ok(),
        at: app.now(),
    })
}
