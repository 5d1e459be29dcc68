//! Changes of existing identities.

use super::create::TakenIdentifiers;
use super::{AvatarUrl, Email, ExternalId, Identity, IdentityError, PersonName};
use crate::{Edit, JsonObject, Timestamp};

/// A change to one identity. Absent values stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityPatch {
    /// Email address.
    pub email: Option<Email>,
    /// First name.
    pub first_name: Option<PersonName>,
    /// Last name.
    pub last_name: Option<PersonName>,
    /// The URL of a picture.
    pub avatar_url: Edit<AvatarUrl>,
    /// Id in the customer's directory.
    pub external_id: Edit<ExternalId>,
    /// Free-form metadata of the customer.
    pub metadata: Edit<JsonObject>,
    /// False if the identity is switched off in the whole account.
    pub is_active: Option<bool>,
}

impl IdentityPatch {
    /// Returns whether it changes something that affects more than one environment: an identifier or the account-wide
    /// state.
    pub const fn reaches_the_account(&self) -> bool {
        self.email.is_some() || self.is_active.is_some() || !matches!(self.external_id, Edit::Keep)
    }

    /// Returns the email and external id that the identity would newly get.
    pub fn taking(&self, identity: &Identity) -> TakenIdentifiers {
        let email = self.email.iter().filter(|email| **email != identity.email);
        let external_id = match &self.external_id {
            Edit::Set(id) if identity.external_id.as_ref() != Some(id) => Some(id),
            Edit::Set(_) | Edit::Keep | Edit::Clear => None,
        };
        TakenIdentifiers {
            emails: email.cloned().collect(),
            external_ids: external_id.cloned().into_iter().collect(),
        }
    }
}

/// Judges a change to one identity and returns the changed identity. `taken` contains the [new
/// identifiers](IdentityPatch::taking) that the account has already.
///
/// # Errors
/// [`IdentityError::EmailTaken`] before [`IdentityError::ExternalIdTaken`].
pub fn patch(
    identity: &Identity,
    patch: &IdentityPatch,
    taken: &TakenIdentifiers,
    now: Timestamp,
) -> Result<Identity, IdentityError> {
    let after = Identity {
        email: patch.email.as_ref().unwrap_or(&identity.email).clone(),
        first_name: patch.first_name.as_ref().unwrap_or(&identity.first_name).clone(),
        last_name: patch.last_name.as_ref().unwrap_or(&identity.last_name).clone(),
        avatar_url: patch.avatar_url.of(identity.avatar_url.as_ref()),
        external_id: patch.external_id.of(identity.external_id.as_ref()),
        metadata: patch.metadata.of(identity.metadata.as_ref()),
        is_active: patch.is_active.unwrap_or(identity.is_active),
        ..identity.clone()
    };
    if taken.emails.contains(&after.email) {
        return Err(IdentityError::EmailTaken);
    }
    if after
        .external_id
        .as_ref()
        .is_some_and(|id| taken.external_ids.contains(id))
    {
        return Err(IdentityError::ExternalIdTaken);
    }
    if after == *identity {
        return Ok(after);
    }
    Ok(Identity {
        updated_at: now,
        ..after
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, IdentityId};
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    fn external(text: &str) -> ExternalId {
        ExternalId::parse(text).unwrap()
    }

    fn ada() -> Identity {
        Identity {
            id: IdentityId::new(Uuid::from_u128(1)),
            account_id: AccountId::new(Uuid::from_u128(2)),
            email: email("ada@x"),
            first_name: PersonName::parse("Ada").unwrap(),
            last_name: PersonName::parse("Lovelace").unwrap(),
            avatar_url: Some(AvatarUrl::parse("http://a").unwrap()),
            external_id: Some(external("1")),
            metadata: Some(JsonObject::parse("{\"a\":1}").unwrap()),
            is_active: true,
            created_at: at(1),
            updated_at: at(1),
        }
    }

    fn taken(emails: &[&str], external_ids: &[&str]) -> TakenIdentifiers {
        TakenIdentifiers {
            emails: emails.iter().map(|text| email(text)).collect(),
            external_ids: external_ids.iter().map(|text| external(text)).collect(),
        }
    }

    #[test]
    fn what_is_not_given_stays_and_what_is_cleared_goes() {
        let nobody = TakenIdentifiers::default();
        assert_eq!(patch(&ada(), &IdentityPatch::default(), &nobody, at(9)), Ok(ada()));
        let same = IdentityPatch {
            email: Some(email("ADA@x")),
            external_id: Edit::Set(external("1")),
            is_active: Some(true),
            ..IdentityPatch::default()
        };
        assert_eq!(patch(&ada(), &same, &nobody, at(9)), Ok(ada()), "nothing changed");
        let change = IdentityPatch {
            email: Some(email("new@x")),
            first_name: Some(PersonName::parse("A.").unwrap()),
            last_name: Some(PersonName::parse("King").unwrap()),
            avatar_url: Edit::Clear,
            external_id: Edit::Clear,
            metadata: Edit::Clear,
            is_active: Some(false),
        };
        let expected = Identity {
            email: email("new@x"),
            first_name: PersonName::parse("A.").unwrap(),
            last_name: PersonName::parse("King").unwrap(),
            avatar_url: None,
            external_id: None,
            metadata: None,
            is_active: false,
            updated_at: at(9),
            ..ada()
        };
        assert_eq!(patch(&ada(), &change, &nobody, at(9)), Ok(expected));
    }

    #[test]
    fn only_what_it_has_not_got_can_be_taken() {
        let keeping = IdentityPatch {
            email: Some(email("ada@x")),
            external_id: Edit::Set(external("1")),
            ..IdentityPatch::default()
        };
        assert_eq!(keeping.taking(&ada()), TakenIdentifiers::default());
        let wanting = IdentityPatch {
            email: Some(email("bob@x")),
            external_id: Edit::Set(external("2")),
            ..IdentityPatch::default()
        };
        assert_eq!(wanting.taking(&ada()), taken(&["bob@x"], &["2"]));
        for (taken, expected) in [
            (taken(&["bob@x"], &["2"]), IdentityError::EmailTaken),
            (taken(&[], &["2"]), IdentityError::ExternalIdTaken),
        ] {
            assert_eq!(patch(&ada(), &wanting, &taken, at(9)), Err(expected));
        }
    }

    #[test]
    fn email_switch_and_external_id_reach_the_account() {
        let plain = IdentityPatch {
            first_name: Some(PersonName::parse("A").unwrap()),
            metadata: Edit::Clear,
            avatar_url: Edit::Clear,
            ..IdentityPatch::default()
        };
        assert!(!plain.reaches_the_account());
        for reaching in [
            IdentityPatch {
                email: Some(email("a@x")),
                ..plain.clone()
            },
            IdentityPatch {
                external_id: Edit::Clear,
                ..plain.clone()
            },
            IdentityPatch {
                is_active: Some(true),
                ..plain
            },
        ] {
            assert!(reaching.reaches_the_account());
        }
    }
}
