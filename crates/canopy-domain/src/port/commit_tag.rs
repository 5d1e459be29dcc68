//! Tags that distinguish two commits with the same revision.

use crate::audit::AuditEventId;

/// A number that identifies an environment's whole sequence of commits up to a revision.
///
/// After a failover that lost commits, the new primary assigns their revisions to other commits. Each commit mixes a
/// random number into the tag of the previous one, so the tags of two different sequences differ from the first
/// difference on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommitTag(u64);

impl CommitTag {
    /// The tag of an environment without commits.
    pub const FIRST: Self = Self(0);

    /// Returns the tag after one more commit, which this audit event records.
    #[must_use]
    pub const fn after(self, commit: AuditEventId) -> Self {
        Self(self.0.rotate_left(1) ^ Self::step(commit).cast_unsigned())
    }

    /// Returns the random number of a commit: the two halves of the id of its audit event, as a store holds it.
    ///
    /// A store computes the next tag as `rotate_left(tag, 1) XOR step`.
    pub const fn step(commit: AuditEventId) -> i64 {
        let (high, low) = commit.as_uuid().as_u64_pair();
        (high ^ low).cast_signed()
    }

    /// Reads a stored tag.
    pub const fn from_stored(number: i64) -> Self {
        Self(number.cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn commit(number: u128) -> AuditEventId {
        AuditEventId::new(Uuid::from_u128(number))
    }

    #[test]
    fn sequences_that_differ_once_differ_from_there_on() {
        let (mut one, mut other) = (CommitTag::FIRST.after(commit(1)), CommitTag::FIRST.after(commit(2)));
        for number in 3..200 {
            assert_ne!(one, other);
            one = one.after(commit(number));
            other = other.after(commit(number));
        }
        assert_eq!(CommitTag::from_stored(-1).after(commit(0)), CommitTag::from_stored(-1));
    }
}
