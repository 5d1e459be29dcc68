//! The cache of names of identities, for AuthZEN subjects and for the subjects of tokens.

use super::cache::{Cache, Generation};
use super::name::{AsName, Name, NameOf};
use canopy_domain::port::SubjectKind;
use canopy_domain::{AccountId, IdentityId, Resolution};

/// The largest number of names that are cached.
const CAPACITY: usize = 100_000;

/// Identities by name. A process caches names only where no other process writes to the store, and clears them whenever an
/// identity may have been renamed.
#[derive(Debug)]
pub(crate) struct IdentityNames {
    /// `None` where other processes may rename identities.
    names: Option<Cache<Name, Resolution<IdentityId>>>,
}

/// The moment before names are read from the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BeforeRead(Option<Generation>);

impl IdentityNames {
    /// An empty cache.
    pub(super) fn new(is_shared: bool) -> Self {
        Self {
            names: (!is_shared).then(|| Cache::new(CAPACITY)),
        }
    }

    /// Returns the identities that a name stands for; `None` if it is not cached.
    pub(crate) fn named(&self, account: AccountId, text: &str) -> Option<Resolution<IdentityId>> {
        let attribute = None;
        self.get(&NameOf::Identity {
            account,
            attribute,
            text,
        })
    }

    /// Returns the identity that the subject of a token names; `None` if it is not cached.
    pub(super) fn subject(&self, account: AccountId, attribute: SubjectKind, text: &str) -> Option<IdentityId> {
        let attribute = Some(attribute);
        match self.get(&NameOf::Identity {
            account,
            attribute,
            text,
        })? {
            Resolution::Unique(id) => Some(id),
            Resolution::NotFound | Resolution::Ambiguous => None,
        }
    }

    fn get(&self, name: &dyn AsName) -> Option<Resolution<IdentityId>> {
        self.names.as_ref()?.get(name)
    }

    /// Returns the moment to pass on with names that are read from the store from now on.
    pub(crate) fn before_read(&self) -> BeforeRead {
        BeforeRead(self.names.as_ref().map(Cache::generation))
    }

    /// Caches the identities that names stand for. Names of nobody are not cached: strangers could fill the cache with them.
    pub(crate) fn insert_all<'n>(
        &self,
        BeforeRead(generation): BeforeRead,
        account: AccountId,
        found: impl Iterator<Item = (&'n str, Resolution<IdentityId>)>,
    ) {
        let (Some(names), Some(generation)) = (&self.names, generation) else {
            return;
        };
        for (text, identity) in found.filter(|(_, identity)| *identity != Resolution::NotFound) {
            let attribute = None;
            let name = NameOf::Identity {
                account,
                attribute,
                text,
            };
            names.insert(generation, name.to_name(), identity);
        }
    }

    /// Caches the identity that the subject of a token names.
    pub(super) fn insert_subject(
        &self,
        BeforeRead(generation): BeforeRead,
        (account, attribute, text): (AccountId, SubjectKind, &str),
        id: IdentityId,
    ) {
        if let (Some(names), Some(generation)) = (&self.names, generation) {
            let attribute = Some(attribute);
            let name = NameOf::Identity {
                account,
                attribute,
                text,
            };
            names.insert(generation, name.to_name(), Resolution::Unique(id));
        }
    }

    /// Clears the cache.
    pub(super) fn clear(&self) {
        if let Some(names) = &self.names {
            names.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, IdentityNames};
    use canopy_domain::port::SubjectKind;
    use canopy_domain::{AccountId, IdentityId, Resolution};
    use uuid::Uuid;

    const ADA: Resolution<IdentityId> = Resolution::Unique(IdentityId::new(Uuid::from_u128(7)));

    fn account(number: u128) -> AccountId {
        AccountId::new(Uuid::from_u128(number))
    }

    #[test]
    fn names_are_cached_by_account_until_a_change() {
        let names = IdentityNames::new(false);
        let before = names.before_read();
        let found = || {
            [
                ("ada", ADA),
                ("eve", Resolution::NotFound),
                ("two", Resolution::Ambiguous),
            ]
            .into_iter()
        };
        names.insert_all(before, account(1), found());
        assert_eq!(names.named(account(1), "ada"), Some(ADA));
        assert_eq!(names.named(account(1), "two"), Some(Resolution::Ambiguous));
        assert_eq!(names.named(account(1), "eve"), None);
        assert_eq!(names.named(account(2), "ada"), None);
        names.clear();
        assert_eq!(names.named(account(1), "ada"), None);
        names.insert_all(before, account(1), found());
        assert_eq!(names.named(account(1), "ada"), None);
    }

    #[test]
    fn subjects_of_tokens_are_cached_by_account_and_attribute_until_a_change() {
        let names = IdentityNames::new(false);
        let ada = IdentityId::new(Uuid::from_u128(7));
        let before = names.before_read();
        names.insert_subject(before, (account(1), SubjectKind::Email, "ada"), ada);
        assert_eq!(names.subject(account(1), SubjectKind::Email, "ada"), Some(ada));
        assert_eq!(names.subject(account(1), SubjectKind::ExternalId, "ada"), None);
        assert_eq!(names.subject(account(2), SubjectKind::Email, "ada"), None);
        assert_eq!(names.named(account(1), "ada"), None);
        names.clear();
        assert_eq!(names.subject(account(1), SubjectKind::Email, "ada"), None);
        names.insert_subject(before, (account(1), SubjectKind::Email, "ada"), ada);
        assert_eq!(names.subject(account(1), SubjectKind::Email, "ada"), None);
    }

    #[test]
    fn nothing_is_cached_where_others_write() {
        let names = IdentityNames::new(true);
        names.insert_all(names.before_read(), account(1), [("ada", ADA)].into_iter());
        assert_eq!(names.named(account(1), "ada"), None);
        let ada = IdentityId::new(Uuid::from_u128(7));
        names.insert_subject(names.before_read(), (account(1), SubjectKind::Email, "ada"), ada);
        assert_eq!(names.subject(account(1), SubjectKind::Email, "ada"), None);
    }

    #[test]
    fn the_cache_is_bounded() {
        let names = IdentityNames::new(false);
        let texts: Vec<String> = (0..=CAPACITY).map(|number| number.to_string()).collect();
        let found = texts.iter().map(|text| (text.as_str(), ADA));
        names.insert_all(names.before_read(), account(1), found);
        assert_eq!(names.named(account(1), "0"), None);
        assert_eq!(names.named(account(1), &CAPACITY.to_string()), Some(ADA));
    }
}
