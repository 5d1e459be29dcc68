//! Memberships of identities in applications, and their status.

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{ApplicationId, IdentityId, Timestamp};

id_type!(
    /// The id of a [`Membership`].
    MembershipId
);

string_enum!(
    /// The status of a membership. Only `Active` gives access.
    MembershipStatus {
        /// Invited; no access yet.
        Invited = "invited",
        /// Active member of the application.
        Active = "active",
        /// Ended; its assignments were deleted with it. Attaching again reactivates it.
        Deactivated = "deactivated",
        /// Suspended: no access, but it keeps its assignments.
        Suspended = "suspended",
    }
);

/// The membership of an identity in one application. There is at most one for each pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its id.
    pub id: MembershipId,
    /// The identity.
    pub identity_id: IdentityId,
    /// The application.
    pub application_id: ApplicationId,
    /// Its status.
    pub status: MembershipStatus,
    /// The time of the invitation.
    pub invited_at: Option<Timestamp>,
    /// The time of its last activation.
    pub activated_at: Option<Timestamp>,
    /// The time of its last end.
    pub deactivated_at: Option<Timestamp>,
    /// The time of its creation.
    pub created_at: Timestamp,
}

/// An action on an existing membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipChange {
    /// Activates the membership (again).
    Activate,
    /// Suspends the membership; its assignments stay.
    Suspend,
    /// Ends the membership and deletes its assignments.
    End,
}

impl MembershipChange {
    /// Returns the resulting status.
    pub const fn status(self) -> MembershipStatus {
        match self {
            Self::Activate => MembershipStatus::Active,
            Self::Suspend => MembershipStatus::Suspended,
            Self::End => MembershipStatus::Deactivated,
        }
    }

    /// Returns whether the assignments in the application are deleted too.
    pub const fn revokes(self) -> bool {
        matches!(self, Self::End)
    }
}

/// An error of a change to a membership.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// The identity has no membership in the application.
    #[error("the identity is not a member of this application")]
    NotFound,
    /// The membership is already active.
    #[error("the identity is an active member of this application already")]
    AlreadyActive,
    /// Only an active membership can be suspended.
    #[error("the identity is not an active member of this application")]
    NotActive,
    /// An earlier item of the same request names the same identity.
    #[error("an earlier item of this request names the same identity")]
    DuplicateInBatch {
        /// The index of the earlier item.
        first: usize,
    },
}

/// The result of attaching an identity to an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// A new membership.
    Created(Membership),
    /// The reactivated membership.
    Revived(Membership),
}

impl Attachment {
    /// Returns the resulting membership.
    pub const fn membership(&self) -> &Membership {
        match self {
            Self::Created(membership) | Self::Revived(membership) => membership,
        }
    }
}

/// Attaches an identity: creates an active membership, or activates the existing one.
///
/// # Errors
/// [`MembershipError::AlreadyActive`] if it is active already.
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
        Some(membership) => match change(membership, MembershipChange::Activate, now)? {
            None => Err(MembershipError::AlreadyActive),
            Some(active) => Ok(Attachment::Revived(active)),
        },
    }
}

/// Changes a membership and returns it; `None` if it has the status already.
///
/// # Errors
/// [`MembershipError::NotActive`] if a membership that is not active is suspended: it has no access to return to.
pub fn change(
    membership: &Membership,
    change: MembershipChange,
    now: Timestamp,
) -> Result<Option<Membership>, MembershipError> {
    let status = change.status();
    if membership.status == status {
        return Ok(None);
    }
    let changed = Membership {
        status,
        ..membership.clone()
    };
    match change {
        MembershipChange::Activate => Ok(Some(Membership {
            activated_at: Some(now),
            deactivated_at: None,
            ..changed
        })),
        MembershipChange::Suspend if membership.status == MembershipStatus::Active => Ok(Some(changed)),
        MembershipChange::Suspend => Err(MembershipError::NotActive),
        MembershipChange::End => Ok(Some(Membership {
            deactivated_at: Some(now),
            ..changed
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::{Attachment, MembershipChange, MembershipError, MembershipId, MembershipStatus, attach, change};
    use crate::{ApplicationId, IdentityId, Timestamp};
    use uuid::Uuid;

    #[test]
    fn attaching_makes_or_revives_but_never_repeats() {
        let (identity, application) = (
            IdentityId::new(Uuid::from_u128(1)),
            ApplicationId::new(Uuid::from_u128(2)),
        );
        let now = Timestamp::from_millis(10).unwrap();
        let id = MembershipId::new(Uuid::from_u128(3));
        let made = attach(identity, application, None, id, now).unwrap();
        let membership = made.membership().clone();
        assert_eq!(made, Attachment::Created(membership.clone()));
        assert_eq!(
            (membership.status, membership.activated_at),
            (MembershipStatus::Active, Some(now))
        );

        let other = MembershipId::new(Uuid::from_u128(4));
        let later = Timestamp::from_millis(20).unwrap();
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

    #[test]
    fn every_change_leads_from_every_state_to_its_own_or_is_refused() {
        use MembershipStatus::{Active, Deactivated, Invited, Suspended};
        let (made, ended) = (Timestamp::from_millis(1).unwrap(), Timestamp::from_millis(2).unwrap());
        let now = Timestamp::from_millis(3).unwrap();
        let before = |status| super::Membership {
            id: MembershipId::new(Uuid::from_u128(1)),
            identity_id: IdentityId::new(Uuid::from_u128(2)),
            application_id: ApplicationId::new(Uuid::from_u128(3)),
            status,
            invited_at: Some(made),
            activated_at: Some(made),
            deactivated_at: (status == Deactivated).then_some(ended),
            created_at: made,
        };
        let times = |activated, deactivated| Ok(Some((activated, deactivated)));
        let (stays, refused) = (Ok(None), Err(MembershipError::NotActive));
        for (status, to, expected) in [
            (Invited, MembershipChange::Activate, times(Some(now), None)),
            (Active, MembershipChange::Activate, stays.clone()),
            (Deactivated, MembershipChange::Activate, times(Some(now), None)),
            (Suspended, MembershipChange::Activate, times(Some(now), None)),
            (Invited, MembershipChange::Suspend, refused.clone()),
            (Active, MembershipChange::Suspend, times(Some(made), None)),
            (Deactivated, MembershipChange::Suspend, refused),
            (Suspended, MembershipChange::Suspend, stays.clone()),
            (Invited, MembershipChange::End, times(Some(made), Some(now))),
            (Active, MembershipChange::End, times(Some(made), Some(now))),
            (Deactivated, MembershipChange::End, stays),
            (Suspended, MembershipChange::End, times(Some(made), Some(now))),
        ] {
            let before = before(status);
            let after = change(&before, to, now);
            if let Ok(Some(after)) = &after {
                assert_eq!(after.status, to.status());
                let unchanged = (
                    after.id,
                    after.identity_id,
                    after.application_id,
                    after.invited_at,
                    after.created_at,
                );
                let kept = (
                    before.id,
                    before.identity_id,
                    before.application_id,
                    before.invited_at,
                    before.created_at,
                );
                assert_eq!(unchanged, kept);
            }
            let seen = after.map(|after| after.map(|after| (after.activated_at, after.deactivated_at)));
            assert_eq!(seen, expected, "{status} {to:?}");
        }
    }

    #[test]
    fn assignments_go_with_an_ended_membership_alone() {
        let revoking: Vec<bool> = [
            MembershipChange::Activate,
            MembershipChange::Suspend,
            MembershipChange::End,
        ]
        .map(MembershipChange::revokes)
        .into();
        assert_eq!(revoking, [false, false, true]);
    }
}
