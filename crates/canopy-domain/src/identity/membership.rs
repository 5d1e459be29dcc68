//! Memberships: which identities belong to an application, and in which state.

use crate::id::id_type;
use crate::words::words;
use crate::{ApplicationId, IdentityId, Timestamp};

id_type!(
    /// Names a [`Membership`].
    MembershipId
);

words!(
    /// The state of a membership. Only `Active` gives access.
    MembershipStatus {
        /// Asked to join; no access yet.
        Invited = "invited",
        /// Belongs to the application.
        Active = "active",
        /// Ended; its assignments were removed with it. Attaching again revives it.
        Deactivated = "deactivated",
        /// Paused: no access, but its assignments are kept.
        Suspended = "suspended",
    }
);

/// An identity's place in one application. There is at most one for each pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its id.
    pub id: MembershipId,
    /// The identity.
    pub identity_id: IdentityId,
    /// The application.
    pub application_id: ApplicationId,
    /// Its state.
    pub status: MembershipStatus,
    /// When it was invited.
    pub invited_at: Option<Timestamp>,
    /// When it last became active.
    pub activated_at: Option<Timestamp>,
    /// When it last ended.
    pub deactivated_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why a change to a membership is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// The identity has no membership in the application.
    #[error("the identity is not a member of this application")]
    NotFound,
    /// The membership is active already.
    #[error("the identity is an active member of this application already")]
    AlreadyActive,
    /// An earlier item of the same request names the same identity.
    #[error("an earlier item of this request names the same identity")]
    DuplicateInBatch {
        /// The index of the earlier item.
        first: usize,
    },
}

/// What attaching an identity to an application does to its membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// A membership is made.
    Created(Membership),
    /// The one there is becomes active again.
    Revived(Membership),
}

impl Attachment {
    /// The membership as it is afterwards.
    pub const fn membership(&self) -> &Membership {
        match self {
            Self::Created(membership) | Self::Revived(membership) => membership,
        }
    }
}

/// Attaches an identity: makes an active membership, or makes the existing one active.
///
/// # Errors
/// [`MembershipError::AlreadyActive`] when there is nothing to do.
pub fn attach(
    identity: IdentityId,
    application: ApplicationId,
    existing: Option<&Membership>,
    fresh_id: MembershipId,
    now: Timestamp,
) -> Result<Attachment, MembershipError> {
    match existing {
        None => Ok(Attachment::Created(Membership {
            id: fresh_id,
            identity_id: identity,
            application_id: application,
            status: MembershipStatus::Active,
            invited_at: None,
            activated_at: Some(now),
            deactivated_at: None,
            created_at: now,
        })),
        Some(membership) => match membership.status {
            MembershipStatus::Active => Err(MembershipError::AlreadyActive),
            MembershipStatus::Invited | MembershipStatus::Deactivated | MembershipStatus::Suspended => {
                Ok(Attachment::Revived(Membership {
                    status: MembershipStatus::Active,
                    activated_at: Some(now),
                    deactivated_at: None,
                    ..membership.clone()
                }))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Attachment, MembershipError, MembershipId, MembershipStatus, attach};
    use crate::{ApplicationId, IdentityId, Timestamp};
    use uuid::Uuid;

    #[test]
    fn attaching_makes_or_revives_but_never_repeats() {
        let (identity, application) = (
            IdentityId::new(Uuid::from_u128(1)),
            ApplicationId::new(Uuid::from_u128(2)),
        );
        let now = Timestamp::from_micros(10).unwrap();
        let id = MembershipId::new(Uuid::from_u128(3));
        let made = attach(identity, application, None, id, now).unwrap();
        let membership = made.membership().clone();
        assert_eq!(made, Attachment::Created(membership.clone()));
        assert_eq!(
            (membership.status, membership.activated_at),
            (MembershipStatus::Active, Some(now))
        );

        let other = MembershipId::new(Uuid::from_u128(4));
        let later = Timestamp::from_micros(20).unwrap();
        for status in [
            MembershipStatus::Invited,
            MembershipStatus::Deactivated,
            MembershipStatus::Suspended,
        ] {
            let old = super::Membership {
                status,
                deactivated_at: Some(now),
                ..membership.clone()
            };
            let revived = attach(identity, application, Some(&old), other, later).unwrap();
            assert!(matches!(&revived, Attachment::Revived(m)
                if m.id == id && m.status == MembershipStatus::Active && m.activated_at == Some(later) && m.deactivated_at.is_none()));
        }
        assert_eq!(
            attach(identity, application, Some(&membership), other, later),
            Err(MembershipError::AlreadyActive)
        );
    }
}
