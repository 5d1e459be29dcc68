//! Creating identities, one or many, by the same rules.

use super::{AvatarUrl, Email, ExternalId, IdentityError, IdentityId, Membership, PersonName};
use crate::JsonObject;
use crate::bulk::Verdict;
use std::collections::{HashMap, HashSet};

/// A requested identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Email address.
    pub email: Email,
    /// First name.
    pub first_name: PersonName,
    /// Last name.
    pub last_name: PersonName,
    /// The URL of a picture.
    pub avatar_url: Option<AvatarUrl>,
    /// Id in the customer's directory.
    pub external_id: Option<ExternalId>,
    /// Free-form metadata of the customer.
    pub metadata: Option<JsonObject>,
}

/// Emails and external ids: those to look up, or those that the account has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenIdentifiers {
    /// Emails.
    pub emails: HashSet<Email>,
    /// External ids.
    pub external_ids: HashSet<ExternalId>,
}

impl TakenIdentifiers {
    /// Returns the emails and external ids of items.
    pub fn of(items: &[NewIdentity]) -> Self {
        Self {
            emails: items.iter().map(|item| item.email.clone()).collect(),
            external_ids: items.iter().filter_map(|item| item.external_id.clone()).collect(),
        }
    }
}

/// The facts of an identity that rules need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFact {
    /// False if the identity is switched off in the whole account.
    pub is_active: bool,
    /// Its membership in the given application.
    pub membership: Option<Membership>,
}

/// Identities by their id.
pub type IdentityFacts = HashMap<IdentityId, IdentityFact>;

/// Judges a batch: emails first, then external ids; against the account, then against earlier items.
pub fn plan(items: &[NewIdentity], taken: &TakenIdentifiers) -> Vec<Verdict<(), IdentityError>> {
    let mut emails: HashMap<&Email, usize> = HashMap::new();
    let mut external_ids: HashMap<&ExternalId, usize> = HashMap::new();
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let first_email = *emails.entry(&item.email).or_insert(index);
            let first_external = item
                .external_id
                .as_ref()
                .map_or(index, |id| *external_ids.entry(id).or_insert(index));
            let external_taken = item
                .external_id
                .as_ref()
                .is_some_and(|id| taken.external_ids.contains(id));
            let first = first_email.min(first_external);
            if taken.emails.contains(&item.email) {
                Verdict::Refused(IdentityError::EmailTaken)
            } else if external_taken {
                Verdict::Refused(IdentityError::ExternalIdTaken)
            } else if first != index {
                Verdict::Refused(IdentityError::DuplicateInBatch { first })
            } else {
                Verdict::Accepted(())
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(email: &str, external: Option<&str>) -> NewIdentity {
        NewIdentity {
            email: Email::parse(email).unwrap(),
            first_name: PersonName::parse("A").unwrap(),
            last_name: PersonName::parse("B").unwrap(),
            avatar_url: None,
            external_id: external.map(|id| ExternalId::parse(id).unwrap()),
            metadata: None,
        }
    }

    #[test]
    fn taken_and_repeated_identifiers_are_refused() {
        let items = [
            item("a@x", Some("1")),
            item("A@X", None),
            item("b@x", Some("1")),
            item("taken@x", Some("taken")),
            item("c@x", Some("taken")),
            item("d@x", Some("TAKEN")),
        ];
        let taken = TakenIdentifiers::of(&[item("taken@x", Some("taken"))]);
        let duplicate = Verdict::Refused(IdentityError::DuplicateInBatch { first: 0 });
        assert_eq!(
            plan(&items, &taken),
            [
                Verdict::Accepted(()),
                duplicate.clone(),
                duplicate,
                Verdict::Refused(IdentityError::EmailTaken),
                Verdict::Refused(IdentityError::ExternalIdTaken),
                Verdict::Accepted(()),
            ]
        );
    }
}
