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
    /// At most so many, and no more once the metadata of those before have [so many](Self::MAX_BYTES) bytes.
    pub limit: u32,
}

impl AuditQuery {
    /// A listing ends with the event that brings the bytes of all metadata in it to so many. So it has one event at least, however
    /// large.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// The newest events, so many.
    pub fn newest(limit: u32) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The first instant of the listing.
    pub fn first(&self) -> Timestamp {
        self.from.unwrap_or(Timestamp::MIN)
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
}
