use crate::SqliteStore;
use crate::store::{begin_reading, begin_writing};
use canopy_domain::port::reader::{AccessReader, NodeReader};
use canopy_domain::port::writer::NodeWriter;
use canopy_domain::port::{Share, Store, StoreError, WriteTx};
use canopy_storage_sql::rows::CountRow;
use canopy_testkit::fixture::{Maker, World, json};
use diesel::connection::SimpleConnection;

/// Lets the file grow by this many pages and no more.
fn room(pages: u32) -> impl FnOnce(&mut diesel::SqliteConnection) -> Result<(), StoreError> + Send {
    use crate::statement::Statement;
    move |c| {
        let now = Statement::made("SELECT page_count FROM pragma_page_count").first(c, CountRow)?;
        let limit = now.unwrap() + u64::from(pages);
        c.batch_execute(&format!("PRAGMA max_page_count = {limit}")).unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_leaves_nothing_half_written() {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let development = &world.development;
    let id = development.environment.id;
    let mut bulky = world.maker.node(id, development.eu.id, "team", "bulky");
    bulky.metadata = json(&format!("{{\"a\":\"{}\"}}", "x".repeat(10_000)));
    let many: Vec<_> = (0..500)
        .map(|n| canopy_domain::Node {
            metadata: bulky.metadata.clone(),
            ..world.maker.node(id, development.eu.id, "team", &format!("n{n}"))
        })
        .collect();

    let mut unit = store
        .begin(&store.writer, Share::Installation, begin_writing)
        .await
        .unwrap();
    unit.insert_nodes(std::slice::from_ref(&bulky)).await.unwrap();
    unit.run(room(20)).await.unwrap();
    let full = unit.insert_nodes(&many).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    let after = unit.node(id, bulky.id).await;
    assert!(
        matches!(after, Err(StoreError::Internal(_))),
        "nothing follows on an error: {after:?}"
    );
    let commit = Box::new(unit).commit(world.maker.record(world.account.id, &[id])).await;
    assert!(matches!(commit, Err(StoreError::Internal(_))), "{commit:?}");

    // The same when it is the history that has no room left.
    let mut unit = store
        .begin(&store.writer, Share::Installation, begin_writing)
        .await
        .unwrap();
    unit.insert_nodes(std::slice::from_ref(&bulky)).await.unwrap();
    unit.run(room(0)).await.unwrap();
    let mut record = world.maker.record(world.account.id, &[id]);
    record.audit.resource_label = "x".repeat(1_000_000);
    let commit = Box::new(unit).commit(record).await;
    assert!(matches!(commit, Err(StoreError::Unavailable(_))), "{commit:?}");

    let mut unit = store
        .begin(&store.readers, Share::Installation, begin_reading)
        .await
        .unwrap();
    assert_eq!(unit.node(id, bulky.id).await.unwrap(), None);
    let before = unit.revision(id).await.unwrap().unwrap();
    drop(unit);
    let mut unit = store
        .begin(&store.writer, Share::Installation, begin_writing)
        .await
        .unwrap();
    unit.run(room(1_000_000)).await.unwrap();
    unit.insert_nodes(&many).await.unwrap();
    let taken = Box::new(unit)
        .commit(world.maker.record(world.account.id, &[id]))
        .await
        .unwrap();
    assert_eq!(taken, [(id, before.next())]);
    assert_eq!(store.read().await.unwrap().nodes(id).await.unwrap().len(), 505);
}
