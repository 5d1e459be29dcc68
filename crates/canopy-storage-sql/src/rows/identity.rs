//! Rows of identities and memberships.

use crate::shape::{Shape, shape};
use canopy_domain::access::SubjectFact;
use canopy_domain::identity::create::IdentityFact;
use canopy_domain::identity::listing::IdentityCounts;
use canopy_domain::identity::names::NamedIdentity;
use canopy_domain::port::StoreError;
use canopy_domain::{
    AvatarUrl, Email, EnvironmentId, ExternalId, Identity, IdentityId, JsonObject, Membership, MembershipStatus,
    PersonName,
};

shape! {
    /// An identity.
    IdentityRow in "identities" reads Identity {
        id: "id" as id,
        account_id: "account_id" as id,
        email: "email" as text(Email::restored),
        first_name: "first_name" as text(PersonName::restored),
        last_name: "last_name" as text(PersonName::restored),
        avatar_url: "avatar_url" as optional_text(AvatarUrl::restored),
        external_id: "external_id" as optional_text(ExternalId::restored),
        metadata: "metadata" as optional_text(JsonObject::parse),
        is_active: "is_active" as flag,
        created_at: "created_at" as at,
        updated_at: "updated_at" as at,
    }
}

shape! {
    /// A membership.
    MembershipRow in "memberships" reads Membership {
        id: "id" as id,
        identity_id: "identity_id" as id,
        application_id: "application_id" as id,
        status: "status" as word(MembershipStatus::parse),
        invited_at: "invited_at" as optional_at,
        activated_at: "activated_at" as optional_at,
        deactivated_at: "deactivated_at" as optional_at,
        created_at: "created_at" as at,
    }
}

/// The id and switch of an identity, and behind them the columns of its membership, all NULL where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityFactRow;

impl Shape for IdentityFactRow {
    type Value = (IdentityId, IdentityFact);
    const TABLE: &'static str = MembershipRow::TABLE;
    const WIDTH: usize = 2 + MembershipRow::WIDTH;

    fn columns(self) -> Vec<&'static str> {
        [vec!["id", "is_active"], MembershipRow.columns()].concat()
    }

    fn read(row: &impl crate::Row, first: usize) -> Result<Self::Value, StoreError> {
        let membership = row.optional_uuid(first + 2)?;
        let membership = membership.map(|_| MembershipRow::read(row, first + 2)).transpose()?;
        let is_active = row.flag(first + 1)?;
        Ok((row.id(first)?, IdentityFact { is_active, membership }))
    }
}

shape! {
    /// A member as decisions see it: id, switch, status of the membership.
    SubjectRow in "memberships" reads SubjectFact {
        id: "id" as id,
        is_active: "is_active" as flag,
        membership: "status" as word(MembershipStatus::parse),
    }
}

shape! {
    /// An environment, and the status of a membership there.
    StandingRow in "memberships" reads ((EnvironmentId, MembershipStatus)) {
        environment: "id" as id,
        status: "status" as word(MembershipStatus::parse),
    } => (environment, status)
}

shape! {
    /// An identity that has no active membership: the status of the one it has, and whether it is of the account.
    NotActiveRow in "memberships" reads ((IdentityId, Option<MembershipStatus>, bool)) {
        id: "id" as id,
        status: "status" as optional_word(MembershipStatus::parse),
        is_known: _ as flag,
    } => (id, status, is_known)
}

shape! {
    /// The names that others know an identity by.
    NamedIdentityRow in "identities" reads NamedIdentity {
        id: "id" as id,
        external_id: "external_id" as optional_text(ExternalId::restored),
        email: "email" as text(Email::restored),
    }
}

shape! {
    /// An id, and the email that it belongs to.
    EmailRow in "identities" reads (Email) {
        _id: "id" as optional_uuid,
        email: "email" as text(Email::restored),
    } => email
}

shape! {
    /// An id, and the external id that it belongs to.
    ExternalIdRow in "identities" reads (ExternalId) {
        _id: "id" as optional_uuid,
        external_id: "external_id" as text(ExternalId::restored),
    } => external_id
}

shape! {
    /// The id of an identity, and its name.
    LabelRow in "identities" reads ((IdentityId, String)) { id: "id" as id, name: "name" as string, } => (id, name)
}

shape! {
    /// The numbers of identities by status.
    IdentityCountsRow in "identities" reads IdentityCounts {
        total: _ as count,
        active: _ as count,
        invited: _ as count,
        deactivated: _ as count,
        suspended: _ as count,
        assigned: _ as count,
    }
}
