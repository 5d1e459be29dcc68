//! What a change asks of a value that need not be there.

/// A value that may be left alone, cleared or set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Edit<T> {
    /// It stays.
    #[default]
    Keep,
    /// There is none any more.
    Clear,
    /// It is this one.
    Set(T),
}

impl<T: Clone> Edit<T> {
    /// The value afterwards, when this is the one before.
    #[must_use]
    pub fn of(&self, before: Option<&T>) -> Option<T> {
        match self {
            Self::Keep => before.cloned(),
            Self::Clear => None,
            Self::Set(value) => Some(value.clone()),
        }
    }
}
