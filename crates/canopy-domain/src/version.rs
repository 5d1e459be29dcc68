//! Counters that order changes: the version of one resource and the revision of one environment.

use core::fmt;

/// The version of a resource: 1 at its creation, one more with each change. Sent as `ETag`, compared with `If-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// The version of a resource that was just created.
    pub const FIRST: Self = Self(1);

    /// Creates a version from its number; `None` for zero.
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// Returns the number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The expected versions of a resource in a change: the value of `If-Match` (RFC 9110, 13.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// Any version: no header, or `*`.
    #[default]
    Any,
    /// One of these versions.
    OneOf(ExpectedVersions),
}

/// A few versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExpectedVersions([Option<Version>; Self::MAX]);

impl ExpectedVersions {
    /// Maximum number of versions.
    pub const MAX: usize = 16;

    /// Creates a set of versions; `None` for more than [`MAX`](Self::MAX). An empty set accepts no version.
    pub fn new(versions: impl IntoIterator<Item = Version>) -> Option<Self> {
        let mut all = [None; Self::MAX];
        let mut places = all.iter_mut();
        for version in versions {
            *places.next()? = Some(version);
        }
        Some(Self(all))
    }
}

impl Expected {
    /// Returns whether a resource at this version is as expected.
    pub fn accepts(self, current: Version) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(ExpectedVersions(versions)) => versions.contains(&Some(current)),
        }
    }
}

impl From<Version> for Expected {
    fn from(version: Version) -> Self {
        let mut versions = [None; ExpectedVersions::MAX];
        if let Some(first) = versions.first_mut() {
            *first = Some(version);
        }
        Self::OneOf(ExpectedVersions(versions))
    }
}

/// The position of a change in the history of one environment. Commit order is revision order; the creation is revision 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

impl Revision {
    /// Before the first change.
    pub const ZERO: Self = Self(0);
    /// After every change: the published revision of a deleted environment.
    pub const END: Self = Self(u64::MAX);

    /// Creates a revision from its number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, ExpectedVersions, Version};

    fn version(number: u32) -> Version {
        Version::new(number).unwrap()
    }

    #[test]
    fn an_expectation_accepts_what_it_names() {
        let all = |numbers: core::ops::Range<u32>| ExpectedVersions::new(numbers.map(version)).map(Expected::OneOf);
        assert!(Expected::Any.accepts(version(7)));
        assert!(Expected::from(version(7)).accepts(version(7)));
        assert!(!Expected::from(version(7)).accepts(version(8)));
        assert!(all(1..17).unwrap().accepts(version(16)));
        assert!(!all(1..17).unwrap().accepts(version(17)));
        assert_eq!(all(1..18), None);
        assert!(!all(1..1).unwrap().accepts(version(1)));
    }
}
