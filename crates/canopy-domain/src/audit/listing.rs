//! Reading the audit log: which events, and which part of them.

use super::{ActorType, AuditCategory, AuditEventId, AuditOutcome, AuditSeverity};
use crate::{EnvironmentId, SearchWords, Timestamp};
use uuid::Uuid;

/// A place in the log, which is ordered by instant and then id, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPosition {
    /// When the event happened.
    pub at: Timestamp,
    /// Its id.
    pub id: AuditEventId,
}

/// Which events of an account are listed. What is not given does not narrow the listing; texts are compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Only those of this instant or later.
    pub from: Option<Timestamp>,
    /// Only those before this instant.
    pub to: Option<Timestamp>,
    /// Only those of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only those of this action.
    pub action: Option<String>,
    /// Only those of this area.
    pub category: Option<AuditCategory>,
    /// Only those that deserve this much attention.
    pub severity: Option<AuditSeverity>,
    /// Only those with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Only those of this actor.
    pub actor_id: Option<String>,
    /// Only those of this kind of principal.
    pub actor_type: Option<ActorType>,
    /// Only those done to this kind of thing.
    pub resource_type: Option<String>,
    /// Only those done to this thing.
    pub resource_id: Option<String>,
    /// Only those of this request.
    pub correlation_id: Option<String>,
    /// Only those that the search finds in their [searched text](super::searched_text).
    pub search: Option<SearchWords>,
    /// Only those that come after this one in the listing, so are older.
    pub after: Option<AuditPosition>,
    /// Only this one and those that come before it in the listing, so are newer.
    pub down_to: Option<AuditPosition>,
    /// At most so many, and no more once the metadata of those before have [so many](Self::MAX_BYTES) bytes.
    pub limit: u32,
}

impl AuditQuery {
    /// A listing ends with the event that brings the bytes of all metadata in it to so many. So it has one event at least, however
    /// large.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// The largest number of events that a listing narrowed by what they hold looks at. One that would look at more ends
    /// there, whatever it found.
    pub const MAX_EXAMINED: u32 = 10_000;

    /// Returns true when events within its time, environment and places are left out, so that it may look at more than it lists.
    pub const fn is_narrowed(&self) -> bool {
        self.action.is_some()
            || self.category.is_some()
            || self.severity.is_some()
            || self.outcome.is_some()
            || self.actor_id.is_some()
            || self.actor_type.is_some()
            || self.resource_type.is_some()
            || self.resource_id.is_some()
            || self.correlation_id.is_some()
            || self.search.is_some()
    }

    /// The newest events, so many.
    pub fn newest(limit: u32) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The first place of the listing, inclusive: the tighter one of `down_to` and `from`.
    pub fn first(&self) -> AuditPosition {
        let from = AuditPosition {
            at: self.from.unwrap_or(Timestamp::MIN),
            id: AuditEventId::new(Uuid::nil()),
        };
        self.down_to.map_or(from, |down_to| down_to.max(from))
    }

    /// The place that everything listed comes after, exclusive: the tighter one of `after` and `to`.
    pub fn end(&self) -> AuditPosition {
        let at = |at, id| AuditPosition {
            at,
            id: AuditEventId::new(id),
        };
        let to = self
            .to
            .map_or_else(|| at(Timestamp::MAX, Uuid::max()), |to| at(to, Uuid::nil()));
        self.after.map_or(to, |after| after.min(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64, id: u128) -> AuditPosition {
        AuditPosition {
            at: Timestamp::from_millis(millis).unwrap(),
            id: AuditEventId::new(Uuid::from_u128(id)),
        }
    }

    #[test]
    fn the_end_is_the_tighter_bound() {
        let query = |to: Option<i64>, after| AuditQuery {
            to: to.map(|to| Timestamp::from_millis(to).unwrap()),
            after,
            ..AuditQuery::newest(1)
        };
        assert_eq!(query(None, None).end().at, Timestamp::MAX);
        assert_eq!(query(Some(7), None).end(), at(7, 0));
        assert_eq!(query(Some(7), Some(at(7, 1))).end(), at(7, 0));
        assert_eq!(query(Some(7), Some(at(6, 9))).end(), at(6, 9));
        assert_eq!(query(None, Some(at(8, 9))).end(), at(8, 9));
    }

    #[test]
    fn the_first_place_is_the_tighter_bound() {
        let first = |from: Option<i64>, down_to| {
            let from = from.map(|from| Timestamp::from_millis(from).unwrap());
            let newest = AuditQuery::newest(1);
            AuditQuery {
                from,
                down_to,
                ..newest
            }
            .first()
        };
        assert_eq!(first(None, None).at, Timestamp::MIN);
        assert_eq!(first(Some(7), None), at(7, 0));
        assert_eq!(first(Some(7), Some(at(7, 1))), at(7, 1));
        assert_eq!(first(Some(7), Some(at(6, 9))), at(7, 0));
        assert_eq!(first(None, Some(at(6, 9))), at(6, 9));
    }
}
