//! The store: a pool of connections to one database, and the feed of what changes in it.

use crate::api_key;
use crate::assignment::Effort;
use crate::audit;
use crate::feed::{self, Teller};
use crate::kept_answer::{self, Known};
use crate::lock;
use crate::migration::{self, OpenError};
use crate::options::PgOptions;
use crate::pool::{Lease, Lender, Opener, Watch};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, Head, Installation, News, ReadTx, RequestIdentity, Share, SharedStore, Store, StoreError, WriteScope,
    WriteTx,
};
use canopy_domain::{EnvironmentId, Revision, Slug, Timestamp};
use core::convert::Infallible;
use futures_util::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;
use uuid::Uuid;

/// A store of everything in one PostgreSQL database, which several instances may use at once. Clones are the same store.
///
/// Its connections are opened and driven by the tokio runtime on which [`PgStore::open`] was called, whoever uses them:
/// it must be a runtime with threads of its own that lives as long as the store. Units of work may run anywhere.
#[derive(Debug, Clone)]
pub struct PgStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    opener: Arc<Opener>,
    runtime: Handle,
    /// Whether the rows of every list are taken for many.
    has_long_lists: AtomicBool,
    lender: Arc<Lender>,
    teller: Teller,
    watch: Arc<Watch>,
}

impl PgStore {
    /// Opens a database. Where `options.migrate` says so, brings its schema up to date first; several instances may do
    /// this at once.
    ///
    /// # Errors
    /// [`OpenError`], among others when a newer release has changed the schema.
    pub async fn open(options: &PgOptions) -> Result<Self, OpenError> {
        let runtime = Handle::try_current().map_err(|error| OpenError::Runtime(Box::new(error)))?;
        let watch = Arc::new(Watch::default());
        let opener = Arc::new(Opener::new(options, Arc::clone(&watch))?);
        migration::prepare(&opener, options.migrate).await?;
        let lender = Arc::new(Lender::new(options, Arc::clone(&opener), runtime.clone())?);
        let teller = Teller::start(Arc::clone(&lender), &runtime);
        let inner = Inner {
            opener,
            runtime,
            has_long_lists: AtomicBool::new(false),
            lender,
            teller,
            watch,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Brings the schema of a database up to date, and does no more.
    ///
    /// # Errors
    /// As [`PgStore::open`].
    pub async fn migrate(options: &PgOptions) -> Result<(), OpenError> {
        let opener = Opener::new(options, Arc::default())?;
        migration::prepare(&opener, true).await
    }

    /// Takes back every migration, and with them everything that is stored.
    ///
    /// # Errors
    /// As [`PgStore::open`].
    #[doc(hidden)]
    pub async fn revert(options: &PgOptions) -> Result<(), OpenError> {
        let opener = Opener::new(options, Arc::default())?;
        migration::revert(&opener).await
    }

    /// Closes the pool: whoever asks for a unit of work from now on finds the store unavailable.
    pub fn close(&self) {
        self.inner.lender.close();
    }

    /// From now on, takes the rows of every list for many, to test the way they are read then.
    #[doc(hidden)]
    pub fn have_long_lists(&self) {
        self.inner.has_long_lists.store(true, Ordering::Relaxed);
    }

    fn effort(&self) -> Effort {
        if self.inner.has_long_lists.load(Ordering::Relaxed) {
            Effort { few: 0, part: u64::MAX }
        } else {
            Effort::default()
        }
    }

    /// How many statements the store has begun, to show that their number does not depend on the size of a call.
    #[doc(hidden)]
    pub fn statement_count(&self) -> u64 {
        self.inner.watch.count()
    }

    /// The texts of the statements begun since the last time this was called; the first time, none.
    #[doc(hidden)]
    pub fn statement_texts(&self) -> Vec<String> {
        self.inner.watch.texts()
    }

    /// Opens a transaction. A connection that turns out to be dead is replaced once: nothing has been done on it yet, and
    /// after a restart of the server all that wait are dead.
    async fn begin(&self, how: Begin<'_>) -> Result<UnitOfWork, StoreError> {
        let lease = match self.try_begin(how).await {
            Err(StoreError::Unavailable(cause)) => {
                tracing::debug!(%cause, "a connection was lost; trying a new one");
                self.inner.lender.discard_idle();
                self.try_begin(how).await?
            }
            began => began?,
        };
        Ok(UnitOfWork::new(lease, self.effort()))
    }

    pub(crate) async fn begin_reading(&self) -> Result<UnitOfWork, StoreError> {
        self.begin(Begin::Reading).await
    }

    /// Opens a transaction that writes what no scope covers.
    pub(crate) async fn begin_unlocked(&self) -> Result<UnitOfWork, StoreError> {
        self.begin(Begin::Writing(&WriteScope::Installation)).await
    }

    async fn try_begin(&self, how: Begin<'_>) -> Result<Lease, StoreError> {
        let lease = self.inner.lender.lend().await?;
        let link = lease.link()?;
        let began = match how {
            Begin::Reading => link.command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await,
            Begin::Unlocked => link.command(BEGIN_WRITING).await,
            Begin::Writing(scope) => {
                let begin = link.command(BEGIN_WRITING);
                future::try_join(begin, lock::take(link, scope)).await.map(|_| ())
            }
        };
        match began {
            Ok(()) => Ok(lease),
            Err(error @ StoreError::Unavailable(_)) => {
                lease.discard();
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks something outside a transaction, and once more on a new connection where the first turns out to be dead.
    async fn ask(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        match self.try_ask(environments).await {
            Err(StoreError::Unavailable(_)) => {
                self.inner.lender.discard_idle();
                self.try_ask(environments).await
            }
            answer => answer,
        }
    }

    async fn try_ask(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        const SELECT: &str = "SELECT environments.id, environments.revision, applications.slug, environments.slug \
             FROM environments JOIN applications ON applications.id = environments.application_id \
             WHERE environments.id = ANY ($1)";
        let lease = self.inner.lender.lend().await?;
        let ids: Vec<Uuid> = environments.iter().map(EnvironmentId::as_uuid).collect();
        let heads = Statement::new(SELECT)
            .bind(ids)
            .all(lease.link_for_one()?, "environments", |row| {
                Ok(Head {
                    environment: row.id(0)?,
                    revision: Revision::new(row.count(1)?),
                    application_slug: row.text(2, Slug::parse)?,
                    slug: row.text(3, Slug::parse)?,
                })
            });
        match heads.await {
            Err(error @ StoreError::Unavailable(_)) => {
                lease.discard();
                Err(error)
            }
            Err(error) => Err(error),
            Ok(heads) => {
                lease.give_back();
                Ok(heads)
            }
        }
    }
}

const BEGIN_WRITING: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

#[derive(Clone, Copy)]
enum Begin<'a> {
    Reading,
    /// Locks are taken later.
    Unlocked,
    Writing(&'a WriteScope),
}

#[async_trait]
impl Store for PgStore {
    async fn read_for(&self, _share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        Ok(Box::new(self.begin_reading().await?))
    }

    async fn write(&self, scope: WriteScope) -> Result<Box<dyn WriteTx>, StoreError> {
        Ok(Box::new(self.begin(Begin::Writing(&scope)).await?))
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let lease = self.inner.lender.lend().await?;
        if let Err(error) = api_key::note_uses(uses).execute(lease.link_for_one()?).await {
            lease.discard();
            Err(error)
        } else {
            lease.give_back();
            Ok(())
        }
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let lease = self.inner.lender.lend().await?;
        match kept_answer::forget(outdated).execute(lease.link_for_one()?).await {
            Err(error) => {
                lease.discard();
                Err(error)
            }
            Ok(forgotten) => {
                lease.give_back();
                Ok(forgotten >= kept_answer::BATCH)
            }
        }
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let lease = self.inner.lender.lend().await?;
        match crate::access::prune(outdated).execute(lease.link_for_one()?).await {
            Err(error) => {
                lease.discard();
                Err(error)
            }
            Ok(pruned) => {
                lease.give_back();
                Ok(pruned > 0)
            }
        }
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        // One statement is a transaction of its own.
        let lease = self.inner.lender.lend().await?;
        match audit::append(events).execute(lease.link_for_one()?).await {
            Err(error @ StoreError::Unavailable(_)) => {
                lease.discard();
                Err(error)
            }
            Err(error) => Err(error),
            Ok(_) => {
                lease.give_back();
                Ok(())
            }
        }
    }

    fn installation(&self) -> &dyn Installation {
        self
    }

    async fn write_once(
        &self,
        scope: WriteScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        // A transaction that was dropped a moment ago holds its claim until it is rolled back: then it is asked once more.
        for is_last in [false, true] {
            let unit = self.begin(Begin::Unlocked).await?;
            match kept_answer::claim(unit.link()?, request, since).await? {
                Known::Nothing => {
                    lock::take(unit.link()?, &scope).await?;
                    return Ok(Begun::Fresh(Box::new(unit)));
                }
                Known::Answer(answer) => {
                    drop(unit);
                    self.inner.lender.cleaned().await;
                    return Ok(Begun::Answered(answer));
                }
                Known::Running if is_last => break,
                Known::Running => {
                    drop(unit);
                    self.inner.lender.cleaned().await;
                }
            }
        }
        Ok(Begun::Running)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.ask(&[]).await.map(|_| ())
    }

    fn shared(&self) -> Option<&dyn SharedStore> {
        Some(self)
    }
}

#[async_trait]
impl SharedStore for PgStore {
    async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        self.ask(environments).await
    }

    fn announce(&self, revisions: &[(EnvironmentId, Revision)]) {
        self.inner.teller.tell(revisions);
    }

    async fn listen(&self, hear: &(dyn Fn(News) + Send + Sync)) -> Result<Infallible, StoreError> {
        feed::listen(Arc::clone(&self.inner.opener), &self.inner.runtime, hear).await
    }
}
