//! Two services on one store, which receive each other's commits only through the store.

use crate::calls;
use crate::calls::BulkMode;
use crate::world::World;
use async_trait::async_trait;
use canopy_app::access::evaluate;
use canopy_app::decisions::Consistency;
use canopy_app::{App, AppError};
use canopy_domain::access::{Question, Target};
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, FeedEvent, Head, Installation, LockScope, ReadTx, RequestIdentity, Share, SharedStore, Store, StoreError,
    WriteTx,
};
use canopy_domain::{EnvironmentId, IdentityId, Revision, TenancyError, Tenant, Timestamp};
use canopy_storage_memory::MemoryStore;
use canopy_testkit::{CountingIds, CountingSecrets};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast;

/// The in-memory store, shared: announcements go by a channel, and the line can be cut.
pub struct Shared {
    store: MemoryStore,
    /// The store that has taken the place of the first one.
    promoted: OnceLock<MemoryStore>,
    pub events: broadcast::Sender<FeedEvent>,
    pub is_deaf: AtomicBool,
    pub is_unreachable: AtomicBool,
    /// Number of opened read units of work.
    pub reads: AtomicUsize,
    /// The difference by which returned heads are too low, like those of a database that lost commits.
    pub lost: AtomicU64,
    reading: AtomicUsize,
    /// Maximum number of concurrent reads.
    pub most_reading: AtomicUsize,
}

impl Shared {
    pub fn new() -> Arc<Self> {
        let (events, _) = broadcast::channel(64);
        Arc::new(Self {
            store: MemoryStore::strict(),
            promoted: OnceLock::new(),
            events,
            is_deaf: false.into(),
            is_unreachable: false.into(),
            reads: 0.into(),
            lost: 0.into(),
            reading: 0.into(),
            most_reading: 0.into(),
        })
    }

    fn primary(&self) -> &MemoryStore {
        self.promoted.get().unwrap_or(&self.store)
    }

    fn reach(&self) -> Result<(), StoreError> {
        if self.is_unreachable.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("cut".into()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Store for Shared {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        self.reach()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        let reading = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_reading.fetch_max(reading, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let tx = self.primary().read_for(share).await;
        self.reading.fetch_sub(1, Ordering::SeqCst);
        tx
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        self.reach()?;
        self.primary().write(scope).await
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.reach()?;
        self.primary().write_once(scope, request, since).await
    }

    fn shared(&self) -> Option<&dyn SharedStore> {
        Some(self)
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        self.primary().note_key_uses(uses).await
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.primary().forget_answers(outdated).await
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.primary().prune_history(outdated).await
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.reach()?;
        self.primary().append_audit_events(events).await
    }

    fn installation(&self) -> &dyn Installation {
        self.primary().installation()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reach()
    }
}

#[async_trait]
impl SharedStore for Shared {
    async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        self.reach()?;
        let mut tx = self.primary().read().await?;
        let mut heads = Vec::new();
        for id in environments {
            let Some(environment) = tx.environment(*id).await? else {
                continue;
            };
            let application = tx.application(environment.application_id).await?;
            let revision = tx.revision(*id).await?.expect("the revision of an environment");
            heads.push(Head {
                environment: *id,
                revision: Revision::new(revision.get() - self.lost.load(Ordering::SeqCst)),
                tag: tx.commit_tags(*id, revision, 1).await?.first().map(|(_, tag)| *tag),
                application_slug: application.expect("the application of an environment").slug,
                slug: environment.slug,
            });
        }
        Ok(heads)
    }

    fn publish(&self, revisions: &[(EnvironmentId, Revision)]) {
        if !self.is_deaf.load(Ordering::SeqCst) {
            // Nobody may be listening.
            self.events.send(FeedEvent::Revisions(revisions.to_vec())).ok();
        }
    }

    async fn listen(
        &self,
        receive: &(dyn Fn(FeedEvent) + Send + Sync),
    ) -> Result<core::convert::Infallible, StoreError> {
        let mut events = self.events.subscribe();
        receive(FeedEvent::Connected);
        loop {
            match events.recv().await {
                Ok(one) => receive(one),
                Err(error) => return Err(StoreError::Unavailable(error.into())),
            }
        }
    }
}

/// Another service on the same store.
pub fn second(world: &World) -> App {
    service(world, 9)
}

/// A service on the same store, with ids of its own.
fn service(world: &World, series: u16) -> App {
    App::new(
        Arc::clone(&world.store),
        Arc::new(world.clock.clone()),
        Arc::new(CountingIds::series(series)),
        CountingSecrets::default(),
    )
}

pub async fn may_read(
    app: &App,
    world: &World,
    identity: IdentityId,
    consistency: Consistency,
) -> Result<bool, AppError> {
    let question = Question {
        identity,
        permission: "note.read",
        target: Target::Node(world.root),
    };
    evaluate::evaluate(app, world.asker(), &question, None, consistency, |answer| {
        answer.decision.is_allowed()
    })
    .await
}

#[tokio::test]
async fn a_strong_check_sees_what_the_other_process_just_committed() {
    let world = World::on(Shared::new()).await;
    let (viewer, _) = world.bootstrap().await;
    let other = second(&world);
    let ada = world.members(&["ada"]).await[0];
    for _ in 0..20 {
        assert!(!may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
        let made = crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
        assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
        calls::remove_assignment(&other, &world.call, &world.place, made[0].id)
            .await
            .unwrap();
        assert!(!may_read(&world.app, &world, ada, Consistency::Strong).await.unwrap());
    }
}

/// As after a rolling upgrade, when a newer release has written the record.
#[tokio::test]
async fn a_change_record_that_cannot_be_read_is_made_up_for_by_the_snapshot() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    let (viewer, _) = world.bootstrap().await;
    let other = second(&world);
    let ada = world.members(&["ada"]).await[0];
    assert!(!may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    shared.store.damage_history(true);
    let made = crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    // Each further one is met in the same way, and the instance is ready all the time.
    calls::remove_assignment(&world.app, &world.call, &world.place, made[0].id)
        .await
        .unwrap();
    assert!(!may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    assert!(other.decisions().can_answer().is_ok());
    assert_eq!(other.decisions().census().failing, 0);
    // The path by which lost news are made up for ends in the same place.
    crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    other.decisions().catch_up().await.unwrap();
    assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    shared.store.damage_history(false);
    assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
}

#[tokio::test]
async fn an_eventual_check_follows_the_news_and_is_refused_without_it() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    let (viewer, _) = world.bootstrap().await;
    let other = second(&world);
    let ada = world.members(&["ada"]).await[0];
    let silent = may_read(&other, &world, ada, Consistency::Eventual).await.unwrap_err();
    assert!(
        matches!(silent, AppError::Store(StoreError::Unavailable(_))),
        "nothing was ever heard"
    );

    let follower = tokio::spawn({
        let other = other.clone();
        async move { other.decisions().follow().await }
    });
    while shared.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    let made = crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    while !may_read(&other, &world, ada, Consistency::Eventual).await.unwrap() {
        tokio::task::yield_now().await;
    }

    shared.is_deaf.store(true, Ordering::SeqCst);
    calls::remove_assignment(&world.app, &world.call, &world.place, made[0].id)
        .await
        .unwrap();
    assert!(
        may_read(&other, &world, ada, Consistency::Eventual).await.unwrap(),
        "nothing told it"
    );
    assert!(
        !may_read(&other, &world, ada, Consistency::Strong).await.unwrap(),
        "the fence does not rely on news"
    );
    assert!(
        !may_read(&other, &world, ada, Consistency::Eventual).await.unwrap(),
        "what a fence found stays known"
    );
    follower.abort();
}

#[tokio::test]
async fn news_that_got_lost_are_made_up_for() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    let (viewer, _) = world.bootstrap().await;
    let other = second(&world);
    let ada = world.members(&["ada"]).await[0];
    let line = {
        let other = other.clone();
        tokio::spawn(async move { other.decisions().follow().await })
    };
    while shared.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    other.decisions().catch_up().await.unwrap();
    assert!(!may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    shared.is_deaf.store(true, Ordering::SeqCst);
    crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    assert!(
        !may_read(&other, &world, ada, Consistency::Eventual).await.unwrap(),
        "nothing told it"
    );
    other.decisions().catch_up().await.unwrap();
    assert!(may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    shared.is_unreachable.store(true, Ordering::SeqCst);
    assert!(other.decisions().catch_up().await.is_err());
    line.abort();
}

#[tokio::test]
async fn what_was_announced_while_the_line_was_down_is_known_once_it_is_up_again() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    let (viewer, _) = world.bootstrap().await;
    let other = second(&world);
    let ada = world.members(&["ada"]).await[0];
    let follow = || {
        let other = other.clone();
        tokio::spawn(async move { other.decisions().follow().await })
    };
    let line = follow();
    while shared.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    line.abort();
    assert!(line.await.unwrap_err().is_cancelled());
    crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    assert!(
        !may_read(&other, &world, ada, Consistency::Eventual).await.unwrap(),
        "nothing told it"
    );
    let line = follow();
    while shared.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    line.abort();
}

#[tokio::test]
async fn without_the_store_a_strong_check_is_refused_rather_than_stale() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    may_read(&world.app, &world, ada, Consistency::Strong).await.unwrap();
    shared.is_unreachable.store(true, Ordering::SeqCst);
    let refused = may_read(&world.app, &world, ada, Consistency::Strong)
        .await
        .unwrap_err();
    assert!(matches!(refused, AppError::Store(StoreError::Unavailable(_))));
    shared.is_unreachable.store(false, Ordering::SeqCst);
    assert!(may_read(&world.app, &world, ada, Consistency::Strong).await.is_ok());
}

/// Starts a second process that follows the change feed, with an identity that may read.
pub async fn followed(shared: &Arc<Shared>) -> (World, App, IdentityId, tokio::task::JoinHandle<Result<(), AppError>>) {
    let world = World::on(Arc::clone(shared) as Arc<dyn Store>).await;
    let (viewer, _) = world.bootstrap().await;
    let other = second(&world);
    let ada = world.members(&["ada"]).await[0];
    crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    let follower = tokio::spawn({
        let other = other.clone();
        async move { other.decisions().follow().await }
    });
    while shared.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    (world, other, ada, follower)
}

/// `production`, which is the default environment, stays; the world's is `development`.
#[tokio::test]
async fn no_process_answers_for_an_environment_that_another_one_deleted() {
    let shared = Shared::new();
    let (world, other, ada, follower) = followed(&shared).await;
    let slugs = ("acme", "default", "development");
    let find = || crate::world::environment(&other, &world.call.caller, slugs);
    assert_eq!(find().await.unwrap(), world.place);
    assert!(may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());

    calls::delete_environment(&world.app, &world.call, &world.place)
        .await
        .unwrap();
    let is_gone = |error: &AppError| matches!(error, AppError::Tenancy(TenancyError::NotFound(Tenant::Environment)));
    for app in [&world.app, &other] {
        let refused = may_read(app, &world, ada, Consistency::Strong).await.unwrap_err();
        assert!(is_gone(&refused), "{refused}");
    }
    assert!(is_gone(&find().await.unwrap_err()), "a path that was looked up before");
    // The news come in their own time.
    while let Ok(allowed) = may_read(&other, &world, ada, Consistency::Eventual).await {
        assert!(allowed);
        tokio::task::yield_now().await;
    }
    follower.abort();
}

#[tokio::test]
async fn a_deletion_of_which_no_news_came_is_found_out() {
    let shared = Shared::new();
    let (world, other, ada, follower) = followed(&shared).await;
    assert!(may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    shared.is_deaf.store(true, Ordering::SeqCst);
    calls::delete_environment(&world.app, &world.call, &world.place)
        .await
        .unwrap();
    let before = may_read(&other, &world, ada, Consistency::Eventual).await;
    assert!(before.unwrap(), "nothing has told of it yet");
    other.decisions().catch_up().await.unwrap();
    let refused = may_read(&other, &world, ada, Consistency::Eventual).await.unwrap_err();
    assert!(
        matches!(refused, AppError::Tenancy(TenancyError::NotFound(Tenant::Environment))),
        "{refused}"
    );
    assert_eq!(other.decisions().census().indexes, 0, "nothing is left of it");
    follower.abort();
}

/// Nobody could answer, if it were waited for.
#[tokio::test]
async fn a_revision_that_nobody_committed_is_not_waited_for() {
    let shared = Shared::new();
    let (world, other, ada, follower) = followed(&shared).await;
    assert!(may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    let far = Revision::new(1_000_000);
    let before = shared.reads.load(Ordering::SeqCst);
    shared
        .events
        .send(FeedEvent::Revisions(vec![(world.place.environment, far)]))
        .unwrap();
    while shared.reads.load(Ordering::SeqCst) == before {
        tokio::task::yield_now().await;
        assert!(may_read(&other, &world, ada, Consistency::Eventual).await.unwrap());
    }
    assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    follower.abort();
}

#[tokio::test]
async fn an_index_that_is_ahead_of_the_store_is_read_again() {
    let shared = Shared::new();
    let (world, other, ada, follower) = followed(&shared).await;
    assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    let before = shared.reads.load(Ordering::SeqCst);
    assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    assert_eq!(shared.reads.load(Ordering::SeqCst), before, "nothing but the fence");
    shared.lost.store(1, Ordering::SeqCst);
    assert!(may_read(&other, &world, ada, Consistency::Strong).await.unwrap());
    assert!(shared.reads.load(Ordering::SeqCst) > before);
    follower.abort();
}

/// As when a standby is promoted that lacks the last commit: its revision goes to another one.
#[tokio::test]
async fn a_revision_that_another_commit_took_is_told_by_its_tag() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    let (viewer, _) = world.bootstrap().await;
    let members = world.members(&["ada", "bob"]).await;
    let (ada, bob) = (members[0], members[1]);
    let of_ada = crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    let standby = shared.store.fork();
    let other = second(&world);
    crate::world::done(&world.assign(&[world.item(bob, viewer)]).await);
    for app in [&world.app, &other] {
        assert!(may_read(app, &world, bob, Consistency::Strong).await.unwrap());
    }
    let revision = async || {
        let heads = shared.heads(&[world.place.environment]).await.unwrap();
        heads.first().unwrap().revision
    };
    let lost = revision().await;

    assert!(shared.promoted.set(standby).is_ok());
    let third = service(&world, 8);
    calls::remove_assignment(&third, &world.call, &world.place, of_ada[0].id)
        .await
        .unwrap();
    assert_eq!(revision().await, lost, "the number is used again");
    let app = &world.app;
    assert!(!may_read(app, &world, bob, Consistency::Strong).await.unwrap());
    assert!(!may_read(app, &world, ada, Consistency::Strong).await.unwrap());

    // Whoever asks later does not continue its state with the commits after that one.
    let item = world.item(ada, viewer);
    let made = calls::create_assignments(&third, &world.call, &world.place, &[item], BulkMode::SINGLE).await;
    crate::world::done(&made.unwrap());
    assert_eq!(revision().await, lost.next());
    for app in [app, &other, &third] {
        assert!(!may_read(app, &world, bob, Consistency::Strong).await.unwrap());
        assert!(may_read(app, &world, ada, Consistency::Strong).await.unwrap());
    }
}
