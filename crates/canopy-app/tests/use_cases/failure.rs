//! What becomes of a use case when the store fails. The failing store is a mock in front of the real one.

use crate::world::{operator, refused, tenant};
use async_trait::async_trait;
use canopy_app::{App, AppError, tenancy};
use canopy_domain::port::{ReadTx, Store, StoreError, WriteScope, WriteTx};
use canopy_storage_memory::MemoryStore;
use canopy_testkit::{CountingIds, FixedClock};
use std::sync::Arc;

mockall::mock! {
    Failing {}
    #[async_trait]
    impl Store for Failing {
        async fn read(&self) -> Result<Box<dyn ReadTx>, StoreError>;
        async fn write(&self, scope: WriteScope) -> Result<Box<dyn WriteTx>, StoreError>;
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
    async fn read(&self) -> Result<Box<dyn ReadTx>, StoreError> {
        self.real.read().await
    }

    async fn write(&self, scope: WriteScope) -> Result<Box<dyn WriteTx>, StoreError> {
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
    )
}

#[tokio::test]
async fn a_conflict_runs_the_whole_use_case_again() {
    let app = app(2, || StoreError::Conflict("serialization failure".into()));
    assert!(
        tenancy::create_account::run(&app, &operator(), &tenant("acme"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn after_three_conflicts_the_caller_is_told() {
    let app = app(3, || StoreError::Conflict("serialization failure".into()));
    let error = refused(tenancy::create_account::run(&app, &operator(), &tenant("acme")).await);
    assert!(matches!(error, AppError::Store(StoreError::Conflict(_))));
}

#[tokio::test]
async fn other_failures_are_not_tried_again() {
    let busy = app(1, || StoreError::Busy("deadline".into()));
    let error = refused(tenancy::create_account::run(&busy, &operator(), &tenant("acme")).await);
    assert!(matches!(error, AppError::Store(StoreError::Busy(_))));
    assert!(busy.ping().await.is_err());
}
