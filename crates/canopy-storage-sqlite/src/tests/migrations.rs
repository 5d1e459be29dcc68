use crate::connection::Purpose;
use crate::migration::{prepare, revert};
use crate::statement::Statement;
use crate::{OpenError, SqliteOptions, SqliteStore};
use canopy_storage_sql::rows::TextRow;
use canopy_testkit::fixture::{Maker, World};
use diesel::SqliteConnection;

/// The schema, table by table, as SQLite keeps it.
fn schema(connection: &mut SqliteConnection) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_\\_diesel%' ESCAPE '\\' ORDER BY name";
    Statement::made(sql).all(connection, TextRow).unwrap()
}

#[tokio::test]
async fn up_down_and_up_again_leaves_the_same_schema_whatever_is_stored() {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let held = world.assignment(world.ada(), &world.development.reader, &world.development.eu);
    world.assign(&store, &[held]).await;
    let mut connection = store.connector.open(Purpose::Writing).unwrap();
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

    let mut connection = store.connector.open(Purpose::Writing).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')";
    Statement::made(newer).execute(&mut connection).unwrap();
    for options in [keep, SqliteOptions::default()] {
        let refused = SqliteStore::open(&location, options).unwrap_err();
        assert!(
            matches!(&refused, OpenError::Newer { version } if version == "29991231000000"),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("a newer release"), "{refused}");
    }
    Statement::made("DELETE FROM __diesel_schema_migrations WHERE version = '29991231000000'")
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

/// Everything that is folded, as a text.
fn folded(connection: &mut SqliteConnection) -> Vec<String> {
    let sql = "SELECT 'role ' || name || ' ' || name_folded FROM roles UNION ALL SELECT 'node ' || name || ' ' || name_folded FROM nodes \
               UNION ALL SELECT 'person ' || first_name || ' ' || last_name || ' ' || name_folded FROM identities \
               UNION ALL SELECT 'event ' || resource_label || ' ' || searched FROM audit_events \
               UNION ALL SELECT 'version ' || version FROM folding ORDER BY 1";
    Statement::made(sql).all(connection, TextRow).unwrap()
}

#[tokio::test]
async fn names_are_folded_again_and_those_that_become_the_same_are_reported() {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let mut connection = store.connector.open(Purpose::Writing).unwrap();
    let here = &world.development;
    let run = |connection: &mut SqliteConnection, sql: String| Statement::made(&sql).execute(connection).unwrap();
    let name = |table: &str, id: String, columns: &str| {
        format!("UPDATE {table} SET {columns} WHERE hex(id) = upper(replace('{id}', '-', ''))")
    };
    // As an earlier release left them: folded letter by letter.
    let (one, other) = (here.reader.id.to_string(), here.editor.id.to_string());
    let node = here.eu.id.to_string();
    for sql in [
        name("roles", one.clone(), "name = 'ΧΡΉΣΤΗΣ', name_folded = 'χρήστησ'"),
        name("roles", other.clone(), "name = 'Χρήστης', name_folded = 'χρήστης'"),
        name("nodes", node, "name = 'Straße', name_folded = 'straße'"),
        name(
            "identities",
            world.ada().to_string(),
            "first_name = 'ΣΑΣ', name_folded = 'σασ lovelace'",
        ),
        "UPDATE audit_events SET resource_label = 'Größe', searched = 'größe'".to_owned(),
        "UPDATE folding SET version = 0".to_owned(),
    ] {
        assert!(run(&mut connection, sql) > 0);
    }
    let before = folded(&mut connection);
    let refused = prepare(&mut connection, true).unwrap_err();
    assert!(matches!(refused, OpenError::RoleNames(_)), "{refused:?}");
    let text = refused.to_string();
    for part in [one.as_str(), other.as_str(), "ΧΡΉΣΤΗΣ", "Χρήστης", "rename"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(folded(&mut connection), before, "nothing was changed");
    let refused = prepare(&mut connection, false).unwrap_err();
    assert!(matches!(refused, OpenError::Older { .. }), "{refused:?}");

    run(
        &mut connection,
        name("roles", other, "name = 'Χρήστης 2', name_folded = 'χρήστης 2'"),
    );
    prepare(&mut connection, true).unwrap();
    let after = folded(&mut connection);
    for line in [
        "role ΧΡΉΣΤΗΣ χρήστησ",
        "role Χρήστης 2 χρήστησ 2",
        "node Straße strasse",
        "person ΣΑΣ Lovelace σασ lovelace",
        "version 1",
    ] {
        assert!(after.iter().any(|one| one == line), "{line}: {after:?}");
    }
    assert!(
        after
            .iter()
            .any(|one| one.starts_with("event Größe") && one.ends_with("grösse"))
    );
    prepare(&mut connection, true).unwrap();
    assert_eq!(folded(&mut connection), after);
}

#[tokio::test]
async fn instants_are_truncated_and_no_window_is_left_empty() {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let held = world.assignment(world.ada(), &world.development.reader, &world.development.eu);
    world.assign(&store, &[held]).await;
    let mut connection = store.connector.open(Purpose::Writing).unwrap();
    let up = include_str!("../../../../migrations/sqlite/2026-11-30-000500_millisecond_instants/up.sql");
    let mut truncated = |from: i64, to: &str| {
        use diesel::connection::SimpleConnection as _;
        let sql = format!(
            "UPDATE assignments SET effective_from = {from}, effective_to = {to}; UPDATE audit_events SET created_at = {from};"
        );
        connection.batch_execute(&sql).unwrap();
        connection.batch_execute(up).unwrap();
        let sql = "SELECT effective_from || ' ' || coalesce(effective_to, '-') || ' ' || \
                   (SELECT max(created_at) FROM audit_events) FROM assignments";
        let found = Statement::made(sql).first(&mut connection, TextRow);
        found.unwrap().unwrap()
    };
    assert_eq!(truncated(5_100, "5400"), "5000 6000 5000");
    assert_eq!(truncated(5_100, "7999"), "5000 7000 5000");
    assert_eq!(truncated(-1, "1000"), "-1000 1000 -1000");
    assert_eq!(truncated(5_000, "NULL"), "5000 - 5000");
}
