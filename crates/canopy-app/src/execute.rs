//! Writes as values: each use case that writes implements [`Write`], and [`App::execute`] executes it.
//!
//! A write plans: it reads facts and returns the rows that it changes, as a [`ChangeSet`], with its outcome and audit
//! entry. It has only a reader, so it cannot write outside its plan. Everything else is implemented here, once:
//! retries, locks, the transaction, the change records of decision indexes, the audit event, and the stored responses
//! of repeatable requests.

use crate::audit::described::Details;
use crate::audit_entry::AuditEntry;
use crate::idempotency::{Repeatable, RepetitionError, kept_since};
use crate::session::check_write;
use crate::{App, AppError, Call, Caller, unit_of_work};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::changeset::{AccessFacts, ChangeSet};
use canopy_domain::port::{
    Begun, CommitRecord, EnvironmentChanges, KeptAnswer, LockScope, ReadTx, StoreError, Unique, WriteTx,
};
use canopy_domain::setup::CatalogLimits;
use canopy_domain::{Expected, TenancyError, Tenant, Timestamp};
use std::borrow::Cow;
use uuid::Uuid;

/// A use case that writes.
#[async_trait]
pub trait Write: Send + Sync {
    /// The value that it returns.
    type Outcome: Clone + Send + Sync + 'static;

    /// The area that a scope of an API key must open. `None` if no key may make the call.
    const REQUIRES: Option<AreaScope>;

    /// Returns the lock scope, acquired before any read.
    fn lock(&self) -> LockScope;

    /// Refuses calls before any lock is taken. The default refuses none.
    ///
    /// # Errors
    /// Those of the use case.
    async fn admit(&self, app: &App, call: &Call) -> Result<(), AppError> {
        let _ = (app, call);
        Ok(())
    }

    /// Reads facts, judges the call, and returns everything that it writes.
    ///
    /// # Errors
    /// Those of the use case.
    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Self::Outcome>, AppError>;

    /// Returns the rule that a race for a unique value breaks. `None` to fail with the store's error.
    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        let _ = unique;
        None
    }

    /// Returns the outcome as it is stored for repetitions of the request: without secrets that are shown once.
    fn kept(outcome: &Self::Outcome) -> Cow<'_, Self::Outcome> {
        Cow::Borrowed(outcome)
    }
}

/// The mode of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Writes everything, or nothing.
    Commit,
    /// Judges everything, and writes nothing.
    DryRun,
}

impl Mode {
    /// Returns the mode for the `dry_run` flag of a call.
    pub const fn dry_run_if(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Commit }
    }
}

/// The result of planning a write.
#[derive(Debug)]
pub struct Plan<T> {
    /// The changed rows.
    pub(crate) changes: ChangeSet,
    /// Facts that the change records depend on.
    pub(crate) facts: AccessFacts,
    /// The value that the call returns.
    pub(crate) outcome: T,
    /// The audit entry; `None` if nothing changes.
    pub(crate) audit: Option<AuditEntry>,
}

impl<T> Plan<T> {
    /// Creates a plan that changes rows.
    pub(crate) fn new(changes: ChangeSet, outcome: T, audit: AuditEntry) -> Self {
        Self {
            changes,
            facts: AccessFacts::default(),
            outcome,
            audit: Some(audit),
        }
    }

    /// Creates a plan that changes nothing and writes no audit event.
    pub(crate) fn unchanged(outcome: T) -> Self {
        Self {
            changes: ChangeSet::default(),
            facts: AccessFacts::default(),
            outcome,
            audit: None,
        }
    }

    /// Adds facts that the change records depend on.
    pub(crate) fn with_facts(self, facts: AccessFacts) -> Self {
        Self { facts, ..self }
    }
}

/// A judged write that was not carried out.
#[derive(Debug, Clone)]
pub struct Preview<T> {
    /// The value that the call would return.
    pub outcome: T,
    /// The change records that it would write, by environment.
    pub changes: Vec<EnvironmentChanges>,
}

/// The instant, caller and ports of one attempt at a write.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    app: &'a App,
    call: &'a Call,
    now: Timestamp,
    mode: Mode,
}

impl Moment<'_> {
    /// Returns the instant of the write.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Mints an id.
    pub(crate) fn mint(&self) -> Uuid {
        self.app.mint()
    }

    /// Returns a generator of ids that may outlive the write.
    pub(crate) fn ids(&self) -> impl Fn() -> Uuid + Send + Sync + use<> {
        let app = self.app.clone();
        move || app.mint()
    }

    /// Returns thirty-two random bytes.
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.app.secret()
    }

    /// Returns the limits on catalogs.
    pub(crate) fn catalog_limits(&self) -> CatalogLimits {
        self.app.catalog_limits()
    }

    /// Returns the maximum number of environments of an application.
    pub(crate) fn max_environments(&self) -> usize {
        self.app.max_environments()
    }

    /// Returns the caller.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.call.caller
    }

    /// Returns the versions that the call expects.
    pub(crate) const fn expected(&self) -> Expected {
        self.call.expected
    }

    /// Collects the details of the audit event, if one will be stored.
    pub(crate) fn details(&self) -> Details {
        Details::wanted(self.mode == Mode::Commit)
    }
}

impl App {
    /// Executes a write in a mode.
    ///
    /// # Errors
    /// Those of the use case; [`AppError::IndexFull`]; [`AppError::Store`].
    pub async fn execute<W: Write>(&self, call: &Call, write: &W, mode: Mode) -> Result<W::Outcome, AppError> {
        admit(self, call, write).await?;
        match mode {
            Mode::Commit => self.write(call, write, None).await,
            Mode::DryRun => Ok(self.judge(call, write, mode).await?.outcome),
        }
    }

    /// Executes a write of a repeatable request. The response is stored in the transaction of the write.
    ///
    /// # Errors
    /// Like [`execute`](Self::execute); [`AppError::Repetition`] if the request was answered already or is running.
    pub async fn execute_once<W: Write>(
        &self,
        call: &Call,
        write: &W,
        repeatable: &Repeatable<W::Outcome>,
    ) -> Result<W::Outcome, AppError> {
        admit(self, call, write).await?;
        self.write(call, write, Some(repeatable)).await
    }

    /// Judges a write and returns the change records that it would write.
    ///
    /// # Errors
    /// Like [`execute`](Self::execute).
    pub async fn preview<W: Write>(&self, call: &Call, write: &W) -> Result<Preview<W::Outcome>, AppError> {
        admit(self, call, write).await?;
        let plan = self.judge(call, write, Mode::DryRun).await?;
        Ok(Preview {
            changes: access_changes(&plan)?,
            outcome: plan.outcome,
        })
    }

    async fn write<W: Write>(
        &self,
        call: &Call,
        write: &W,
        repeatable: Option<&Repeatable<W::Outcome>>,
    ) -> Result<W::Outcome, AppError> {
        unit_of_work::retry(|| async {
            let mut tx = self.begin(write.lock(), repeatable).await?;
            let now = self.now();
            let at = Moment {
                app: self,
                call,
                now,
                mode: Mode::Commit,
            };
            let plan = write.plan(tx.as_mut(), &at).await?;
            let changes = access_changes(&plan)?;
            let Some(audit) = plan.audit else {
                return Ok(plan.outcome);
            };
            let applied = tx.apply(&plan.changes).await;
            applied.map_err(|error| match error {
                StoreError::Duplicate(unique) => write.lost_race(unique).unwrap_or_else(|| error.into()),
                other => other.into(),
            })?;
            self.admit_index(tx.as_mut(), &changes).await?;
            if let Some(repeatable) = repeatable {
                let kept = keep(repeatable, W::kept(&plan.outcome).as_ref(), now)?;
                self.admit_kept(tx.keep_answer(&kept, kept_since(now)).await?)?;
            }
            let record = CommitRecord {
                at: now,
                changes,
                audit: self.audit(call, now, audit),
            };
            self.commit(tx, &plan.changes, record).await?;
            Ok(plan.outcome)
        })
        .await
    }

    async fn judge<W: Write>(&self, call: &Call, write: &W, mode: Mode) -> Result<Plan<W::Outcome>, AppError> {
        let scope = write.lock();
        let mut tx = self.read(scope.share()).await?;
        must_exist(tx.as_mut(), &scope).await?;
        let at = Moment {
            app: self,
            call,
            now: self.now(),
            mode,
        };
        write.plan(tx.as_mut(), &at).await
    }

    /// Opens the unit of work of a write. Ends with an error for a repetition of an answered call, and for an
    /// application or environment that was deleted after its path was resolved.
    async fn begin<T>(
        &self,
        scope: LockScope,
        repeatable: Option<&Repeatable<T>>,
    ) -> Result<Box<dyn WriteTx>, AppError> {
        let mut tx = self.open(scope.clone(), repeatable).await?;
        must_exist(tx.as_mut(), &scope).await?;
        Ok(tx)
    }

    async fn open<T>(
        &self,
        scope: LockScope,
        repeatable: Option<&Repeatable<T>>,
    ) -> Result<Box<dyn WriteTx>, AppError> {
        let Some(repeatable) = repeatable else {
            return Ok(self.store().write(scope).await?);
        };
        let since = kept_since(self.now());
        match self.store().write_once(scope, repeatable.request, since).await? {
            Begun::Fresh(mut tx) => {
                // The smallest response must fit; the size of this one is known at the commit.
                self.admit_kept(tx.kept_bytes(since).await?.saturating_add(KeptAnswer::OVERHEAD))?;
                Ok(tx)
            }
            Begun::Running => Err(RepetitionError::InProgress.into()),
            Begun::Answered(kept) if kept.body == repeatable.body => Err(RepetitionError::Answered(kept.answer).into()),
            Begun::Answered(_) => Err(RepetitionError::KeyReused.into()),
        }
    }
}

/// Refuses a caller that may not make the call, then calls that the write itself refuses before any lock.
async fn admit<W: Write>(app: &App, call: &Call, write: &W) -> Result<(), AppError> {
    check_write(&call.caller, W::REQUIRES)?;
    write.admit(app, call).await
}

/// Refuses a write within a deleted application or environment.
async fn must_exist(tx: &mut dyn ReadTx, scope: &LockScope) -> Result<(), AppError> {
    let absent = |tenant| AppError::Tenancy(TenancyError::NotFound(tenant));
    match scope {
        LockScope::Environment(place) => {
            tx.revision(place.environment)
                .await?
                .ok_or_else(|| absent(Tenant::Environment))?;
        }
        LockScope::Application(place) | LockScope::Memberships { application: place, .. } => {
            tx.application(place.application)
                .await?
                .ok_or_else(|| absent(Tenant::Application))?;
        }
        // Accounts are never deleted, and writes of whole applications or identities check by themselves.
        LockScope::Installation
        | LockScope::Account(_)
        | LockScope::WholeApplication(_)
        | LockScope::Identities { .. } => {}
    }
    Ok(())
}

/// Returns the change records of a plan.
fn access_changes<T>(plan: &Plan<T>) -> Result<Vec<EnvironmentChanges>, AppError> {
    let changes = plan.changes.access_changes(&plan.facts);
    changes.map_err(|missing| AppError::Broken(missing.0))
}

/// Returns the response for storage.
fn keep<T>(repeatable: &Repeatable<T>, outcome: &T, now: Timestamp) -> Result<KeptAnswer, AppError> {
    Ok(KeptAnswer {
        request: repeatable.request,
        body: repeatable.body,
        answer: (repeatable.encode)(outcome).ok_or(AppError::Broken("a response cannot be encoded for storage"))?,
        at: now,
    })
}
