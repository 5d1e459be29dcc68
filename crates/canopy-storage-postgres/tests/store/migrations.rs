//! The schema: up, down and up again, several instances at once, and releases that do not fit.

use canopy_domain::port::{LockScope, Store, StoreError};
use canopy_storage_postgres::{OpenError, PgOptions, PgStore};
use canopy_testkit::fixture::{Maker, World};
use canopy_testkit::postgres::Database;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

fn options(database: &Database) -> PgOptions {
    PgOptions::new(database.url())
}

/// Everything in the schema of a database, in words.
async fn shape(database: &Database) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT table_name, column_name, data_type, is_nullable, collation_name FROM information_schema.columns \
         WHERE table_schema = 'public' \
         UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public' \
         UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2, 3";
    database.query(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn up_down_and_up_again_gives_the_same_schema() {
    let database = Database::bare().await;
    let options = options(&database);
    let store = PgStore::open(&options).await.unwrap();
    World::build(&store, &Maker::default(), "acme").await;
    let first = shape(&database).await;
    store.close();
    PgStore::revert(&options).await.unwrap();
    let tables = database
        .query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        .await;
    assert_eq!(tables, [[Some("__diesel_schema_migrations".to_owned())]]);
    PgStore::migrate(&options).await.unwrap();
    assert_eq!(shape(&database).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_instances_may_start_at_once() {
    let database = Database::bare().await;
    let options = options(&database);
    let starts = (0..6).map(|_| {
        let options = options.clone();
        tokio::spawn(async move { PgStore::open(&options).await })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap().ping().await.unwrap();
    }
    let runs = database.query("SELECT count(*) FROM __diesel_schema_migrations").await;
    let stamps = folders("postgres").len().to_string();
    assert_eq!(runs, [[Some(stamps)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_changes_the_schema_for_ever_is_not_waited_for() {
    /// The number of the lock that whoever changes the schema holds.
    const LOCK: i64 = 0x6361_6e6f_7079;
    let database = Database::bare().await;
    let lock = database.hold(&format!("SELECT pg_advisory_lock({LOCK})")).await;
    let patient = options(&database);
    let impatient = PgOptions {
        migration_timeout: Duration::from_millis(200),
        ..patient.clone()
    };
    let both = async {
        [
            PgStore::open(&impatient).await.map(drop),
            PgStore::migrate(&impatient).await,
        ]
    };
    let answers = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    for refused in answers {
        assert!(
            matches!(&refused, Err(OpenError::Store(StoreError::Busy(_)))),
            "{refused:?}"
        );
    }
    // Who is patient has it as soon as the other is gone.
    let opening = tokio::spawn(async move { PgStore::open(&patient).await });
    let waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = \
         (SELECT oid FROM pg_database WHERE datname = current_database())";
    while database.query(waiting).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(lock);
    opening.await.unwrap().unwrap().ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_and_an_older_schema_are_refused_by_name() {
    let database = Database::bare().await;
    let options = options(&database);
    let strict = PgOptions {
        migrate: false,
        ..options.clone()
    };
    let refused = PgStore::open(&strict).await.unwrap_err();
    assert!(matches!(&refused, OpenError::Older { .. }), "{refused}");
    PgStore::open(&options).await.unwrap();
    PgStore::open(&strict).await.unwrap();
    database
        .execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
        .await;
    for options in [&options, &strict] {
        let refused = PgStore::open(options).await.unwrap_err();
        assert!(refused.to_string().contains("29990101000000"), "{refused}");
        assert!(matches!(refused, OpenError::Newer { .. }));
    }
    database
        .execute("DELETE FROM __diesel_schema_migrations WHERE version = '29990101000000'")
        .await;
    PgStore::open(&options).await.unwrap();
}

/// The usual user of a service: owns its database and may do nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_special_rights_is_enough() {
    let database = Database::bare().await;
    let url = database.url();
    let (server, name) = url.rsplit_once('/').unwrap();
    let name = name.split('?').next().unwrap();
    let (_, host) = server.rsplit_once('@').unwrap();
    let user = format!("plain_{name}");
    let make = format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'secret'; ALTER DATABASE {name} OWNER TO {user}; \
         ALTER SCHEMA public OWNER TO {user}"
    );
    database.execute(&make).await;
    let options = PgOptions::new(format!("postgres://{user}:secret@{host}/{name}"));
    let store = PgStore::open(&options).await.unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let scope = LockScope::Environment(world.development.environment.id);
    drop(store.write(scope).await.unwrap());
    store.close();
    let rid = format!("REASSIGN OWNED BY {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}");
    database.execute(&rid).await;
}

fn folders(store: &str) -> BTreeSet<String> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../migrations")
        .join(store);
    let entries = std::fs::read_dir(all).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn both_databases_have_the_same_migrations() {
    assert_eq!(folders("postgres"), folders("sqlite"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_among_the_data_of_environments_begins_with_the_environment() {
    let database = Database::new().await;
    // Unique and primary keys, indexes, and both ends of foreign keys between tables that have an environment; but for the
    // one small table that leads from a key's digest to its environment, and an index that is no key and says why.
    let sql = "WITH owned AS (SELECT attrelid, attnum FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid \
             WHERE a.attname = 'environment_id' AND c.relkind = 'r' AND c.relname NOT IN ('audit_events', 'api_key_digests')), \
         keys AS (SELECT i.indrelid AS relation, i.indexrelid::regclass::text AS name, i.indkey[0] AS leads \
             FROM pg_index AS i WHERE i.indexrelid::regclass::text <> 'nodes_by_slug' \
             UNION ALL SELECT conrelid, conname, conkey[1] FROM pg_constraint WHERE contype = 'f') \
         SELECT name FROM keys JOIN owned ON owned.attrelid = keys.relation WHERE leads <> owned.attnum";
    assert_eq!(database.query(sql).await, Vec::<Vec<Option<String>>>::new());
    let texts = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' \
         AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'";
    assert_eq!(database.query(texts).await, Vec::<Vec<Option<String>>>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_folded_again_and_those_that_become_the_same_are_reported() {
    let database = Database::bare().await;
    let options = options(&database);
    let store = PgStore::open(&options).await.unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    store.close();
    let here = &world.development;
    let (one, other) = (here.reader.id, here.editor.id);
    // As an earlier release left them: folded letter by letter.
    for sql in [
        format!("UPDATE roles SET name = 'ΧΡΉΣΤΗΣ', name_folded = 'χρήστησ' WHERE id = '{one}'"),
        format!("UPDATE roles SET name = 'Χρήστης', name_folded = 'χρήστης' WHERE id = '{other}'"),
        format!(
            "UPDATE nodes SET name = 'Straße', name_folded = 'straße' WHERE id = '{}'",
            here.eu.id
        ),
        format!(
            "UPDATE identities SET first_name = 'ΣΑΣ', name_folded = 'σασ' WHERE id = '{}'",
            world.ada()
        ),
        "UPDATE audit_events SET resource_label = 'Größe', searched = 'größe'".to_owned(),
        "UPDATE folding SET version = 0".to_owned(),
    ] {
        database.query(&sql).await;
    }
    let folded = "SELECT name || ' ' || name_folded FROM roles UNION ALL SELECT name || ' ' || name_folded FROM nodes \
         UNION ALL SELECT first_name || ' ' || name_folded FROM identities \
         UNION ALL SELECT resource_label || ' ' || searched FROM audit_events \
         UNION ALL SELECT 'version ' || version FROM folding ORDER BY 1";
    let before = database.query(folded).await;
    let refused = PgStore::open(&options).await.unwrap_err();
    assert!(matches!(refused, OpenError::RoleNames(_)), "{refused:?}");
    let text = refused.to_string();
    for part in [
        one.to_string().as_str(),
        other.to_string().as_str(),
        "ΧΡΉΣΤΗΣ",
        "Χρήστης",
        "rename",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(database.query(folded).await, before, "nothing was changed");

    let renamed = format!("UPDATE roles SET name = 'Χρήστης 2', name_folded = 'χρήστης 2' WHERE id = '{other}'");
    database.query(&renamed).await;
    PgStore::open(&options).await.unwrap().close();
    let after = database.query(folded).await;
    for line in [
        "ΧΡΉΣΤΗΣ χρήστησ",
        "Χρήστης 2 χρήστησ 2",
        "Straße strasse",
        "ΣΑΣ σασ lovelace",
        "version 1",
    ] {
        assert!(after.contains(&vec![Some(line.to_owned())]), "{line}: {after:?}");
    }
    PgStore::open(&options).await.unwrap().close();
    assert_eq!(database.query(folded).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_are_truncated_and_no_window_is_left_empty() {
    let database = Database::bare().await;
    let options = options(&database);
    let store = PgStore::open(&options).await.unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let held = world.assignment(world.ada(), &world.development.reader, &world.development.eu);
    world.assign(&store, &[held]).await;
    let up = include_str!("../../../../migrations/postgres/2026-11-30-000500_millisecond_instants/up.sql");
    for (from, to, expected) in [
        (
            "2026-01-01 00:00:00.0001Z",
            "2026-01-01 00:00:00.0004Z",
            "2026-01-01 00:00:00 2026-01-01 00:00:00.001",
        ),
        (
            "2026-01-01 00:00:00.0001Z",
            "2026-01-01 00:00:00.0029Z",
            "2026-01-01 00:00:00 2026-01-01 00:00:00.002",
        ),
        (
            "1960-01-01 00:00:00.0019Z",
            "2026-01-01 00:00:00Z",
            "1960-01-01 00:00:00.001 2026-01-01 00:00:00",
        ),
    ] {
        let given = format!("UPDATE assignments SET effective_from = '{from}', effective_to = '{to}'");
        database.query(&given).await;
        for statement in up.split(';').filter(|sql| sql.contains("UPDATE")) {
            database.query(statement).await;
        }
        let sql = "SELECT (effective_from AT TIME ZONE 'UTC')::text || ' ' || (effective_to AT TIME ZONE 'UTC')::text FROM assignments";
        assert_eq!(database.query(sql).await, [[Some(expected.to_owned())]]);
    }
    store.close();
}
