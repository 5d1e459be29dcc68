//! Accounts, applications and environments.

use crate::error::ensure;
use crate::packed::{IDS, Packed};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::port::reader::TenancyReader;
use canopy_domain::port::writer::TenancyWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    Account, AccountId, Application, ApplicationId, Environment, EnvironmentId, EnvironmentRef, HierarchySchema, Slug,
};
use canopy_storage_sql::rows::tenancy::{AccountRow, ApplicationRow, EnvironmentRefRow, EnvironmentRow};
use canopy_storage_sql::schema_text;
use canopy_storage_sql::{SqlText, sql};
use diesel::SqliteConnection;

#[async_trait]
impl TenancyReader for UnitOfWork {
    async fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {AccountRow} FROM accounts ORDER BY slug");
        self.run(|c| Statement::new(&SELECT).all(c, AccountRow)).await
    }

    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText = sql!("SELECT {AccountRow} FROM accounts WHERE id = ?1");
            Statement::new(&SELECT).bind(id.as_bytes()).first(c, AccountRow)
        })
        .await
    }

    async fn account_by_slug(&mut self, slug: &Slug) -> Result<Option<Account>, StoreError> {
        let slug = slug.clone();
        self.run(move |c| {
            static SELECT: SqlText = sql!("SELECT {AccountRow} FROM accounts WHERE slug = ?1");
            Statement::new(&SELECT).bind(slug.as_str()).first(c, AccountRow)
        })
        .await
    }

    async fn applications(&mut self, account: AccountId) -> Result<Vec<Application>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText =
                sql!("SELECT {ApplicationRow} FROM applications WHERE account_id = ?1 ORDER BY slug");
            Statement::new(&SELECT).bind(account.as_bytes()).all(c, ApplicationRow)
        })
        .await
    }

    async fn application(&mut self, id: ApplicationId) -> Result<Option<Application>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText = sql!("SELECT {ApplicationRow} FROM applications WHERE id = ?1");
            Statement::new(&SELECT).bind(id.as_bytes()).first(c, ApplicationRow)
        })
        .await
    }

    async fn application_by_slug(
        &mut self,
        account: AccountId,
        slug: &Slug,
    ) -> Result<Option<Application>, StoreError> {
        let slug = slug.clone();
        self.run(move |c| {
            static SELECT: SqlText =
                sql!("SELECT {ApplicationRow} FROM applications WHERE account_id = ?1 AND slug = ?2");
            let statement = Statement::new(&SELECT).bind(account.as_bytes()).bind(slug.as_str());
            statement.first(c, ApplicationRow)
        })
        .await
    }

    async fn environments(&mut self, application: ApplicationId) -> Result<Vec<Environment>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText =
                sql!("SELECT {EnvironmentRow} FROM environments WHERE application_id = ?1 ORDER BY slug");
            Statement::new(&SELECT)
                .bind(application.as_bytes())
                .all(c, EnvironmentRow)
        })
        .await
    }

    async fn environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText = sql!("SELECT {EnvironmentRow} FROM environments WHERE id = ?1");
            Statement::new(&SELECT).bind(id.as_bytes()).first(c, EnvironmentRow)
        })
        .await
    }

    async fn environment_by_slug(
        &mut self,
        application: ApplicationId,
        slug: &Slug,
    ) -> Result<Option<Environment>, StoreError> {
        let slug = slug.clone();
        self.run(move |c| {
            static SELECT: SqlText =
                sql!("SELECT {EnvironmentRow} FROM environments WHERE application_id = ?1 AND slug = ?2");
            let statement = Statement::new(&SELECT).bind(application.as_bytes()).bind(slug.as_str());
            statement.first(c, EnvironmentRow)
        })
        .await
    }

    async fn environment_place(&mut self, id: EnvironmentId) -> Result<Option<EnvironmentRef>, StoreError> {
        self.run(move |c| place(c, id)).await
    }
}

/// Where an environment lies.
pub(crate) fn place(c: &mut SqliteConnection, id: EnvironmentId) -> Result<Option<EnvironmentRef>, StoreError> {
    static PLACE: SqlText = sql!(
        "SELECT environments.id, application_id, account_id FROM environments \
                         JOIN applications ON applications.id = application_id WHERE environments.id = ?1"
    );
    Statement::new(&PLACE).bind(id.as_bytes()).first(c, EnvironmentRefRow)
}

/// Which rule kept a row from being stored: that of its slug, unless no other row has the slug.
fn slug_or_id(taken: Statement<'_>, c: &mut SqliteConnection, rule: Unique) -> Result<StoreError, StoreError> {
    let rule = if taken.holds(c)? { rule } else { Unique::Id };
    Ok(StoreError::Duplicate(rule))
}

#[async_trait]
impl TenancyWriter for UnitOfWork {
    async fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        static TAKEN: SqlText = sql!("SELECT EXISTS (SELECT 1 FROM accounts WHERE slug = ?1)");
        static INSERT: SqlText = sql!(
            "INSERT INTO accounts (id, slug, name, settings, version, created_at, updated_at) \
                              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        );
        let account = account.clone();
        self.run(move |c| {
            let insert = account_row(Statement::new(&INSERT), &account);
            if insert.attempt(c)?.is_some() {
                return Ok(());
            }
            let taken = Statement::new(&TAKEN);
            Err(slug_or_id(taken.bind(account.slug.as_str()), c, Unique::AccountSlug)?)
        })
        .await
    }

    async fn update_account(&mut self, account: &Account) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE accounts SET slug = ?2, name = ?3, settings = ?4, version = ?5, created_at = ?6, \
                              updated_at = ?7 WHERE id = ?1"
        );
        let account = account.clone();
        self.run(move |c| {
            let update = account_row(Statement::new(&UPDATE), &account);
            let changed = update.execute_unique(c, Unique::AccountSlug)?;
            ensure(changed == 1, "a changed account is not there")
        })
        .await
    }

    async fn insert_application(&mut self, application: &Application) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO applications (id, account_id, slug, name, settings, default_environment_id, \
                              version, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        );
        static TAKEN: SqlText = sql!("SELECT EXISTS (SELECT 1 FROM applications WHERE account_id = ?1 AND slug = ?2)");
        let application = application.clone();
        self.run(move |c| {
            let insert = Statement::new(&INSERT)
                .bind(application.id.as_bytes())
                .bind(application.account_id.as_bytes())
                .bind(application.slug.as_str())
                .bind(application.name.as_str())
                .bind(application.settings.as_str())
                .bind(application.default_environment_id.as_ref().map(EnvironmentId::as_bytes))
                .bind(application.version.get())
                .bind(application.created_at)
                .bind(application.updated_at);
            if insert.attempt(c)?.is_some() {
                return Ok(());
            }
            let taken = Statement::new(&TAKEN)
                .bind(application.account_id.as_bytes())
                .bind(application.slug.as_str());
            Err(slug_or_id(taken, c, Unique::ApplicationSlug)?)
        })
        .await
    }

    async fn update_application(&mut self, application: &Application) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE applications SET slug = ?3, name = ?4, settings = ?5, default_environment_id = ?6, \
                              version = ?7, created_at = ?8, updated_at = ?9 WHERE id = ?1 AND account_id = ?2"
        );
        let application = application.clone();
        self.run(move |c| {
            let update = Statement::new(&UPDATE)
                .bind(application.id.as_bytes())
                .bind(application.account_id.as_bytes())
                .bind(application.slug.as_str())
                .bind(application.name.as_str())
                .bind(application.settings.as_str())
                .bind(application.default_environment_id.as_ref().map(EnvironmentId::as_bytes))
                .bind(application.version.get())
                .bind(application.created_at)
                .bind(application.updated_at);
            let changed = update.execute_unique(c, Unique::ApplicationSlug)?;
            ensure(changed == 1, "a changed application is not there")
        })
        .await
    }

    async fn insert_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO environments (id, application_id, slug, name, settings, access_model, \
                              hierarchy_schema, version, created_at, updated_at, revision) \
                              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0)"
        );
        static TAKEN: SqlText =
            sql!("SELECT EXISTS (SELECT 1 FROM environments WHERE application_id = ?1 AND slug = ?2)");
        let (environment, schema) = (environment.clone(), schema_text::write(schema));
        self.run(move |c| {
            if values(Statement::new(&INSERT), &environment, &schema)
                .attempt(c)?
                .is_some()
            {
                return Ok(());
            }
            let taken = Statement::new(&TAKEN)
                .bind(environment.application_id.as_bytes())
                .bind(environment.slug.as_str());
            Err(slug_or_id(taken, c, Unique::EnvironmentSlug)?)
        })
        .await
    }

    async fn update_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE environments SET slug = ?3, name = ?4, settings = ?5, access_model = ?6, \
                              hierarchy_schema = ?7, version = ?8, created_at = ?9, updated_at = ?10 \
                              WHERE id = ?1 AND application_id = ?2"
        );
        let (environment, schema) = (environment.clone(), schema_text::write(schema));
        self.run(move |c| {
            let update = values(Statement::new(&UPDATE), &environment, &schema);
            let changed = update.execute_unique(c, Unique::EnvironmentSlug)?;
            ensure(changed == 1, "a changed environment is not there")
        })
        .await
    }

    async fn delete_environments(&mut self, ids: &[EnvironmentId]) -> Result<(), StoreError> {
        // What names others comes before what is named.
        static DELETES: [SqlText; 7] = [
            sql!(
                "{} DELETE FROM assignments WHERE environment_id IN (SELECT id FROM given)",
                IDS.given()
            ),
            sql!(
                "{} DELETE FROM role_permissions WHERE environment_id IN (SELECT id FROM given)",
                IDS.given()
            ),
            sql!(
                "{} DELETE FROM nodes WHERE environment_id IN (SELECT id FROM given)",
                IDS.given()
            ),
            sql!(
                "{} DELETE FROM roles WHERE environment_id IN (SELECT id FROM given)",
                IDS.given()
            ),
            sql!(
                "{} DELETE FROM permissions WHERE environment_id IN (SELECT id FROM given)",
                IDS.given()
            ),
            sql!(
                "{} DELETE FROM change_records WHERE environment_id IN (SELECT id FROM given)",
                IDS.given()
            ),
            sql!(
                "{} DELETE FROM environments WHERE id IN (SELECT id FROM given)",
                IDS.given()
            ),
        ];
        static IS_DEFAULT: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN environments AS e ON e.id = given.id \
             CROSS JOIN applications AS a ON a.id = e.application_id WHERE a.default_environment_id = e.id)",
            IDS.given()
        );
        if ids.is_empty() {
            return Ok(());
        }
        let ids = Packed::ids(ids.iter().map(EnvironmentId::as_bytes));
        self.run(move |c| {
            // The foreign key is looked at when the transaction commits, which is late to learn of it.
            let is_default = ids.statement(&IS_DEFAULT).holds(c)?;
            ensure(
                !is_default,
                "a deleted environment is the default one of its application",
            )?;
            for delete in &DELETES {
                ids.statement(delete).execute(c)?;
            }
            Ok(())
        })
        .await
    }

    async fn delete_application(&mut self, id: ApplicationId) -> Result<(), StoreError> {
        static MEMBERSHIPS: SqlText = sql!("DELETE FROM memberships WHERE application_id = ?1");
        static APPLICATION: SqlText = sql!("DELETE FROM applications WHERE id = ?1");
        self.run(move |c| {
            Statement::new(&MEMBERSHIPS).bind(id.as_bytes()).execute(c)?;
            Statement::new(&APPLICATION).bind(id.as_bytes()).execute(c)?;
            Ok(())
        })
        .await
    }
}

/// The values of an account's row.
fn account_row<'a>(statement: Statement<'a>, account: &'a Account) -> Statement<'a> {
    statement
        .bind(account.id.as_bytes())
        .bind(account.slug.as_str())
        .bind(account.name.as_str())
        .bind(account.settings.as_str())
        .bind(account.version.get())
        .bind(account.created_at)
        .bind(account.updated_at)
}

/// The values of an environment's row but its revision.
fn values<'a>(statement: Statement<'a>, environment: &'a Environment, schema: &'a str) -> Statement<'a> {
    statement
        .bind(environment.id.as_bytes())
        .bind(environment.application_id.as_bytes())
        .bind(environment.slug.as_str())
        .bind(environment.name.as_str())
        .bind(environment.settings.as_str())
        .bind(environment.access_model.as_str())
        .bind(schema)
        .bind(environment.version.get())
        .bind(environment.created_at)
        .bind(environment.updated_at)
}
