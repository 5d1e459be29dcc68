//! Units of work.

use crate::committed::Committed;
use crate::rule::ensure;
use crate::scope;
use crate::state::State;
use async_trait::async_trait;
use canopy_domain::changeset::ChangeSet;
use canopy_domain::port::writer::AnswerWriter;
use canopy_domain::port::{CommitRecord, KeptAnswer, LockScope, StoreError, Turn, WriteTx, apply_rows};
use canopy_domain::{EnvironmentId, Revision, Timestamp};
use canopy_store_kit::running_requests::RunningClaim;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// A unit of work: its state, and its kind. Readers are implemented once for both kinds.
#[derive(Debug)]
pub(crate) struct Unit<Kind> {
    pub state: State,
    kind: Kind,
}

/// A unit of work that only reads.
#[derive(Debug)]
pub(crate) struct Reading;

/// A unit of work that writes; holds the store's lock until it is dropped.
#[derive(Debug)]
pub(crate) struct Writing {
    committed: Arc<Committed>,
    /// The lock scope that a strict store enforces.
    scope: Option<LockScope>,
    /// The id that stored responses are counted by.
    tenant: Uuid,
    _claim: Option<RunningClaim>,
    _lock: Turn,
}

impl Writing {
    pub const fn new(
        committed: Arc<Committed>,
        scope: Option<LockScope>,
        tenant: Uuid,
        claim: Option<RunningClaim>,
        lock: Turn,
    ) -> Self {
        Self {
            committed,
            scope,
            tenant,
            _claim: claim,
            _lock: lock,
        }
    }
}

impl<Kind> Unit<Kind> {
    pub const fn new(state: State, kind: Kind) -> Self {
        Self { state, kind }
    }
}

#[async_trait]
impl AnswerWriter for Unit<Writing> {
    async fn keep_answer(&mut self, answer: &KeptAnswer, outdated: Timestamp) -> Result<u64, StoreError> {
        let answers = Arc::make_mut(&mut self.state.answers);
        answers.retain(|_, kept| kept.at >= outdated);
        answers.insert(answer.request, answer.clone());
        let tenant = self.kind.tenant;
        let sums = Arc::make_mut(&mut self.state.kept_bytes);
        forget_sums(sums, outdated);
        let sum = sums.entry((tenant, KeptAnswer::hour(answer.at))).or_default();
        *sum = sum.saturating_add(answer.bytes());
        self.kept_bytes(outdated).await
    }

    async fn kept_bytes(&mut self, since: Timestamp) -> Result<u64, StoreError> {
        let tenant = self.kind.tenant;
        let hours = (tenant, KeptAnswer::hour(since))..=(tenant, i64::MAX);
        Ok(self.state.kept_bytes.range(hours).map(|(_, bytes)| bytes).sum())
    }
}

/// Deletes the sums of hours before that of `outdated`.
pub(crate) fn forget_sums(sums: &mut BTreeMap<(Uuid, i64), u64>, outdated: Timestamp) {
    sums.retain(|(_, hour), _| *hour >= KeptAnswer::hour(outdated));
}

#[async_trait]
impl WriteTx for Unit<Writing> {
    async fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        apply_rows(self, changes).await
    }

    async fn commit(mut self: Box<Self>, record: CommitRecord) -> Result<Vec<(EnvironmentId, Revision)>, StoreError> {
        let touched: HashSet<EnvironmentId> = record.changes.iter().map(|change| change.environment).collect();
        ensure(
            touched.len() == record.changes.len(),
            "a commit names each environment once",
        )?;
        if let Some(scope) = &self.kind.scope {
            let before = self.kind.committed.get();
            touched
                .iter()
                .try_for_each(|environment| scope::check(&before, scope, *environment))?;
        }
        let mut revisions = Vec::with_capacity(record.changes.len());
        for touched in record.changes {
            let contents = self.state.contents_mut(touched.environment)?;
            Arc::make_mut(&mut contents.history).push(record.at, record.audit.id, touched.changes);
            revisions.push((touched.environment, contents.revision()));
        }
        let revision = revisions
            .iter()
            .find(|(environment, _)| Some(*environment) == record.audit.environment_id)
            .map(|(_, revision)| *revision);
        Arc::make_mut(&mut self.state.audit).add(record.audit, revision)?;
        let Self { state, kind } = *self;
        kind.committed.set(state);
        kind.committed.may_return().await;
        if kind.committed.loses_answers() {
            return Err(StoreError::Unavailable("the answer was lost".into()));
        }
        Ok(revisions)
    }
}
