//! What a name leads to.

/// What a name leads to, where several things may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<T> {
    /// Nothing has the name.
    Nothing,
    /// This alone has it.
    One(T),
    /// Several things have it, so it names none of them.
    Several,
}

impl<T: PartialEq> Meaning<T> {
    /// What a name leads to that all of these have; the same thing may come twice.
    pub fn of(things: impl IntoIterator<Item = T>) -> Self {
        let mut things = things.into_iter();
        match things.next() {
            None => Self::Nothing,
            Some(first) if things.any(|other| other != first) => Self::Several,
            Some(first) => Self::One(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Meaning;

    #[test]
    fn the_same_thing_twice_is_one() {
        assert_eq!(Meaning::<u8>::of([]), Meaning::Nothing);
        assert_eq!(Meaning::of([1]), Meaning::One(1));
        assert_eq!(Meaning::of([1, 1, 1]), Meaning::One(1));
        assert_eq!(Meaning::of([1, 1, 2]), Meaning::Several);
    }
}
