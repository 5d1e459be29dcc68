//! Writes as values: each use case that writes implements [`Write`], and [`App::execute`] carries it out.
//!
//! A write plans: it reads facts and returns the rows that it changes, as a [`ChangeSet`], with its outcome and audit entry.
//! It sees a reader alone, so it cannot write beside its plan. Everything else happens here, once: retries, locks, the
//! transaction, the change records of decision indexes, the audit event, and the answers kept for repeated requests.

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

    /// The area that a scope of an API key must open. `None` where no key may make the call.
    const REQUIRES: Option<AreaScope>;

    /// The locks that are taken before anything is read.
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

    /// The rule of the use case that a race for a unique value breaks. `None` where the call fails as the store says.
    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        let _ = unique;
        None
    }

    /// The outcome as it is kept for repetitions of the request: without what may be told once only.
    fn kept(outcome: &Self::Outcome) -> Cow<'_, Self::Outcome> {
        Cow::Borrowed(outcome)
    }
}

/// How far a write is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything is written, or nothing.
    Commit,
    /// Everything is judged, nothing is written.
    DryRun,
}

impl Mode {
    /// The mode of a call that says whether it is a dry run.
    pub const fn dry_run_if(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Commit }
    }
}

/// Everything that a write does.
#[derive(Debug)]
pub struct Plan<T> {
    /// The rows that change.
    pub(crate) changes: ChangeSet,
    /// Facts that the change records depend on.
    pub(crate) facts: AccessFacts,
    /// The value that the call returns.
    pub(crate) outcome: T,
    /// What the audit event says; `None` where nothing changes.
    pub(crate) audit: Option<AuditEntry>,
}

impl<T> Plan<T> {
    /// A plan that changes rows.
    pub(crate) fn new(changes: ChangeSet, outcome: T, audit: AuditEntry) -> Self {
        Self {
            changes,
            facts: AccessFacts::default(),
            outcome,
            audit: Some(audit),
        }
    }

    /// A plan that changes nothing and leaves no trace.
    pub(crate) fn unchanged(outcome: T) -> Self {
        Self {
            changes: ChangeSet::default(),
            facts: AccessFacts::default(),
            outcome,
            audit: None,
        }
    }

    /// The plan with facts that its change records depend on.
    pub(crate) fn with_facts(self, facts: AccessFacts) -> Self {
        Self { facts, ..self }
    }
}

/// A judged write that was not carried out.
#[derive(Debug, Clone)]
pub struct Preview<T> {
    /// The value that the call would return.
    pub outcome: T,
    /// The change records that it would leave, by environment.
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
    /// The instant of the write.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// A fresh id.
    pub(crate) fn mint(&self) -> Uuid {
        self.app.mint()
    }

    /// Gives fresh ids, also where it outlives the write.
    pub(crate) fn ids(&self) -> impl Fn() -> Uuid + Send + Sync + use<> {
        let app = self.app.clone();
        move || app.mint()
    }

    /// Thirty-two bytes that nobody can guess.
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.app.secret()
    }

    /// The largest size of a catalog.
    pub(crate) fn catalog_limits(&self) -> CatalogLimits {
        self.app.catalog_limits()
    }

    /// The largest number of environments of an application.
    pub(crate) fn max_environments(&self) -> usize {
        self.app.max_environments()
    }

    /// The caller.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.call.caller
    }

    /// The versions that the call expects.
    pub(crate) const fn expected(&self) -> Expected {
        self.call.expected
    }

    /// Collects the details of the audit event, where one will be stored.
    pub(crate) fn details(&self) -> Details {
        Details::wanted(self.mode == Mode::Commit)
    }
}

impl App {
    /// Carries out a write, or judges it.
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

    /// Carries out a write for a request that may be repeated. The answer is kept in the transaction of the write.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); [`AppError::Repetition`] where the request was answered, or is being answered.
    pub async fn execute_once<W: Write>(
        &self,
        call: &Call,
        write: &W,
        repeatable: &Repeatable<W::Outcome>,
    ) -> Result<W::Outcome, AppError> {
        admit(self, call, write).await?;
        self.write(call, write, Some(repeatable)).await
    }

    /// Judges a write and returns the change records that it would leave.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
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

    /// Opens the unit of work of a write. A repetition of a call that was answered before ends here, and so does a call about
    /// an application or environment that was deleted after its path was looked up.
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
                // The smallest answer must fit; what this one takes is known at the commit.
                self.admit_kept(tx.kept_bytes(since).await?.saturating_add(KeptAnswer::OVERHEAD))?;
                Ok(tx)
            }
            Begun::Running => Err(RepetitionError::InProgress.into()),
            Begun::Answered(kept) if kept.body == repeatable.body => Err(RepetitionError::Answered(kept.answer).into()),
            Begun::Answered(_) => Err(RepetitionError::KeyReused.into()),
        }
    }
}

/// Refuses a caller that may not make the call, then what the write itself refuses before any lock is taken.
async fn admit<W: Write>(app: &App, call: &Call, write: &W) -> Result<(), AppError> {
    check_write(&call.caller, W::REQUIRES)?;
    write.admit(app, call).await
}

/// Refuses a write within an application or environment that is gone.
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
        // Accounts stay, and what looks at a whole application or at identities finds them itself.
        LockScope::Installation
        | LockScope::Account(_)
        | LockScope::WholeApplication(_)
        | LockScope::Identities { .. } => {}
    }
    Ok(())
}

/// The change records of a plan.
fn access_changes<T>(plan: &Plan<T>) -> Result<Vec<EnvironmentChanges>, AppError> {
    let changes = plan.changes.access_changes(&plan.facts);
    changes.map_err(|missing| AppError::Broken(missing.0))
}

/// The answer as it is kept.
fn keep<T>(repeatable: &Repeatable<T>, outcome: &T, now: Timestamp) -> Result<KeptAnswer, AppError> {
    Ok(KeptAnswer {
        request: repeatable.request,
        body: repeatable.body,
        answer: (repeatable.encode)(outcome).ok_or(AppError::Broken("an answer cannot be kept"))?,
        at: now,
    })
}
