//! Create an account with one application, `default`, and its environments.

use super::{NewApplication, NewTenant, audit, slug_taken};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, LockScope, Unique};
use canopy_domain::{Account, AccountId, DisplayName, JsonObject, Slug, Tenant, Version};

/// Creates an account. The caller is an operator.
///
/// # Errors
/// [`TenancyError::SlugTaken`](canopy_domain::TenancyError::SlugTaken); [`AppError::Store`].
pub async fn run(app: &App, call: &Call, new: &NewTenant) -> Result<Account, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, LockScope::Installation).await?;
        let now = app.now();
        let accounts = tx.accounts().await?;
        let slug = new.slug(Tenant::Account, |slug| {
            accounts.iter().any(|account| account.slug == *slug)
        })?;
        let account = Account {
            id: AccountId::new(app.mint()),
            name: new.name.clone(),
            slug,
            settings: JsonObject::default(),
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        tx.insert_account(&account).await.map_err(slug_taken(
            Tenant::Account,
            Unique::AccountSlug,
            new.slug.is_some(),
        ))?;
        let first = first_application(app, &account)?;
        let changes = first.store(tx.as_mut(), true).await?;
        let metadata = vec![
            ("slug", Detail::text(&account.slug)),
            ("application_id", Detail::text(first.application.id)),
        ];
        let resource = (Tenant::Account, account.id.to_string(), &account.name);
        let audit = audit(
            app,
            call,
            now,
            "account.create",
            resource,
            (account.id, None, None),
            metadata,
        );
        app.commit(
            tx,
            call,
            CommitRecord {
                at: now,
                changes,
                audit,
            },
            &account,
        )
        .await?;
        app.directory().clear();
        Ok(account)
    })
    .await
}

fn first_application(app: &App, account: &Account) -> Result<NewApplication, AppError> {
    let name = DisplayName::parse("Default").map_err(|_| AppError::Broken("the name of the first application"))?;
    let slug = Slug::parse("default").map_err(|_| AppError::Broken("the slug of the first application"))?;
    NewApplication::new(app, account, name, slug, account.created_at)
}
