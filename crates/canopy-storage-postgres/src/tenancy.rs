//! Accounts, applications and environments.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use crate::value::{Value, distinct};
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::TenancyReader;
use canopy_domain::port::writer::TenancyWriter;
use canopy_domain::{
    Account, AccountId, Application, ApplicationId, Environment, EnvironmentId, EnvironmentRef, HierarchySchema, Slug,
};
use canopy_storage_sql::rows::tenancy::{AccountRow, ApplicationRow, EnvironmentRefRow, EnvironmentRow};
use canopy_storage_sql::schema_text;
use canopy_storage_sql::{SqlText, sql};
use futures_util::future;

impl UnitOfWork {
    async fn accounts_by(&self, statement: Statement<'_>) -> Result<Vec<Account>, StoreError> {
        statement.all(self.connection()?, AccountRow).await
    }

    async fn applications_by(&self, statement: Statement<'_>) -> Result<Vec<Application>, StoreError> {
        statement.all(self.connection()?, ApplicationRow).await
    }

    async fn environments_by(&self, statement: Statement<'_>) -> Result<Vec<Environment>, StoreError> {
        statement.all(self.connection()?, EnvironmentRow).await
    }
}

#[async_trait]
impl TenancyReader for UnitOfWork {
    async fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {AccountRow} FROM accounts ORDER BY slug");
        self.accounts_by(Statement::new(&SELECT)).await
    }

    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {AccountRow} FROM accounts WHERE id = $1");
        let select = Statement::new(&SELECT).bind(id.as_uuid());
        Ok(self.accounts_by(select).await?.pop())
    }

    async fn account_by_slug(&mut self, slug: &Slug) -> Result<Option<Account>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {AccountRow} FROM accounts WHERE slug = $1");
        let select = Statement::new(&SELECT).bind(slug.as_str());
        Ok(self.accounts_by(select).await?.pop())
    }

    async fn applications(&mut self, account: AccountId) -> Result<Vec<Application>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {ApplicationRow} FROM applications WHERE account_id = $1 ORDER BY slug");
        let select = Statement::new(&SELECT);
        self.applications_by(select.bind(account.as_uuid())).await
    }

    async fn application(&mut self, id: ApplicationId) -> Result<Option<Application>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {ApplicationRow} FROM applications WHERE id = $1");
        let select = Statement::new(&SELECT).bind(id.as_uuid());
        Ok(self.applications_by(select).await?.pop())
    }

    async fn application_by_slug(
        &mut self,
        account: AccountId,
        slug: &Slug,
    ) -> Result<Option<Application>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {ApplicationRow} FROM applications WHERE account_id = $1 AND slug = $2");
        let select = Statement::new(&SELECT);
        let found = self
            .applications_by(select.bind(account.as_uuid()).bind(slug.as_str()))
            .await;
        Ok(found?.pop())
    }

    async fn environments(&mut self, application: ApplicationId) -> Result<Vec<Environment>, StoreError> {
        static SELECT: SqlText =
            sql!("SELECT {EnvironmentRow} FROM environments WHERE application_id = $1 ORDER BY slug");
        let select = Statement::new(&SELECT);
        self.environments_by(select.bind(application.as_uuid())).await
    }

    async fn environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {EnvironmentRow} FROM environments WHERE id = $1");
        let select = Statement::new(&SELECT).bind(id.as_uuid());
        Ok(self.environments_by(select).await?.pop())
    }

    async fn environment_by_slug(
        &mut self,
        application: ApplicationId,
        slug: &Slug,
    ) -> Result<Option<Environment>, StoreError> {
        static SELECT: SqlText =
            sql!("SELECT {EnvironmentRow} FROM environments WHERE application_id = $1 AND slug = $2");
        let select = Statement::new(&SELECT);
        let found = self
            .environments_by(select.bind(application.as_uuid()).bind(slug.as_str()))
            .await;
        Ok(found?.pop())
    }

    async fn environment_place(&mut self, id: EnvironmentId) -> Result<Option<EnvironmentRef>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT e.id, a.id, a.account_id \
             FROM environments AS e JOIN applications AS a ON a.id = e.application_id WHERE e.id = $1"
        );
        Statement::new(&SELECT)
            .bind(id.as_uuid())
            .first(self.connection()?, EnvironmentRefRow)
            .await
    }
}

/// The values of an account's row, from its id on.
fn account_row<'a>(sql: &'static SqlText, id: Value<'a>, account: &'a Account) -> Statement<'a> {
    Statement::new(sql)
        .bind(id)
        .bind(account.slug.as_str())
        .bind(account.name.as_str())
        .bind(account.settings.as_str())
        .bind(i64::from(account.version.get()))
        .bind(account.created_at)
        .bind(account.updated_at)
}

/// The values of an application's row, from its id on.
fn application_row<'a>(sql: &'static SqlText, id: Value<'a>, application: &'a Application) -> Statement<'a> {
    Statement::new(sql)
        .bind(id)
        .bind(application.account_id.as_uuid())
        .bind(application.slug.as_str())
        .bind(application.name.as_str())
        .bind(application.settings.as_str())
        .bind(application.default_environment_id.map(|id| id.as_uuid()))
        .bind(i64::from(application.version.get()))
        .bind(application.created_at)
        .bind(application.updated_at)
}

/// The values of an environment's row, from its id on.
fn environment_row<'a>(
    sql: &'static SqlText,
    id: Value<'a>,
    environment: &'a Environment,
    schema: &'a str,
) -> Statement<'a> {
    Statement::new(sql)
        .bind(id)
        .bind(environment.application_id.as_uuid())
        .bind(environment.slug.as_str())
        .bind(environment.name.as_str())
        .bind(environment.settings.as_str())
        .bind(environment.access_model.as_str())
        .bind(schema)
        .bind(i64::from(environment.version.get()))
        .bind(environment.created_at)
        .bind(environment.updated_at)
}

#[async_trait]
impl TenancyWriter for UnitOfWork {
    async fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO accounts (id, slug, name, settings, version, created_at, updated_at) \
             VALUES (($1)[1], $2, $3, $4, $5, $6, $7)"
        );
        let row = |ids: Vec<_>| account_row(&INSERT, ids.into(), account);
        self.insert(vec![account.id.as_uuid()], row).await
    }

    async fn update_account(&mut self, account: &Account) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "WITH n (id, slug, name, settings, version, created_at, updated_at) AS \
             (VALUES ($1, $2, $3, $4, $5, $6, $7)) UPDATE accounts AS a SET slug = n.slug, name = n.name, \
             settings = n.settings, version = n.version, created_at = n.created_at, updated_at = n.updated_at \
             FROM n WHERE a.id = n.id"
        );
        let row = account_row(&UPDATE, account.id.as_uuid().into(), account);
        self.update(1, row).await
    }

    async fn insert_application(&mut self, application: &Application) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO applications \
             (id, account_id, slug, name, settings, default_environment_id, version, created_at, updated_at) \
             VALUES (($1)[1], $2, $3, $4, $5, $6, $7, $8, $9)"
        );
        let row = |ids: Vec<_>| application_row(&INSERT, ids.into(), application);
        self.insert(vec![application.id.as_uuid()], row).await
    }

    async fn update_application(&mut self, application: &Application) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "WITH n (id, account_id, slug, name, settings, standing_in, version, created_at, \
             updated_at) AS (VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)) \
             UPDATE applications AS a SET slug = n.slug, name = n.name, settings = n.settings, \
             default_environment_id = n.standing_in, version = n.version, created_at = n.created_at, \
             updated_at = n.updated_at FROM n WHERE a.id = n.id AND a.account_id = n.account_id"
        );
        let row = application_row(&UPDATE, application.id.as_uuid().into(), application);
        self.update(1, row).await
    }

    async fn insert_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO environments \
             (id, application_id, slug, name, settings, access_model, hierarchy_schema, version, created_at, \
              updated_at, revision) \
             VALUES (($1)[1], $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)"
        );
        let schema = schema_text::write(schema);
        let row = |ids: Vec<_>| environment_row(&INSERT, ids.into(), environment, &schema);
        self.insert(vec![environment.id.as_uuid()], row).await
    }

    async fn update_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "WITH n (id, application_id, slug, name, settings, access_model, hierarchy_schema, \
             version, created_at, updated_at) AS (VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)) \
             UPDATE environments AS e SET slug = n.slug, name = n.name, settings = n.settings, \
             access_model = n.access_model, hierarchy_schema = n.hierarchy_schema, version = n.version, \
             created_at = n.created_at, updated_at = n.updated_at \
             FROM n WHERE e.id = n.id AND e.application_id = n.application_id"
        );
        let schema = schema_text::write(schema);
        let row = environment_row(&UPDATE, environment.id.as_uuid().into(), environment, &schema);
        self.update(1, row).await
    }

    async fn delete_environments(&mut self, ids: &[EnvironmentId]) -> Result<(), StoreError> {
        // What names others comes before what is named.
        static DELETES: [SqlText; 7] = [
            sql!("DELETE FROM assignments WHERE environment_id = ANY ($1)"),
            sql!("DELETE FROM role_permissions WHERE environment_id = ANY ($1)"),
            sql!("DELETE FROM nodes WHERE environment_id = ANY ($1)"),
            sql!("DELETE FROM roles WHERE environment_id = ANY ($1)"),
            sql!("DELETE FROM permissions WHERE environment_id = ANY ($1)"),
            sql!("DELETE FROM change_records WHERE environment_id = ANY ($1)"),
            sql!("DELETE FROM environments WHERE id = ANY ($1)"),
        ];
        if ids.is_empty() {
            return Ok(());
        }
        let ids = distinct(ids.iter().map(EnvironmentId::as_uuid));
        let connection = self.connection()?;
        let runs = DELETES
            .each_ref()
            .map(|sql| Statement::new(sql).bind(ids.clone()).execute(connection));
        future::try_join_all(runs).await.map(|_| ())
    }

    async fn delete_application(&mut self, id: ApplicationId) -> Result<(), StoreError> {
        static MEMBERSHIPS: SqlText = sql!("DELETE FROM memberships WHERE application_id = $1");
        static APPLICATION: SqlText = sql!("DELETE FROM applications WHERE id = $1");
        let connection = self.connection()?;
        let run = |sql| Statement::new(sql).bind(id.as_uuid()).execute(connection);
        future::try_join(run(&MEMBERSHIPS), run(&APPLICATION)).await.map(|_| ())
    }
}
