//! External names of identities: the id, the id in the customer's directory, or the email address.

use super::{Email, ExternalId, IdentityId};
use crate::Resolution;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Names to look up, by each kind that they may be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityNames {
    /// Possible ids.
    pub ids: HashSet<IdentityId>,
    /// Possible external ids.
    pub external_ids: HashSet<ExternalId>,
    /// Possible email addresses.
    pub emails: HashSet<Email>,
}

impl IdentityNames {
    /// Adds a name under each kind that it may be.
    pub fn add(&mut self, name: &str) {
        let (id, external_id, email) = readings(name);
        self.ids.extend(id);
        self.external_ids.extend(external_id);
        self.emails.extend(email);
    }

    /// Returns whether there is no name that an identity could have.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.external_ids.is_empty() && self.emails.is_empty()
    }
}

/// An identity with all its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedIdentity {
    /// Its id.
    pub id: IdentityId,
    /// The id in the customer's directory.
    pub external_id: Option<ExternalId>,
    /// The email address.
    pub email: Email,
}

impl NamedIdentity {
    /// Returns the names for lists, the best first: the external id, the id, the email address, and the id in capitals,
    /// which can only be read as an id.
    fn candidates(&self) -> impl Iterator<Item = String> {
        let own = self.external_id.as_ref().map(ToString::to_string);
        let id = self.id.to_string();
        let capitals = id.to_uppercase();
        own.into_iter().chain([id, self.email.to_string(), capitals])
    }

    /// Returns the name for lists: its first candidate that is unique among `all` who have one of [`candidate_names`].
    /// Its id if none is.
    pub fn shown(&self, all: &IdentitiesByName) -> String {
        let means_it = |name: &String| all.meaning(name) == Resolution::Unique(self.id);
        self.candidates().find(means_it).unwrap_or_else(|| self.id.to_string())
    }
}

/// Returns all names that these identities may be listed by. Another identity with one of them makes it ambiguous.
pub fn candidate_names<'i>(identities: impl IntoIterator<Item = &'i NamedIdentity>) -> IdentityNames {
    let mut names = IdentityNames::default();
    for identity in identities {
        for name in identity.candidates() {
            names.add(&name);
        }
    }
    names
}

/// The identities of an account that have some names.
#[derive(Debug, Clone, Default)]
pub struct IdentitiesByName {
    ids: HashSet<IdentityId>,
    external_ids: HashMap<ExternalId, IdentityId>,
    emails: HashMap<Email, IdentityId>,
}

impl IdentitiesByName {
    /// Indexes the identities that were found for some names.
    pub fn new(found: impl IntoIterator<Item = NamedIdentity>) -> Self {
        let mut all = Self::default();
        for identity in found {
            all.ids.insert(identity.id);
            all.emails.insert(identity.email, identity.id);
            if let Some(external_id) = identity.external_id {
                all.external_ids.insert(external_id, identity.id);
            }
        }
        all
    }

    /// Resolves the name among the found identities.
    pub fn meaning(&self, name: &str) -> Resolution<IdentityId> {
        let (id, external_id, email) = readings(name);
        let id = id.filter(|id| self.ids.contains(id));
        let external_id = external_id.and_then(|external_id| self.external_ids.get(&external_id).copied());
        let email = email.and_then(|email| self.emails.get(&email).copied());
        Resolution::of([id, external_id, email].into_iter().flatten())
    }
}

/// Returns the kinds that a name can be. Names are compared byte for byte; only email addresses are case folded.
fn readings(name: &str) -> (Option<IdentityId>, Option<ExternalId>, Option<Email>) {
    /// Maximum size of any name: an external id has at most 255 characters, an email address fewer.
    const MAX_BYTES: usize = 4 * 255;
    if name.len() > MAX_BYTES {
        return (None, None, None);
    }
    let id = if name.len() == 36 {
        Uuid::try_parse(name).ok().map(IdentityId::new)
    } else {
        None
    };
    let external_id = ExternalId::restored(name).ok().filter(|id| id.as_str() == name);
    let email = Email::restored(name).ok().filter(|_| name.trim() == name);
    (id, external_id, email)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "00000000-0000-0000-0000-0000000000ad";

    fn identity(id: u128, email: &str, external_id: Option<&str>) -> NamedIdentity {
        NamedIdentity {
            id: IdentityId::new(Uuid::from_u128(id)),
            external_id: external_id.map(|text| ExternalId::parse(text).unwrap()),
            email: Email::parse(email).unwrap(),
        }
    }

    #[test]
    fn an_identity_is_called_by_id_external_id_and_mail_address() {
        let ada = identity(0xad, "ada@x.example", Some("Emp-1"));
        let one = Resolution::Unique(ada.id);
        let all = IdentitiesByName::new([ada, identity(2, "bob@x.example", None)]);
        for (name, meaning) in [
            (ADA, one),
            (&ADA.to_uppercase(), one),
            ("Emp-1", one),
            ("ada@x.example", one),
            ("ADA@X.example", one),
            ("emp-1", Resolution::NotFound),
            (" Emp-1", Resolution::NotFound),
            (" ada@x.example", Resolution::NotFound),
            ("000000000000000000000000000000ad", Resolution::NotFound),
            ("", Resolution::NotFound),
            ("eve@x.example", Resolution::NotFound),
        ] {
            assert_eq!(all.meaning(name), meaning, "{name}");
        }
    }

    #[test]
    fn a_name_that_two_have_is_nobodys() {
        for (external_id, name) in [(ADA, ADA), ("ada@x.example", "ada@x.example")] {
            let ada = identity(0xad, "ada@x.example", None);
            let eve = identity(0xee, "eve@x.example", Some(external_id));
            let all = IdentitiesByName::new([ada, eve.clone()]);
            assert_eq!(all.meaning(name), Resolution::Ambiguous, "{name}");
            assert_eq!(all.meaning("eve@x.example"), Resolution::Unique(eve.id));
        }
        let own = identity(0xad, "ada@x.example", Some("ada@x.example"));
        let all = IdentitiesByName::new([own.clone()]);
        assert_eq!(all.meaning("ada@x.example"), Resolution::Unique(own.id));
    }

    #[test]
    fn names_are_asked_about_as_all_that_they_may_be() {
        let mut names = IdentityNames::default();
        assert!(names.is_empty());
        // The last one is longer than any name, so it is not read.
        let endless = format!("{}@x.example", " ".repeat(8 * 1024 * 1024));
        for name in [ADA, "A@x.example", "", " x", "emp\u{0}", &endless] {
            names.add(name);
        }
        assert_eq!(names.ids.len(), 1);
        assert_eq!(names.external_ids.len(), 2);
        assert_eq!(names.emails, HashSet::from([Email::parse("a@x.example").unwrap()]));
    }

    #[test]
    fn each_is_shown_by_the_first_name_that_means_it_alone() {
        let bob = identity(0xb0b, "bob@x.example", None);
        let eve = identity(0xe5e, "eve@x.example", Some("E1"));
        // An identity got Jane's former email address, which is Jane's id in the directory.
        let new = identity(0xaa, "jane@x.example", None);
        let jane = identity(0xa0, "j@x.example", Some("jane@x.example"));
        let squatter = identity(0xcc, "s@x.example", Some(&bob.id.to_string()));
        let everybody = [&bob, &eve, &new, &jane, &squatter].map(Clone::clone);
        let all = IdentitiesByName::new(everybody.clone());
        assert_eq!(eve.shown(&all), "E1");
        assert_eq!(jane.shown(&all), jane.id.to_string());
        assert_eq!(new.shown(&all), new.id.to_string());
        assert_eq!(bob.shown(&all), "bob@x.example");
        for one in &everybody {
            assert_eq!(all.meaning(&one.shown(&all)), Resolution::Unique(one.id));
        }
        let asked = candidate_names([&jane]);
        assert!(asked.emails.contains(&new.email), "{asked:?}");
    }

    proptest::proptest! {
        /// Tests that each identity is shown by a unique name, whatever names identities take from each other.
        #[test]
        fn a_shown_name_means_who_it_shows(taken in proptest::collection::vec((0u8..4, 0u8..6), 2..6)) {
            let id = |place: usize| 0xabc0 + u128::try_from(place).unwrap();
            let mut seen = HashSet::new();
            let everybody: Vec<NamedIdentity> = taken.iter().enumerate().map(|(place, (kind, of))| {
                let of = usize::from(*of);
                let external_id = match kind {
                    0 => Some(format!("p{of}@x.example")),
                    1 => Some(IdentityId::new(Uuid::from_u128(id(of))).to_string()),
                    2 => Some(format!("e{of}")),
                    _ => None,
                };
                let external_id = external_id.filter(|one| seen.insert(one.clone()));
                identity(id(place), &format!("p{place}@x.example"), external_id.as_deref())
            }).collect();
            let all = IdentitiesByName::new(everybody.clone());
            for one in &everybody {
                proptest::prop_assert_eq!(all.meaning(&one.shown(&all)), Resolution::Unique(one.id));
            }
        }
    }
}
