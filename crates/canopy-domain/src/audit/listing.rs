//! Selection and pagination of the audit log.

use super::{ActorType, AuditCategory, AuditEventId, AuditOutcome, AuditSeverity};
use crate::{EnvironmentId, SearchWords, Timestamp};
use uuid::Uuid;

/// A position in the log, which is ordered by instant and then id, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPosition {
    /// The time of the event.
    pub at: Timestamp,
    /// Its id.
    pub id: AuditEventId,
}

/// Selects events of an account. Absent filters match all; texts are compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Only those at this instant or later.
    pub from: Option<Timestamp>,
    /// Only those before this instant.
    pub to: Option<Timestamp>,
    /// Only those of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only those of this action.
    pub action: Option<String>,
    /// Only those of this area.
    pub category: Option<AuditCategory>,
    /// Only those of this severity.
    pub severity: Option<AuditSeverity>,
    /// Only those with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Only those of this actor.
    pub actor_id: Option<String>,
    /// Only those of this kind of principal.
    pub actor_type: Option<ActorType>,
    /// Only those of this resource type.
    pub resource_type: Option<String>,
    /// Only those of this resource.
    pub resource_id: Option<String>,
    /// Only those of this request.
    pub correlation_id: Option<String>,
    /// Only those whose [searched text](super::searched_text) matches the search.
    pub search: Option<SearchWords>,
    /// Only those after this one in the list, that is, older ones.
    pub after: Option<AuditPosition>,
    /// Only this one and those before it in the list, that is, newer ones.
    pub down_to: Option<AuditPosition>,
    /// Maximum number of events. The page also ends once the metadata of its events exceed
    /// [`MAX_BYTES`](Self::MAX_BYTES).
    pub limit: u32,
}

impl AuditQuery {
    /// Maximum size of the metadata of a page, in bytes. A page ends with the event that reaches it, so it has at least
    /// one event, however large.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// Maximum number of events that a filtered page examines. A page that would examine more ends there, whatever it
    /// found.
    pub const MAX_EXAMINED: u32 = 10_000;

    /// Returns true if the query filters events within its time, environment and positions, so that it may examine more
    /// than it lists.
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

    /// Selects the newest `limit` events.
    pub fn newest(limit: u32) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Returns the first position of the list, inclusive: the tighter one of `down_to` and `from`.
    pub fn first(&self) -> AuditPosition {
        let from = AuditPosition {
            at: self.from.unwrap_or(Timestamp::MIN),
            id: AuditEventId::new(Uuid::nil()),
        };
        self.down_to.map_or(from, |down_to| down_to.max(from))
    }

    /// Returns the position before the list, exclusive: the tighter one of `after` and `to`.
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
