//! Identities of an account and their memberships in its applications.

mod avatar;
pub mod change;
pub mod create;
mod email;
pub mod listing;
pub mod membership;
pub mod names;

use crate::id::id_type;
use crate::text::text_type;
use crate::{AccountId, JsonObject, Timestamp};

pub use avatar::{AvatarUrl, AvatarUrlError};
pub use email::{Email, EmailError};
pub use membership::{Membership, MembershipError, MembershipId, MembershipStatus};

id_type!(
    /// The id of an [`Identity`].
    IdentityId
);

text_type!(
    /// A first or last name of a person.
    PersonName,
    100
);
text_type!(
    /// The id of an identity in the customer's own directory, unique in the account, compared byte for byte.
    ExternalId,
    255
);

/// A person or machine of an account that can be given access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The email address, unique in the account.
    pub email: Email,
    /// First name.
    pub first_name: PersonName,
    /// Last name.
    pub last_name: PersonName,
    /// The URL of a picture.
    pub avatar_url: Option<AvatarUrl>,
    /// The id in the customer's directory.
    pub external_id: Option<ExternalId>,
    /// Free-form metadata of the customer.
    pub metadata: Option<JsonObject>,
    /// False if the identity is switched off: it then has no access anywhere.
    pub is_active: bool,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

impl Identity {
    /// Returns first and last name, separated by a space.
    pub fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    /// Returns the folded text that searches match: name, email and external id.
    pub fn searched_text(&self) -> String {
        let name = self.name();
        let external_id = self.external_id.as_ref().map(ExternalId::as_str);
        crate::searched_text([name.as_str(), self.email.as_str()].into_iter().chain(external_id))
    }
}

/// An error of a change to an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No such identity in the account.
    #[error("the account has no such identity")]
    NotFound,
    /// The account has an identity with this email address.
    #[error("an identity with this email exists already")]
    EmailTaken,
    /// The account has an identity with this external id.
    #[error("an identity with this external id exists already")]
    ExternalIdTaken,
    /// An earlier item of the same request has the same email or external id.
    #[error("an earlier item of this request has the same email or external id")]
    DuplicateInBatch {
        /// The index of the earlier item.
        first: usize,
    },
}
