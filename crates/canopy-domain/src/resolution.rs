//! Resolution of names that need not be unique.

/// The result of resolving a name that several things may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution<T> {
    /// No thing has the name.
    NotFound,
    /// Exactly this thing has it.
    Unique(T),
    /// Several things have it.
    Ambiguous,
}

impl<T: PartialEq> Resolution<T> {
    /// Resolves a name that all of these have; the same thing may come twice.
    pub fn of(things: impl IntoIterator<Item = T>) -> Self {
        let mut things = things.into_iter();
        match things.next() {
            None => Self::NotFound,
            Some(first) if things.any(|other| other != first) => Self::Ambiguous,
            Some(first) => Self::Unique(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Resolution;

    #[test]
    fn the_same_thing_twice_is_one() {
        assert_eq!(Resolution::<u8>::of([]), Resolution::NotFound);
        assert_eq!(Resolution::of([1]), Resolution::Unique(1));
        assert_eq!(Resolution::of([1, 1, 1]), Resolution::Unique(1));
        assert_eq!(Resolution::of([1, 1, 2]), Resolution::Ambiguous);
    }
}
