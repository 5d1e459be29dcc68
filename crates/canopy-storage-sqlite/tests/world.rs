//! A small installation, written and read back.

use canopy_domain::Revision;
use canopy_domain::access::AccessIndex;
use canopy_domain::port::{LockScope, Store};
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::fixture::{Maker, World};

#[tokio::test]
async fn a_world_is_read_back() {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let development = &world.development;
    let held = world.assignment(world.ada(), &development.reader, &development.eu);
    world.assign(&store, std::slice::from_ref(&held)).await;

    let mut tx = store.read().await.unwrap();
    let id = development.environment.id;
    assert_eq!(
        tx.environment(id).await.unwrap().as_ref(),
        Some(&development.environment)
    );
    assert_eq!(tx.environment_place(id).await.unwrap(), Some(development.place));
    assert_eq!(tx.nodes(id).await.unwrap().len(), 5);
    assert_eq!(tx.assignments(id, &[held.id]).await.unwrap(), [held]);
    let snapshot = tx.snapshot(id).await.unwrap().unwrap();
    assert_eq!((snapshot.grants.len(), snapshot.subjects.len()), (1, 3));
    assert!(AccessIndex::build(&snapshot).is_ok());
    let changes = tx.changes_since(id, Revision::ZERO, 100).await.unwrap();
    assert_eq!(changes.last().map(|(revision, _)| *revision), Some(snapshot.revision));
    drop(tx);
    let tx = store.write(LockScope::Installation).await.unwrap();
    drop(tx);
    store.ping().await.unwrap();
}
