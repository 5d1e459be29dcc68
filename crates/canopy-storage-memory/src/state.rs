//! The state of the store. Areas are shared between states until one of them writes.

use crate::api_key::{ApiKeys, Digests};
use crate::assignment::Assignments;
use crate::audit::AuditLog;
use crate::hierarchy::Tree;
use crate::identity::Directory;
use crate::permission::Permissions;
use crate::role::Roles;
use crate::rule::bug;
use crate::tenancy::Tenancy;
use canopy_domain::access::Change;
use canopy_domain::audit::AuditEventId;
use canopy_domain::port::{CommitTag, KeptAnswer, RequestIdentity, StoreError};
use canopy_domain::{EnvironmentId, Revision, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// One state of the store. A clone is cheap and unaffected by changes to the original.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Accounts, applications and environments.
    pub tenancy: Arc<Tenancy>,
    /// Identities and memberships.
    pub directory: Arc<Directory>,
    /// The rows of each environment.
    pub environments: Arc<BTreeMap<EnvironmentId, Contents>>,
    /// The key of each digest.
    pub key_digests: Arc<Digests>,
    /// Audit events.
    pub audit: Arc<AuditLog>,
    /// Stored responses of repeatable requests.
    pub answers: Arc<BTreeMap<RequestIdentity, KeptAnswer>>,
    /// Bytes of stored responses by tenant and hour.
    pub kept_bytes: Arc<BTreeMap<(Uuid, i64), u64>>,
    /// True if change records cannot be read.
    pub damaged_history: bool,
}

/// The rows of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// The catalog.
    pub permissions: Arc<Permissions>,
    /// Roles and their permissions.
    pub roles: Arc<Roles>,
    /// The tree of nodes.
    pub tree: Arc<Tree>,
    /// Assignments.
    pub assignments: Arc<Assignments>,
    /// API keys.
    pub api_keys: Arc<ApiKeys>,
    /// The changes of each revision.
    pub history: Arc<History>,
}

/// The changes of the revisions of an environment, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The number of revisions whose records were deleted.
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
    fn revision(&self) -> Revision {
        Revision::new(self.pruned + u64::try_from(self.records.len()).unwrap_or(u64::MAX))
    }

    /// Adds the changes of the next revision, which this commit creates.
    pub fn push(&mut self, at: Timestamp, commit: AuditEventId, changes: Arc<[Change]>) {
        let before = self.records.back().map_or(CommitTag::FIRST, |record| record.tag);
        self.records.push_back(Record {
            at,
            tag: before.after(commit),
            changes,
        });
    }

    /// Returns the tags from this revision on, as far as their records exist.
    pub fn tags(&self, from: Revision) -> impl Iterator<Item = (Revision, CommitTag)> {
        let first = (self.pruned == 0).then_some((Revision::ZERO, CommitTag::FIRST));
        let revisions = (self.pruned + 1..).map(Revision::new);
        let others = revisions.zip(self.records.iter().map(|record| record.tag));
        first.into_iter().chain(others).filter(move |(at, _)| *at >= from)
    }

    /// Returns the existing records after a revision.
    pub fn after(&self, revision: Revision) -> impl Iterator<Item = (Revision, &[Change])> {
        let gone = usize::try_from(revision.get().saturating_sub(self.pruned)).unwrap_or(usize::MAX);
        let revisions = (self.pruned + 1..).map(Revision::new);
        let records = self.records.iter().map(|record| record.changes.as_ref());
        revisions.zip(records).skip(gone)
    }

    /// Deletes the records from before `outdated`, but never the newest one.
    pub fn prune(&mut self, outdated: Timestamp) {
        while self.records.len() > 1 && self.records.front().is_some_and(|record| record.at < outdated) {
            self.records.pop_front();
            self.pruned += 1;
        }
    }
}

impl Contents {
    /// Returns the newest revision.
    pub fn revision(&self) -> Revision {
        self.history.revision()
    }
}

impl State {
    /// Returns the contents of an environment.
    pub fn contents(&self, environment: EnvironmentId) -> Option<&Contents> {
        self.environments.get(&environment)
    }

    /// Returns the contents of an environment for changes.
    pub fn contents_mut(&mut self, environment: EnvironmentId) -> Result<&mut Contents, StoreError> {
        if !self.environments.contains_key(&environment) {
            return Err(bug("the environment is not there"));
        }
        Arc::make_mut(&mut self.environments)
            .get_mut(&environment)
            .ok_or_else(|| bug("the environment is not there"))
    }
}
