//! Identities of an account and their memberships in its applications.
//!
//! A caller may be bound to one environment of the application (`bound_to`). It sees only assignments in that
//! environment, and may not make changes that affect others.

mod attach;
mod bulk_create;
mod change;
mod change_membership;
mod create_member;
mod delete;
mod get;
mod held;
mod list;
mod summary;

pub use attach::{AttachError, AttachIdentities, MAX_CHANGES};
pub use bulk_create::CreateIdentities;
pub use change::{ChangeIdentity, ChangeMember};
pub use change_membership::{ChangeMembership, ChangeMembershipOfMember};
pub use create_member::CreateMember;
pub use delete::DeleteIdentity;
pub use get::{get_identity, get_member, get_myself};
pub use held::{MemberAssignments, get_member_assignments};
pub use list::{list_identities, list_members};
pub use summary::{count_identities, count_members};

use crate::AppError;
use crate::audit_entry::AuditEntry;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::port::{ReadTx, StoreError, Unique};
use canopy_domain::{
    AccountId, ApplicationId, ApplicationRef, EnvironmentId, Identity, IdentityError, IdentityId, Membership,
    MembershipError,
};

/// Returns an identity with its membership in the application.
///
/// # Errors
/// [`IdentityError::NotFound`]; [`MembershipError::NotFound`] for an identity that was never a member.
async fn find_member(
    tx: &mut dyn ReadTx,
    place: ApplicationRef,
    id: IdentityId,
) -> Result<(Identity, Membership), AppError> {
    let identity = tx.identity(place.account, id).await?.ok_or(IdentityError::NotFound)?;
    let mut facts = tx.identity_facts(place.account, place.application, &[id]).await?;
    let membership = facts.remove(&id).and_then(|fact| fact.membership);
    Ok((identity, membership.ok_or(MembershipError::NotFound)?))
}

/// Hides identities that were never members: below an application they are not found.
fn only_members(error: AppError) -> AppError {
    match error {
        AppError::Membership(MembershipError::NotFound) => IdentityError::NotFound.into(),
        other => other,
    }
}

/// Returns the environments of an application that a caller sees.
async fn seen(
    tx: &mut dyn ReadTx,
    application: ApplicationId,
    bound_to: Option<EnvironmentId>,
) -> Result<Vec<EnvironmentId>, AppError> {
    let environments = tx.environments(application).await?;
    let ids = environments.into_iter().map(|environment| environment.id);
    Ok(ids.filter(|id| bound_to.is_none_or(|bound| bound == *id)).collect())
}

/// Turns a race for an email or external id into a conflict: the retry finds the other identity.
fn identifier_taken(unique: Unique) -> Option<AppError> {
    let conflict =
        || StoreError::Conflict("an identity with the same email or external id was created meanwhile".into());
    matches!(unique, Unique::IdentityEmail | Unique::IdentityExternalId).then(|| conflict().into())
}

/// Returns the audit entry of a change to an identity or its memberships.
fn audit_entry(
    account: AccountId,
    application: Option<ApplicationId>,
    action: &'static str,
    severity: AuditSeverity,
    identity: &Identity,
    metadata: Vec<(&'static str, Detail)>,
) -> AuditEntry {
    AuditEntry {
        account,
        application,
        environment: None,
        action,
        category: AuditCategory::Identity,
        severity,
        resource_type: "identity",
        resource_id: identity.id.to_string(),
        resource_label: identity.email.to_string(),
        metadata: Detail::Map(metadata),
        details: Vec::new(),
    }
}
