//! Change records.

use canopy_domain::access::Change;
use canopy_domain::audit::AuditEventId;
use canopy_domain::port::CommitTag;
use canopy_domain::{Revision, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// The changes of the revisions of an environment, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The number of revisions whose records are gone.
    pruned: u64,
    records: VecDeque<Record>,
}

/// The record of one revision.
#[derive(Debug, Clone)]
struct Record {
    at: Timestamp,
    tag: CommitTag,
    changes: Arc<[Change]>,
}

impl History {
    /// The newest revision.
    pub(crate) fn revision(&self) -> Revision {
        Revision::new(self.pruned + u64::try_from(self.records.len()).unwrap_or(u64::MAX))
    }

    /// Adds the changes of the next revision, which this commit makes.
    pub(crate) fn push(&mut self, at: Timestamp, commit: AuditEventId, changes: Arc<[Change]>) {
        let before = self.records.back().map_or(CommitTag::FIRST, |record| record.tag);
        self.records.push_back(Record {
            at,
            tag: before.after(commit),
            changes,
        });
    }

    /// The tags of the revisions from this one on, as far as their records are there.
    pub(crate) fn tags(&self, from: Revision) -> impl Iterator<Item = (Revision, CommitTag)> {
        let first = (self.pruned == 0).then_some((Revision::ZERO, CommitTag::FIRST));
        let revisions = (self.pruned + 1..).map(Revision::new);
        let others = revisions.zip(self.records.iter().map(|record| record.tag));
        first.into_iter().chain(others).filter(move |(at, _)| *at >= from)
    }

    /// The records there are after a revision.
    pub(crate) fn after(&self, revision: Revision) -> impl Iterator<Item = (Revision, &[Change])> {
        let gone = usize::try_from(revision.get().saturating_sub(self.pruned)).unwrap_or(usize::MAX);
        let revisions = (self.pruned + 1..).map(Revision::new);
        let records = self.records.iter().map(|record| record.changes.as_ref());
        revisions.zip(records).skip(gone)
    }

    /// Deletes the oldest records from before `outdated`, but never the newest.
    pub(crate) fn prune(&mut self, outdated: Timestamp) {
        while self.records.len() > 1 && self.records.front().is_some_and(|record| record.at < outdated) {
            self.records.pop_front();
            self.pruned += 1;
        }
    }
}
