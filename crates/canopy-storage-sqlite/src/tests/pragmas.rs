use crate::connection::Purpose;
use crate::statement::Statement;
use crate::{SqliteOptions, SqliteStore, Synchronous};
use canopy_storage_sql::rows::TextRow;

/// The setup of a connection of this purpose.
fn asked(store: &SqliteStore, purpose: Purpose, pragma: &str) -> String {
    let mut connection = store.connector.open(purpose).unwrap();
    let sql = format!("PRAGMA {pragma}");
    let said = Statement::made(&sql).first(&mut connection, TextRow);
    said.unwrap().unwrap()
}

#[test]
fn every_connection_is_set_up_alike() {
    let store = SqliteStore::temporary_with(SqliteOptions::default()).unwrap();
    for purpose in [Purpose::Reading, Purpose::Writing] {
        for (pragma, value) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("busy_timeout", "5000"),
            ("temp_store", "2"),
            ("wal_autocheckpoint", "16384"),
            ("trusted_schema", "0"),
        ] {
            assert_eq!(asked(&store, purpose, pragma), value, "{pragma}");
        }
    }
    assert_eq!(asked(&store, Purpose::Reading, "query_only"), "1");
    assert_eq!(asked(&store, Purpose::Writing, "query_only"), "0");
    let normal = SqliteOptions {
        synchronous: Synchronous::Normal,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::temporary_with(normal).unwrap();
    assert_eq!(asked(&store, Purpose::Writing, "synchronous"), "1");
}

#[test]
fn every_table_is_strict_and_every_key_of_environment_data_begins_with_the_environment() {
    let store = SqliteStore::temporary().unwrap();
    let mut connection = store.connector.open(Purpose::Reading).unwrap();
    let mut strings = |sql: &str| -> Vec<String> { Statement::made(sql).all(&mut connection, TextRow).unwrap() };
    let loose = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict \
                 AND name NOT LIKE 'sqlite_%' AND name <> '__diesel_schema_migrations'";
    assert_eq!(strings(loose), [""; 0]);
    let keys = "SELECT t.name || '.' || i.name || ' begins with ' || c.name FROM pragma_table_list AS t \
                JOIN pragma_index_list(t.name) AS i JOIN pragma_index_info(i.name) AS c ON c.seqno = 0 \
                WHERE t.schema = 'main' AND t.name IN ('permissions', 'roles', 'role_permissions', 'nodes', 'assignments', \
                'change_records') AND c.name <> 'environment_id' AND i.name <> 'nodes_by_slug'";
    assert_eq!(strings(keys), [""; 0]);
    let foreign = "SELECT t.name || ' refers by ' || k.\"from\" FROM pragma_table_list AS t \
                   JOIN pragma_foreign_key_list(t.name) AS k ON k.seq = 0 WHERE t.schema = 'main' \
                   AND t.name IN ('permissions', 'roles', 'role_permissions', 'nodes', 'assignments', 'change_records') \
                   AND k.\"from\" <> 'environment_id'";
    assert_eq!(strings(foreign), [""; 0]);
}
