//! The catalog of permissions.

use crate::error::ensure;
use crate::packed::{Cell, IDS, Layout, Packed};
use crate::search::{Sql, words};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::reader::PermissionReader;
use canopy_domain::port::writer::PermissionWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{Category, Description, EnvironmentId, Permission, PermissionId, PermissionKey, PermissionSource};
use canopy_storage_sql::rows::role::{PermissionIdRow, PermissionRow};
use canopy_storage_sql::write::one_environment;
use canopy_storage_sql::{SqlText, sql};
use std::collections::{HashMap, HashSet};

const KEYS: Layout = Layout(&[("key", Cell::Text)]);
const ROWS: Layout = Layout(&[
    ("id", Cell::Id),
    ("key", Cell::Text),
    ("description", Cell::Text),
    ("category", Cell::Text),
    ("source", Cell::Text),
    ("search_text", Cell::Text),
    ("version", Cell::Number),
    ("created_at", Cell::Number),
]);

// With the environment in each row, for the sake of the UPDATE: see the rows of roles.
const CHANGES: Layout = Layout(&[
    ("environment_id", Cell::Id),
    ("id", Cell::Id),
    ("description", Cell::Text),
    ("category", Cell::Text),
    ("search_text", Cell::Text),
    ("version", Cell::Number),
]);

#[async_trait]
impl PermissionReader for UnitOfWork {
    async fn permissions(
        &mut self,
        environment: EnvironmentId,
        query: &PermissionQuery,
    ) -> Result<Vec<Permission>, StoreError> {
        let query = query.clone();
        self.run(move |c| {
            let mut sql = Sql::new(environment.as_bytes());
            sql.value(query.category.as_ref().map(Category::as_str));
            sql.value(query.source.map(PermissionSource::as_str));
            let words = words(query.search.as_ref(), &mut sql);
            let found: String = words
                .iter()
                .flat_map(|word| [" AND ".to_owned(), word.within("search_text")])
                .collect();
            let select = format!(
                "{} SELECT {PermissionRow} FROM permissions WHERE environment_id = ?1 AND (?2 IS NULL OR category = ?2) \
                 AND (?3 IS NULL OR source = ?3){found} ORDER BY key",
                sql.beginning()
            );
            sql.statement(&select).all(c, PermissionRow)
        })
        .await
    }

    async fn permission(
        &mut self,
        environment: EnvironmentId,
        id: PermissionId,
    ) -> Result<Option<Permission>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText =
                sql!("SELECT {PermissionRow} FROM permissions WHERE environment_id = ?1 AND id = ?2");
            let statement = Statement::new(&SELECT).bind(environment.as_bytes()).bind(id.as_bytes());
            statement.first(c, PermissionRow)
        })
        .await
    }

    async fn permission_ids(
        &mut self,
        environment: EnvironmentId,
        keys: &[PermissionKey],
    ) -> Result<HashMap<PermissionKey, PermissionId>, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT p.id, p.key FROM given CROSS JOIN permissions AS p \
                 ON p.environment_id = ?3 AND p.key = given.key",
            KEYS.given()
        );
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = Packed::new(KEYS, keys, |row, key| row.text(key.as_str()));
        self.run(move |c| {
            let statement = keys.statement(&SELECT).bind(environment.as_bytes());
            statement.all(c, PermissionIdRow)
        })
        .await
    }
}

#[async_trait]
impl PermissionWriter for UnitOfWork {
    async fn insert_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "{} INSERT INTO permissions (environment_id, id, key, description, category, source, search_text, \
                 version, created_at) SELECT ?3, id, key, description, category, source, search_text, version, \
                 created_at FROM given",
            ROWS.given()
        );
        static TAKEN: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN permissions AS p \
                 ON p.environment_id = ?3 AND p.key = given.key)",
            ROWS.given()
        );
        let Some(environment) = one_environment(permissions.iter().map(|p| p.environment_id))? else {
            return Ok(());
        };
        let keys: HashSet<&PermissionKey> = permissions.iter().map(|p| &p.key).collect();
        let repeated = keys.len() < permissions.len();
        let rows = Packed::new(ROWS, permissions, |row, p| {
            row.id(p.id.as_bytes());
            row.text(p.key.as_str());
            row.optional_text(p.description.as_ref().map(Description::as_str));
            row.optional_text(p.category.as_ref().map(Category::as_str));
            row.text(p.source.as_str());
            row.text(&p.searched_text());
            row.number(p.version.get());
            row.at(p.created_at);
        });
        let count = permissions.len();
        self.run(move |c| {
            let Some(stored) = rows.statement(&INSERT).bind(environment.as_bytes()).attempt(c)? else {
                let taken = repeated || rows.statement(&TAKEN).bind(environment.as_bytes()).holds(c)?;
                return Err(StoreError::Duplicate(if taken {
                    Unique::PermissionKey
                } else {
                    Unique::Id
                }));
            };
            ensure(stored == count, "a permission was not stored")
        })
        .await
    }

    async fn update_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "{} UPDATE permissions SET description = given.description, category = given.category, \
                 search_text = given.search_text, version = given.version \
                 FROM given WHERE permissions.environment_id = given.environment_id AND permissions.id = given.id",
            CHANGES.given()
        );
        if one_environment(permissions.iter().map(|p| p.environment_id))?.is_none() {
            return Ok(());
        }
        let rows = Packed::new(CHANGES, permissions, |row, p| {
            row.id(p.environment_id.as_bytes());
            row.id(p.id.as_bytes());
            row.optional_text(p.description.as_ref().map(Description::as_str));
            row.optional_text(p.category.as_ref().map(Category::as_str));
            row.text(&p.searched_text());
            row.number(p.version.get());
        });
        let distinct: HashSet<PermissionId> = permissions.iter().map(|p| p.id).collect();
        let (count, distinct) = (permissions.len(), distinct.len());
        self.run(move |c| {
            let changed = rows.statement(&UPDATE).execute(c)?;
            ensure(
                changed == count && distinct == count,
                "a changed permission is not there, or given twice",
            )
        })
        .await
    }

    async fn delete_permissions(&mut self, environment: EnvironmentId, ids: &[PermissionId]) -> Result<(), StoreError> {
        static UNBIND: SqlText = sql!(
            "{} DELETE FROM role_permissions WHERE environment_id = ?3 \
                 AND permission_id IN (SELECT id FROM given)",
            IDS.given()
        );
        static DELETE: SqlText = sql!(
            "{} DELETE FROM permissions WHERE environment_id = ?3 AND id IN (SELECT id FROM given)",
            IDS.given()
        );
        if ids.is_empty() {
            return Ok(());
        }
        let ids = Packed::ids(ids.iter().map(PermissionId::as_bytes));
        self.run(move |c| {
            ids.statement(&UNBIND).bind(environment.as_bytes()).execute(c)?;
            ids.statement(&DELETE).bind(environment.as_bytes()).execute(c)?;
            Ok(())
        })
        .await
    }
}
