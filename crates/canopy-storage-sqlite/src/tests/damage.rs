//! Change records that this release cannot read.

use crate::SqliteStore;
use crate::statement::{Statement, Value};
use crate::store::begin_writing;
use canopy_domain::Revision;
use canopy_domain::port::reader::AccessReader;
use canopy_domain::port::{Share, Store, StoreError};
use canopy_testkit::fixture::{Maker, World};

#[tokio::test]
async fn a_change_record_of_an_unknown_format_and_a_damaged_one_are_told_as_corrupt() {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let id = world.development.environment.id;
    for bytes in [
        &[2_u8, 0, 0, 0, 0][..],
        &[],
        &[1, 255, 255, 255, 255],
        &[1, 1, 0, 0, 0, 99],
    ] {
        let mut unit = store
            .begin(&store.writer, Share::Installation, begin_writing)
            .await
            .unwrap();
        let damage = bytes.to_vec();
        unit.run(move |c| {
            const UPDATE: &str = "UPDATE change_records SET changes = ?1 WHERE environment_id = ?2";
            let statement = Statement::made(UPDATE).bind(Value::Bytes(&damage)).bind(id.as_bytes());
            statement.execute(c).map(|_| ())
        })
        .await
        .unwrap();
        let read = unit.changes_since(id, Revision::ZERO, 9).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{bytes:?}: {read:?}");
    }
    // What the snapshot says does not depend on them.
    let mut tx = store.write(world.within(id)).await.unwrap();
    assert!(!tx.snapshot(id).await.unwrap().unwrap().nodes.is_empty());
}
