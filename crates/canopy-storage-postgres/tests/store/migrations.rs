//! The schema: up, down and up again, several instances at once, and releases that do not fit.

use canopy_domain::port::{Store, WriteScope};
use canopy_storage_postgres::{OpenError, PgOptions, PgStore};
use canopy_testkit::fixture::{Maker, World};
use canopy_testkit::postgres::Database;
use std::collections::BTreeSet;
use std::path::Path;

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
    let scope = WriteScope::Environment(world.development.environment.id);
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
