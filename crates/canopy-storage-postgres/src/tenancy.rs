//! Accounts, applications and environments.

use crate::schema_text;
use crate::statement::{Row, Statement};
use crate::unit_of_work::UnitOfWork;
use crate::value::{Value, distinct};
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::TenancyReader;
use canopy_domain::port::writer::TenancyWriter;
use canopy_domain::{
    AccessModel, Account, AccountId, Application, ApplicationId, DisplayName, Environment, EnvironmentId,
    EnvironmentRef, HierarchySchema, JsonObject, Slug,
};
use futures_util::future;

fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.id(0)?,
        slug: row.text(1, Slug::parse)?,
        name: row.text(2, DisplayName::restored)?,
        settings: row.text(3, JsonObject::parse)?,
        version: row.version(4)?,
        created_at: row.at(5)?,
        updated_at: row.at(6)?,
    })
}

fn application(row: &Row) -> Result<Application, StoreError> {
    Ok(Application {
        id: row.id(0)?,
        account_id: row.id(1)?,
        slug: row.text(2, Slug::parse)?,
        name: row.text(3, DisplayName::restored)?,
        settings: row.text(4, JsonObject::parse)?,
        default_environment_id: row.optional_id(5)?,
        version: row.version(6)?,
        created_at: row.at(7)?,
        updated_at: row.at(8)?,
    })
}

fn environment(row: &Row) -> Result<Environment, StoreError> {
    Ok(Environment {
        id: row.id(0)?,
        application_id: row.id(1)?,
        slug: row.text(2, Slug::parse)?,
        name: row.text(3, DisplayName::restored)?,
        settings: row.text(4, JsonObject::parse)?,
        access_model: row.word(5, AccessModel::parse)?,
        version: row.version(6)?,
        created_at: row.at(7)?,
        updated_at: row.at(8)?,
    })
}

impl UnitOfWork {
    async fn accounts_by(&self, statement: Statement<'_>) -> Result<Vec<Account>, StoreError> {
        statement.all(self.connection()?, "accounts", account).await
    }

    async fn applications_by(&self, statement: Statement<'_>) -> Result<Vec<Application>, StoreError> {
        statement.all(self.connection()?, "applications", application).await
    }

    async fn environments_by(&self, statement: Statement<'_>) -> Result<Vec<Environment>, StoreError> {
        statement.all(self.connection()?, "environments", environment).await
    }
}

/// `SELECT` with the columns that the functions above read.
macro_rules! select {
    (accounts $rest:literal) => {
        concat!(
            "SELECT id, slug, name, settings, version, created_at, updated_at FROM accounts ",
            $rest
        )
    };
    (applications $rest:literal) => {
        concat!(
            "SELECT id, account_id, slug, name, settings, default_environment_id, version, created_at, updated_at \
             FROM applications ",
            $rest
        )
    };
    (environments $rest:literal) => {
        concat!(
            "SELECT id, application_id, slug, name, settings, access_model, version, created_at, updated_at \
             FROM environments ",
            $rest
        )
    };
}

#[async_trait]
impl TenancyReader for UnitOfWork {
    async fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        self.accounts_by(Statement::new(select!(accounts "ORDER BY slug")))
            .await
    }

    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let select = Statement::new(select!(accounts "WHERE id = $1")).bind(id.as_uuid());
        Ok(self.accounts_by(select).await?.pop())
    }

    async fn account_by_slug(&mut self, slug: &Slug) -> Result<Option<Account>, StoreError> {
        let select = Statement::new(select!(accounts "WHERE slug = $1")).bind(slug.as_str());
        Ok(self.accounts_by(select).await?.pop())
    }

    async fn applications(&mut self, account: AccountId) -> Result<Vec<Application>, StoreError> {
        let select = Statement::new(select!(applications "WHERE account_id = $1 ORDER BY slug"));
        self.applications_by(select.bind(account.as_uuid())).await
    }

    async fn application(&mut self, id: ApplicationId) -> Result<Option<Application>, StoreError> {
        let select = Statement::new(select!(applications "WHERE id = $1")).bind(id.as_uuid());
        Ok(self.applications_by(select).await?.pop())
    }

    async fn application_by_slug(
        &mut self,
        account: AccountId,
        slug: &Slug,
    ) -> Result<Option<Application>, StoreError> {
        let select = Statement::new(select!(applications "WHERE account_id = $1 AND slug = $2"));
        let found = self
            .applications_by(select.bind(account.as_uuid()).bind(slug.as_str()))
            .await;
        Ok(found?.pop())
    }

    async fn environments(&mut self, application: ApplicationId) -> Result<Vec<Environment>, StoreError> {
        let select = Statement::new(select!(environments "WHERE application_id = $1 ORDER BY slug"));
        self.environments_by(select.bind(application.as_uuid())).await
    }

    async fn environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError> {
        let select = Statement::new(select!(environments "WHERE id = $1")).bind(id.as_uuid());
        Ok(self.environments_by(select).await?.pop())
    }

    async fn environment_by_slug(
        &mut self,
        application: ApplicationId,
        slug: &Slug,
    ) -> Result<Option<Environment>, StoreError> {
        let select = Statement::new(select!(environments "WHERE application_id = $1 AND slug = $2"));
        let found = self
            .environments_by(select.bind(application.as_uuid()).bind(slug.as_str()))
            .await;
        Ok(found?.pop())
    }

    async fn environment_place(&mut self, id: EnvironmentId) -> Result<Option<EnvironmentRef>, StoreError> {
        const SELECT: &str = "SELECT e.id, a.id, a.account_id \
             FROM environments AS e JOIN applications AS a ON a.id = e.application_id WHERE e.id = $1";
        Statement::new(SELECT)
            .bind(id.as_uuid())
            .first(self.connection()?, "environments", |row| {
                Ok(EnvironmentRef {
                    environment: row.id(0)?,
                    application: row.id(1)?,
                    account: row.id(2)?,
                })
            })
            .await
    }
}

/// The values of an account's row, from its id on.
fn account_row<'a>(sql: &'static str, id: Value<'a>, account: &'a Account) -> Statement<'a> {
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
fn application_row<'a>(sql: &'static str, id: Value<'a>, application: &'a Application) -> Statement<'a> {
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
    sql: &'static str,
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
        const INSERT: &str = "INSERT INTO accounts (id, slug, name, settings, version, created_at, updated_at) \
             VALUES (($1)[1], $2, $3, $4, $5, $6, $7)";
        let row = |ids: Vec<_>| account_row(INSERT, ids.into(), account);
        self.insert(vec![account.id.as_uuid()], row).await
    }

    async fn update_account(&mut self, account: &Account) -> Result<(), StoreError> {
        const UPDATE: &str = "WITH n (id, slug, name, settings, version, created_at, updated_at) AS \
             (VALUES ($1, $2, $3, $4, $5, $6, $7)) UPDATE accounts AS a SET slug = n.slug, name = n.name, \
             settings = n.settings, version = n.version, created_at = n.created_at, updated_at = n.updated_at \
             FROM n WHERE a.id = n.id";
        let row = account_row(UPDATE, account.id.as_uuid().into(), account);
        self.update(1, row).await
    }

    async fn insert_application(&mut self, application: &Application) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO applications \
             (id, account_id, slug, name, settings, default_environment_id, version, created_at, updated_at) \
             VALUES (($1)[1], $2, $3, $4, $5, $6, $7, $8, $9)";
        let row = |ids: Vec<_>| application_row(INSERT, ids.into(), application);
        self.insert(vec![application.id.as_uuid()], row).await
    }

    async fn update_application(&mut self, application: &Application) -> Result<(), StoreError> {
        const UPDATE: &str = "WITH n (id, account_id, slug, name, settings, standing_in, version, created_at, \
             updated_at) AS (VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)) \
             UPDATE applications AS a SET slug = n.slug, name = n.name, settings = n.settings, \
             default_environment_id = n.standing_in, version = n.version, created_at = n.created_at, \
             updated_at = n.updated_at FROM n WHERE a.id = n.id AND a.account_id = n.account_id";
        let row = application_row(UPDATE, application.id.as_uuid().into(), application);
        self.update(1, row).await
    }

    async fn insert_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO environments \
             (id, application_id, slug, name, settings, access_model, hierarchy_schema, version, created_at, \
              updated_at, revision) \
             VALUES (($1)[1], $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)";
        let schema = schema_text::write(schema);
        let row = |ids: Vec<_>| environment_row(INSERT, ids.into(), environment, &schema);
        self.insert(vec![environment.id.as_uuid()], row).await
    }

    async fn update_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        const UPDATE: &str = "WITH n (id, application_id, slug, name, settings, access_model, hierarchy_schema, \
             version, created_at, updated_at) AS (VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)) \
             UPDATE environments AS e SET slug = n.slug, name = n.name, settings = n.settings, \
             access_model = n.access_model, hierarchy_schema = n.hierarchy_schema, version = n.version, \
             created_at = n.created_at, updated_at = n.updated_at \
             FROM n WHERE e.id = n.id AND e.application_id = n.application_id";
        let schema = schema_text::write(schema);
        let row = environment_row(UPDATE, environment.id.as_uuid().into(), environment, &schema);
        self.update(1, row).await
    }

    async fn delete_environments(&mut self, ids: &[EnvironmentId]) -> Result<(), StoreError> {
        // What names others comes before what is named.
        const DELETES: [&str; 7] = [
            "DELETE FROM assignments WHERE environment_id = ANY ($1)",
            "DELETE FROM role_permissions WHERE environment_id = ANY ($1)",
            "DELETE FROM nodes WHERE environment_id = ANY ($1)",
            "DELETE FROM roles WHERE environment_id = ANY ($1)",
            "DELETE FROM permissions WHERE environment_id = ANY ($1)",
            "DELETE FROM change_records WHERE environment_id = ANY ($1)",
            "DELETE FROM environments WHERE id = ANY ($1)",
        ];
        if ids.is_empty() {
            return Ok(());
        }
        let ids = distinct(ids.iter().map(EnvironmentId::as_uuid));
        let connection = self.connection()?;
        let runs = DELETES.map(|sql| Statement::new(sql).bind(ids.clone()).execute(connection));
        future::try_join_all(runs).await.map(|_| ())
    }

    async fn delete_application(&mut self, id: ApplicationId) -> Result<(), StoreError> {
        const MEMBERSHIPS: &str = "DELETE FROM memberships WHERE application_id = $1";
        const APPLICATION: &str = "DELETE FROM applications WHERE id = $1";
        let connection = self.connection()?;
        let run = |sql| Statement::new(sql).bind(id.as_uuid()).execute(connection);
        future::try_join(run(MEMBERSHIPS), run(APPLICATION)).await.map(|_| ())
    }
}
