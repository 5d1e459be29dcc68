//! What is wrong with single fields of a request, all of it at once, and where.

use core::fmt;
use serde::Serialize;
use std::borrow::Cow;

/// The largest number of faults that one answer lists; the rest is counted.
const MAX_LISTED: usize = 10_000;

/// A place in a body, as a JSON pointer (RFC 6901), or the name of a parameter. Rendered only when something is wrong.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The whole body.
    Root,
    /// A member of an object.
    Member(&'a Place<'a>, &'a str),
    /// An item of a list.
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(parent, name) if name.contains(['~', '/']) => {
                write!(f, "{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Member(parent, name) => write!(f, "{parent}/{name}"),
            Self::Item(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// The rule that a field breaks: a code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn wrong_type(expected: &'static str, found: &'static str) -> Self {
        Self::new("wrong_type", format!("must be {expected}, not {found}"))
    }

    pub(crate) fn required() -> Self {
        Self::new("required", "is required")
    }

    pub(crate) fn unknown() -> Self {
        Self::new("unknown_field", "is not known here")
    }
}

/// A fault with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldFault {
    path: String,
    code: &'static str,
    message: Cow<'static, str>,
}

/// The faults of one request.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    listed: Vec<FieldFault>,
    omitted: usize,
    unsupported: bool,
}

impl Faults {
    /// Notes a fault.
    pub(crate) fn add(&mut self, place: &Place<'_>, fault: Fault) {
        if self.listed.len() == MAX_LISTED {
            self.omitted += 1;
        } else {
            self.listed.push(FieldFault {
                path: place.to_string(),
                code: fault.code,
                message: fault.message,
            });
        }
    }

    /// Notes a fault of a parameter of the path or query, or of a header.
    pub(crate) fn add_parameter(&mut self, name: &str, fault: Fault) {
        self.add(&Place::Member(&Place::Root, name), fault);
    }

    /// Notes a documented field of the original service that this one does not support.
    pub(crate) fn add_unsupported(&mut self, place: &Place<'_>) {
        self.unsupported = true;
        self.add(
            place,
            Fault::new("unsupported_field", "is not supported by this service"),
        );
    }

    /// Keeps the value of a result and notes its fault.
    pub(crate) fn keep<T>(&mut self, place: &Place<'_>, result: Result<T, impl Into<Fault>>) -> Option<T> {
        result.map_err(|fault| self.add(place, fault.into())).ok()
    }

    /// Whether nothing was wrong.
    pub(crate) const fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Whether an unsupported field was among them.
    pub(crate) const fn has_unsupported(&self) -> bool {
        self.unsupported
    }

    /// The faults in the order in which they were found, and how many are left out.
    pub(crate) fn into_parts(self) -> (Vec<FieldFault>, usize) {
        (self.listed, self.omitted)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults, MAX_LISTED, Place};

    #[test]
    fn places_are_json_pointers() {
        let list = Place::Member(&Place::Root, "assignments");
        let item = Place::Item(&list, 3);
        assert_eq!(
            Place::Member(&item, "effective_to").to_string(),
            "/assignments/3/effective_to"
        );
        assert_eq!(Place::Member(&Place::Root, "a/b~c").to_string(), "/a~1b~0c");
        assert_eq!(Place::Root.to_string(), "");
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let mut faults = Faults::default();
        for _ in 0..MAX_LISTED + 5 {
            faults.add(&Place::Root, Fault::required());
        }
        let (listed, omitted) = faults.into_parts();
        assert_eq!((listed.len(), omitted), (MAX_LISTED, 5));
    }
}
