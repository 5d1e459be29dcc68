//! Use cases whose store fails. The failing store is a mock in front of the real one.

use crate::calls;
use crate::calls::BulkMode;
use crate::world::{World, operator, refused, tenant};
use async_trait::async_trait;
use canopy_app::access::{Asker, evaluate};
use canopy_app::decisions::Consistency;
use canopy_app::{App, AppError};
use canopy_domain::Timestamp;
use canopy_domain::access::{Question, Target};
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{Begun, Installation, LockScope, ReadTx, RequestIdentity, Share, Store, StoreError, WriteTx};
use canopy_storage_memory::MemoryStore;
use canopy_testkit::{CountingIds, CountingSecrets, FixedClock};
use futures_util::FutureExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

mockall::mock! {
    Failing {}
    #[async_trait]
    impl Store for Failing {
        async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError>;
        async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError>;
        async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError>;
        fn installation(&self) -> &'static dyn Installation;
        async fn write_once(
            &self,
            scope: LockScope,
            request: RequestIdentity,
            since: Timestamp,
        ) -> Result<Begun, StoreError>;
        async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError>;
        async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError>;
        async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError>;
        async fn ping(&self) -> Result<(), StoreError>;
    }
}

/// Fails the first `failures` writes with what `error` makes, then hands over to the real store.
struct FailingFirst {
    mock: MockFailing,
    real: MemoryStore,
    left: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Store for FailingFirst {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        self.real.read_for(share).await
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        use std::sync::atomic::Ordering::SeqCst;
        if self
            .left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            return self.mock.write(scope).await;
        }
        self.real.write(scope).await
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.real.append_audit_events(events).await
    }

    fn installation(&self) -> &dyn Installation {
        self.real.installation()
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.real.write_once(scope, request, since).await
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        self.real.note_key_uses(uses).await
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.real.forget_answers(outdated).await
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.real.prune_history(outdated).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.mock.ping().await
    }
}

fn app(failures: usize, error: fn() -> StoreError) -> App {
    let mut mock = MockFailing::new();
    mock.expect_write().times(failures).returning(move |_| Err(error()));
    mock.expect_ping().returning(move || Err(error()));
    let store = FailingFirst {
        mock,
        real: MemoryStore::new(),
        left: failures.into(),
    };
    App::new(
        Arc::new(store),
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        CountingSecrets::default(),
    )
}

#[tokio::test]
async fn a_conflict_runs_the_whole_use_case_again() {
    let app = app(2, || StoreError::Conflict("serialization failure".into()));
    assert!(calls::create_account(&app, &operator(), &tenant("acme")).await.is_ok());
}

#[tokio::test]
async fn after_three_conflicts_the_caller_is_told() {
    let app = app(3, || StoreError::Conflict("serialization failure".into()));
    let error = refused(calls::create_account(&app, &operator(), &tenant("acme")).await);
    assert!(matches!(error, AppError::Store(StoreError::Conflict(_))));
}

#[tokio::test]
async fn other_failures_are_not_tried_again() {
    let busy = app(1, || StoreError::Busy("deadline".into()));
    let error = refused(calls::create_account(&busy, &operator(), &tenant("acme")).await);
    assert!(matches!(error, AppError::Store(StoreError::Busy(_))));
    assert!(busy.ping().await.is_err());
}

#[tokio::test]
async fn after_a_commit_whose_answer_was_lost_the_next_check_sees_what_took_place() {
    let store = MemoryStore::strict();
    let world = World::on(Arc::new(store.clone())).await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    assert!(world.denial(ada, "note.read", Target::AppWide).await.is_some());
    store.lose_answers(true);
    let items = [world.item(ada, viewer)];
    let (app, call, place) = (&world.app, &world.call, &world.place);
    let lost = calls::create_assignments(app, call, place, &items, BulkMode::SINGLE).await;
    assert!(matches!(refused(lost), AppError::Store(StoreError::Unavailable(_))));
    assert_eq!(world.denial(ada, "note.read", Target::AppWide).await, None);
}

/// Hands out readers whose state is that of their opening, but holds them back until a gate opens.
pub struct Gated {
    real: MemoryStore,
    pub gate: Semaphore,
    /// Number of calls that reached the gate.
    pub opened: AtomicUsize,
}

impl Gated {
    pub fn new(real: MemoryStore) -> Arc<Self> {
        Arc::new(Self {
            real,
            gate: Semaphore::new(0),
            opened: 0.into(),
        })
    }

    /// Lets readers through.
    pub fn open(&self) {
        self.gate.add_permits(1 << 20);
    }

    /// Holds readers up.
    pub fn close(&self) {
        self.gate.forget_permits(self.gate.available_permits());
    }

    /// A service on it.
    pub fn app(self: &Arc<Self>, world: &World) -> App {
        App::new(
            Arc::clone(self) as Arc<dyn Store>,
            Arc::new(world.clock.clone()),
            Arc::new(CountingIds::series(9)),
            CountingSecrets::default(),
        )
    }
}

#[async_trait]
impl Store for Gated {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        let tx = self.real.read_for(share).await;
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        tx
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        self.real.write(scope).await
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.real.append_audit_events(events).await
    }

    fn installation(&self) -> &dyn Installation {
        self.real.installation()
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.real.write_once(scope, request, since).await
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        self.real.note_key_uses(uses).await
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.real.forget_answers(outdated).await
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.real.prune_history(outdated).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.real.ping().await
    }
}

#[tokio::test]
async fn a_load_goes_on_when_the_one_who_asked_for_it_has_gone() {
    let real = MemoryStore::strict();
    let world = World::on(Arc::new(real.clone())).await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    let gated = Gated::new(real);
    let app = gated.app(&world);
    let question = Question {
        identity: ada,
        permission: "note.read",
        target: Target::AppWide,
    };
    let allowed = |answer: &evaluate::Evaluation<'_>| answer.decision.is_allowed();
    let ask = || evaluate::evaluate(&app, world.asker(), &question, None, Consistency::Strong, allowed);
    assert!(ask().now_or_never().is_none(), "it waits, and gives up");
    tokio::task::yield_now().await;
    assert_eq!(gated.opened.load(Ordering::SeqCst), 1);
    gated.open();
    assert!(ask().await.unwrap());
    assert_eq!(
        gated.opened.load(Ordering::SeqCst),
        1,
        "the next one finds what was loaded"
    );
}

#[tokio::test]
async fn a_snapshot_from_before_a_lost_answer_is_not_used_after_it() {
    let real = MemoryStore::strict();
    let world = World::on(Arc::new(real.clone())).await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let gated = Gated::new(real.clone());
    let app = gated.app(&world);
    let asked = tokio::spawn({
        let (app, environment) = (app.clone(), world.asked.clone());
        async move {
            let question = Question {
                identity: ada,
                permission: "note.read",
                target: Target::AppWide,
            };
            let allowed = |answer: &evaluate::Evaluation<'_>| answer.decision.is_allowed();
            let caller = crate::world::operator().caller;
            let asker = Asker {
                caller: &caller,
                environment: &environment,
            };
            evaluate::evaluate(&app, asker, &question, None, Consistency::Strong, allowed)
                .await
                .unwrap()
        }
    });
    // The question has read its snapshot and waits at the gate.
    tokio::task::yield_now().await;
    real.lose_answers(true);
    let lost = calls::create_assignments(
        &app,
        &world.call,
        &world.place,
        &[world.item(ada, viewer)],
        BulkMode::SINGLE,
    )
    .await;
    assert!(lost.is_err());
    gated.gate.add_permits(10);
    assert!(
        asked.await.unwrap(),
        "judged on what took place, not on the snapshot from before"
    );
}
