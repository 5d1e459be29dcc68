use crate::connection::Purpose;
use crate::migration::{prepare, revert};
use crate::statement::Statement;
use crate::{OpenError, SqliteOptions, SqliteStore};
use canopy_testkit::fixture::{Maker, World};
use diesel::SqliteConnection;

/// The schema, table by table, as SQLite keeps it.
fn schema(connection: &mut SqliteConnection) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_\\_diesel%' ESCAPE '\\' ORDER BY name";
    Statement::new(sql)
        .all(connection, "sqlite_schema", |row| row.string(0))
        .unwrap()
}

#[tokio::test]
async fn up_down_and_up_again_leaves_the_same_schema_whatever_is_stored() {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let held = world.assignment(world.ada(), &world.development.reader, &world.development.eu);
    world.assign(&store, &[held]).await;
    let mut connection = store.opener.open(Purpose::Writing).unwrap();
    let before = schema(&mut connection);
    assert!(before.len() > 15);
    revert(&mut connection).unwrap();
    assert_eq!(schema(&mut connection), [""; 0]);
    prepare(&mut connection, true).unwrap();
    assert_eq!(schema(&mut connection), before);
}

#[test]
fn a_schema_of_a_newer_release_is_refused_and_one_that_is_older_unless_it_may_be_changed() {
    let store = SqliteStore::temporary().unwrap();
    let location = store.path().to_str().unwrap().to_owned();
    let keep = SqliteOptions {
        migrate: false,
        ..SqliteOptions::default()
    };
    assert!(SqliteStore::open(&location, keep).is_ok());

    let mut connection = store.opener.open(Purpose::Writing).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')";
    Statement::new(newer).execute(&mut connection).unwrap();
    for options in [keep, SqliteOptions::default()] {
        let refused = SqliteStore::open(&location, options).unwrap_err();
        assert!(
            matches!(&refused, OpenError::Newer { version } if version == "29991231000000"),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("a newer release"), "{refused}");
    }
    Statement::new("DELETE FROM __diesel_schema_migrations WHERE version = '29991231000000'")
        .execute(&mut connection)
        .unwrap();

    revert(&mut connection).unwrap();
    let refused = SqliteStore::open(&location, keep).unwrap_err();
    assert!(matches!(refused, OpenError::Older { .. }), "{refused:?}");
    SqliteStore::migrate(&location).unwrap();
    assert!(SqliteStore::open(&location, keep).is_ok());
}

#[test]
fn several_processes_may_start_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.sqlite");
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let location = path.to_str().unwrap().to_owned();
            std::thread::spawn(move || SqliteStore::open(&location, SqliteOptions::default()).map(|_| ()))
        })
        .collect();
    for start in starts {
        start.join().unwrap().unwrap();
    }
}
