//! Resolution of names that need not be unique.

/// The result of resolving a name that several entities may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution<T> {
    /// No entity has the name.
    NotFound,
    /// Exactly one entity has the name.
    Unique(T),
    /// Several entities have the name.
    Ambiguous,
}

impl<T: PartialEq> Resolution<T> {
    /// Resolves a name that all given entities have; repetitions count once.
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
