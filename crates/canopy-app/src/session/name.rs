//! Names within an account, as keys of caches.

use canopy_domain::AccountId;
use canopy_domain::port::SubjectKind;
use core::borrow::Borrow;
use core::hash::{Hash, Hasher};
use std::sync::Arc;

/// A name within an account; `T` is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NameOf<T> {
    /// The slugs of an environment and its application.
    Environment {
        account: AccountId,
        application: T,
        environment: T,
    },
    /// A name of an identity: its id or external id or mail address, or the one attribute that a token names.
    Identity {
        account: AccountId,
        attribute: Option<SubjectKind>,
        text: T,
    },
}

impl<'n> NameOf<&'n str> {
    fn of<T: AsRef<str>>(name: &'n NameOf<T>) -> Self {
        match name {
            NameOf::Environment {
                account,
                application,
                environment,
            } => Self::Environment {
                account: *account,
                application: application.as_ref(),
                environment: environment.as_ref(),
            },
            NameOf::Identity {
                account,
                attribute,
                text,
            } => Self::Identity {
                account: *account,
                attribute: *attribute,
                text: text.as_ref(),
            },
        }
    }

    /// The name as a key that can be kept.
    pub(super) fn to_name(self) -> Name {
        Name(Arc::new(match self {
            Self::Environment {
                account,
                application,
                environment,
            } => NameOf::Environment {
                account,
                application: application.into(),
                environment: environment.into(),
            },
            Self::Identity {
                account,
                attribute,
                text,
            } => NameOf::Identity {
                account,
                attribute,
                text: text.into(),
            },
        }))
    }
}

/// A name that a cache keeps. A clone allocates nothing.
#[derive(Debug, Clone)]
pub(super) struct Name(Arc<NameOf<Box<str>>>);

impl Name {
    /// The name, borrowed.
    pub(super) fn parts(&self) -> NameOf<&str> {
        NameOf::of(self.0.as_ref())
    }
}

/// A name in either form. Both hash alike, so a borrowed name finds a kept one without an allocation.
pub(super) trait AsName {
    fn as_name(&self) -> NameOf<&str>;
}

impl AsName for Name {
    fn as_name(&self) -> NameOf<&str> {
        self.parts()
    }
}

impl AsName for NameOf<&str> {
    fn as_name(&self) -> NameOf<&str> {
        *self
    }
}

impl<'n> Borrow<dyn AsName + 'n> for Name {
    fn borrow(&self) -> &(dyn AsName + 'n) {
        self
    }
}

impl PartialEq for dyn AsName + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.as_name() == other.as_name()
    }
}

impl Eq for dyn AsName + '_ {}

impl Hash for dyn AsName + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_name().hash(state);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}
