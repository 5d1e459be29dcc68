//! Accounts, applications and environments.

use crate::answer::{Created, Found, Listing, NoContent, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, IfMatch};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Given, Instant, ShownModel, object, request_body};
use canopy_app::Mode;
use canopy_app::session::Installation;
use canopy_app::tenancy::{self, CopyFrom, NewTenant};
use canopy_domain::tenancy::change::{AccountPatch, TenantPatch};
use canopy_domain::{
    AccessModel, Account, AccountId, Application, ApplicationRef, DisplayName, Edit, Environment, EnvironmentRef,
    JsonObject, Slug,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const ACCOUNTS: &str = "Accounts";
    const APPLICATIONS: &str = "Applications";
    const ENVIRONMENTS: &str = "Environments";
    vec![
        Operation::get("/accounts", "listAccounts")
            .summary(ACCOUNTS, "List all accounts, by slug. Operators only.")
            .handler(list_accounts),
        Operation::post("/accounts", "createAccount")
            .summary(
                ACCOUNTS,
                "Create an account with one application and its environments. Operators only.",
            )
            .errors(&[E::AccountSlugTaken])
            .handler(post_account),
        Operation::get("", "getAccount")
            .summary(ACCOUNTS, "Get the account.")
            .handler(get_account),
        Operation::patch("", "changeAccount")
            .summary(ACCOUNTS, "Change the name or settings of the account.")
            .handler(patch_account),
        Operation::get("/applications", "listApplications")
            .summary(APPLICATIONS, "List the applications of the account, by slug.")
            .handler(list_applications),
        Operation::post("/applications", "createApplication")
            .summary(
                APPLICATIONS,
                "Create an application with the environments development and production.",
            )
            .errors(&[E::ApplicationSlugTaken])
            .handler(post_application),
        Operation::get("", "getApplication")
            .summary(APPLICATIONS, "Get the application.")
            .handler(get_application),
        Operation::patch("", "changeApplication")
            .summary(APPLICATIONS, "Change the name or slug of the application.")
            .errors(&[E::ApplicationSlugTaken])
            .handler(patch_application),
        Operation::delete("", "deleteApplication")
            .summary(
                APPLICATIONS,
                "Delete the application with its environments and memberships. The last application cannot be deleted.",
            )
            .errors(&[E::LastApplication])
            .judges_version()
            .handler(delete_application),
        Operation::put("/default-environment", "changeDefaultEnvironment")
            .summary(
                APPLICATIONS,
                "Change the default environment of the application.",
            )
            .errors(&[E::EnvironmentNotFound])
            .judges_version()
            .handler(put_default_environment),
        Operation::get("/environments", "listEnvironments")
            .summary(ENVIRONMENTS, "List the environments of the application, by slug.")
            .handler(list_environments),
        Operation::post("/environments", "createEnvironment")
            .summary(
                ENVIRONMENTS,
                "Create an environment: flat, with one root and the system permissions; or a copy of another one, without assignments.",
            )
            .errors(&[
                E::EnvironmentSlugTaken,
                E::EnvironmentNotFound,
                E::EnvironmentTooLarge,
                E::TooManyEnvironments,
            ])
            .handler(post_environment),
        Operation::get("", "getEnvironment")
            .summary(ENVIRONMENTS, "Get the environment.")
            .handler(get_environment),
        Operation::patch("", "changeEnvironment")
            .summary(ENVIRONMENTS, "Change the name or slug of the environment.")
            .errors(&[E::EnvironmentSlugTaken])
            .judges_version()
            .handler(patch_environment),
        Operation::delete("", "deleteEnvironment")
            .summary(
                ENVIRONMENTS,
                "Delete the environment with its contents. The last and the default environment cannot be deleted.",
            )
            .errors(&[E::LastEnvironment, E::DefaultEnvironment])
            .judges_version()
            .handler(delete_environment),
        Operation::get("/access-model", "getAccessModel")
            .summary(ENVIRONMENTS, "Get the access model of the environment: flat or hierarchy.")
            .handler(get_access_model),
        Operation::put("/access-model", "changeAccessModel")
            .summary(ENVIRONMENTS, "Convert a flat environment to a hierarchy.")
            .errors(&[E::RevertNeeded])
            .judges_version()
            .handler(put_access_model),
    ]
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountBody {
    id: Uuid,
    name: String,
    slug: String,
    #[schema(value_type = Object)]
    settings: Box<RawValue>,
    version: u32,
    created_at: Instant,
    updated_at: Instant,
}

impl AccountBody {
    fn of(account: &Account) -> Self {
        Self {
            id: account.id.as_uuid(),
            name: account.name.to_string(),
            slug: account.slug.to_string(),
            settings: object(&account.settings),
            version: account.version.get(),
            created_at: Instant(account.created_at),
            updated_at: Instant(account.updated_at),
        }
    }
}

/// An application.
#[derive(Serialize, ToSchema)]
#[schema(as = Application)]
struct ApplicationBody {
    id: Uuid,
    account_id: Uuid,
    name: String,
    slug: String,
    #[schema(value_type = Object)]
    settings: Box<RawValue>,
    /// The default environment of the application.
    default_environment_id: Option<Uuid>,
    version: u32,
    created_at: Instant,
    updated_at: Instant,
}

impl ApplicationBody {
    fn of(application: &Application) -> Self {
        Self {
            id: application.id.as_uuid(),
            account_id: application.account_id.as_uuid(),
            name: application.name.to_string(),
            slug: application.slug.to_string(),
            settings: object(&application.settings),
            default_environment_id: application.default_environment_id.map(|id| id.as_uuid()),
            version: application.version.get(),
            created_at: Instant(application.created_at),
            updated_at: Instant(application.updated_at),
        }
    }
}

/// An environment.
#[derive(Serialize, ToSchema)]
#[schema(as = Environment)]
pub(super) struct EnvironmentBody {
    id: Uuid,
    application_id: Uuid,
    name: String,
    slug: String,
    #[schema(value_type = Object)]
    settings: Box<RawValue>,
    access_model: ShownModel,
    /// Counts changes to the environment itself and its hierarchy schema, not to its contents.
    version: u32,
    created_at: Instant,
    updated_at: Instant,
}

impl EnvironmentBody {
    pub(super) fn of(environment: &Environment) -> Self {
        Self {
            id: environment.id.as_uuid(),
            application_id: environment.application_id.as_uuid(),
            name: environment.name.to_string(),
            slug: environment.slug.to_string(),
            settings: object(&environment.settings),
            access_model: ShownModel(environment.access_model),
            version: environment.version.get(),
            created_at: Instant(environment.created_at),
            updated_at: Instant(environment.updated_at),
        }
    }
}

macro_rules! versioned {
    ($($type:ty),+) => {
        $(impl Representation for $type {
            const VERSIONED: bool = true;

            fn version(&self) -> Option<u32> {
                Some(self.version)
            }
        })+
    };
}

versioned!(AccountBody, ApplicationBody, EnvironmentBody);

/// A new environment. The lists name contents that must be configured again in a copy; always empty here.
#[derive(Serialize, ToSchema)]
struct CreatedEnvironment {
    environment: EnvironmentBody,
    #[schema(value_type = Vec<Object>)]
    oauth_client_rotations: [(); 0],
    #[schema(value_type = Vec<Object>)]
    webhook_subscription_rotations: [(); 0],
}

impl Representation for CreatedEnvironment {
    const VERSIONED: bool = true;

    fn version(&self) -> Option<u32> {
        self.environment.version()
    }
}

/// The access model of an environment.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessModelOf)]
struct AccessModelBody {
    model: ShownModel,
}

impl Representation for AccessModelBody {}

request_body!(
    /// A new account or application.
    struct CreateTenant {
        /// The display name.
        name: DisplayName,
        /// The slug. Default: derived from the name.
        slug: Option<Slug>,
    }
);

request_body!(
    /// A new environment.
    struct CreateEnvironment {
        /// The display name.
        name: DisplayName,
        /// The slug. Default: derived from the name.
        slug: Option<Slug>,
        /// The slug of an environment of the application whose catalog, roles, schema and tree are copied.
        copy_from: Option<Slug>,
    }
);

request_body!(
    /// A change to an account.
    struct ChangeAccount {
        /// The display name.
        name: Given<DisplayName>,
        /// Free-form metadata of the customer; null for none.
        settings: Edit<JsonObject>,
    }
);

request_body!(
    /// A change to an application or environment.
    struct ChangeTenant {
        /// The display name.
        name: Given<DisplayName>,
        /// The slug.
        slug: Given<Slug>,
    }
);

request_body!(
    /// The new default environment of an application.
    struct ChangeDefaultEnvironment {
        /// The slug of the environment.
        slug: Slug,
    }
);

impl From<ChangeTenant> for TenantPatch {
    fn from(body: ChangeTenant) -> Self {
        Self {
            name: body.name.0,
            slug: body.slug.0,
        }
    }
}

request_body!(
    /// A change of the access model.
    struct ChangeAccessModel {
        /// The new access model.
        model: AccessModel,
    }
);

impl From<CreateTenant> for NewTenant {
    fn from(body: CreateTenant) -> Self {
        Self {
            name: body.name,
            slug: body.slug,
        }
    }
}

type NewOne<S> = Request<S, (), (), Body<CreateTenant>>;

async fn list_accounts(request: Request<Installation>) -> Result<Listing<AccountBody>, Problem> {
    let accounts = request
        .run(|app, _| async move { tenancy::list_accounts(&app).await })
        .await?;
    Ok(Listing::of(accounts, |one| AccountBody::of(&one)))
}

async fn post_account(request: NewOne<Installation>) -> Result<Repeatable<Created<AccountBody>>, Problem> {
    let (new, request) = request.take_body();
    let create = tenancy::CreateAccount {
        new: NewTenant::from(new.0),
    };
    request
        .execute_once(create, Mode::Commit, |account| {
            Ok(Created {
                name: account.slug.to_string(),
                body: AccountBody::of(&account),
            })
        })
        .await
}

async fn get_account(request: Request<AccountId>) -> Result<Found<AccountBody>, Problem> {
    let id = request.tenancy;
    let account = request
        .run(move |app, _| async move { tenancy::get_account(&app, id).await })
        .await?;
    Ok(Found(AccountBody::of(&account)))
}

async fn patch_account(
    request: Request<AccountId, (), (), IfMatch<Body<ChangeAccount>>>,
) -> Result<Found<AccountBody>, Problem> {
    let (IfMatch { input, version }, request) = request.take_body();
    let (id, body) = (request.tenancy, input.0);
    let asked = AccountPatch {
        name: body.name.0,
        settings: body.settings,
    };
    let change = tenancy::ChangeAccount {
        id,
        seen: version,
        patch: asked,
    };
    Ok(Found(AccountBody::of(&request.execute(change).await?)))
}

async fn list_applications(request: Request<AccountId>) -> Result<Listing<ApplicationBody>, Problem> {
    let account = request.tenancy;
    let applications = request
        .run(move |app, _| async move { tenancy::list_applications(&app, account).await })
        .await?;
    Ok(Listing::of(applications, |one| ApplicationBody::of(&one)))
}

async fn post_application(request: NewOne<AccountId>) -> Result<Repeatable<Created<ApplicationBody>>, Problem> {
    let (new, request) = request.take_body();
    let create = tenancy::CreateApplication {
        account: request.tenancy,
        new: NewTenant::from(new.0),
    };
    request
        .execute_once(create, Mode::Commit, |application| {
            Ok(Created {
                name: application.slug.to_string(),
                body: ApplicationBody::of(&application),
            })
        })
        .await
}

async fn get_application(request: Request<ApplicationRef>) -> Result<Found<ApplicationBody>, Problem> {
    let place = request.tenancy;
    let application = request
        .run(move |app, _| async move { tenancy::get_application(&app, place).await })
        .await?;
    Ok(Found(ApplicationBody::of(&application)))
}

async fn patch_application(
    request: Request<ApplicationRef, (), (), IfMatch<Body<ChangeTenant>>>,
) -> Result<Found<ApplicationBody>, Problem> {
    let (IfMatch { input, version }, request) = request.take_body();
    let change = tenancy::ChangeApplication {
        application: request.tenancy,
        seen: version,
        patch: TenantPatch::from(input.0),
    };
    Ok(Found(ApplicationBody::of(&request.execute(change).await?)))
}

async fn delete_application(request: Request<ApplicationRef>) -> Result<NoContent, Problem> {
    let delete = tenancy::DeleteApplication {
        application: request.tenancy,
    };
    request.execute(delete).await?;
    Ok(NoContent)
}

async fn put_default_environment(
    request: Request<ApplicationRef, (), (), Body<ChangeDefaultEnvironment>>,
) -> Result<Found<ApplicationBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let change = tenancy::ChangeDefaultEnvironment {
        application: request.tenancy,
        slug: body.slug,
    };
    Ok(Found(ApplicationBody::of(&request.execute(change).await?)))
}

async fn list_environments(request: Request<ApplicationRef>) -> Result<Listing<EnvironmentBody>, Problem> {
    let place = request.tenancy;
    let environments = request
        .run(move |app, _| async move { tenancy::list_environments(&app, place).await })
        .await?;
    Ok(Listing::of(environments, |one| EnvironmentBody::of(&one)))
}

async fn post_environment(
    request: Request<ApplicationRef, (), (), Body<CreateEnvironment>>,
) -> Result<Repeatable<Created<CreatedEnvironment>>, Problem> {
    let (Body(body), request) = request.take_body();
    let max_bytes = request.import_bytes();
    let create = tenancy::CreateEnvironment {
        application: request.tenancy,
        new: NewTenant {
            name: body.name,
            slug: body.slug,
        },
        copy_from: body.copy_from.map(|slug| CopyFrom { slug, max_bytes }),
    };
    request
        .execute_once(create, Mode::Commit, |environment| {
            Ok(Created {
                name: environment.slug.to_string(),
                body: CreatedEnvironment {
                    environment: EnvironmentBody::of(&environment),
                    oauth_client_rotations: [],
                    webhook_subscription_rotations: [],
                },
            })
        })
        .await
}

async fn get_environment(request: Request<EnvironmentRef>) -> Result<Found<EnvironmentBody>, Problem> {
    Ok(Found(EnvironmentBody::of(&environment(&request).await?)))
}

async fn patch_environment(
    request: Request<EnvironmentRef, (), (), Body<ChangeTenant>>,
) -> Result<Found<EnvironmentBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let change = tenancy::ChangeEnvironment {
        environment: request.tenancy,
        patch: TenantPatch::from(body),
    };
    Ok(Found(EnvironmentBody::of(&request.execute(change).await?)))
}

async fn delete_environment(request: Request<EnvironmentRef>) -> Result<NoContent, Problem> {
    let delete = tenancy::DeleteEnvironment {
        environment: request.tenancy,
    };
    request.execute(delete).await?;
    Ok(NoContent)
}

async fn get_access_model(request: Request<EnvironmentRef>) -> Result<Found<AccessModelBody>, Problem> {
    Ok(Found(AccessModelBody {
        model: ShownModel(environment(&request).await?.access_model),
    }))
}

async fn environment(request: &Request<EnvironmentRef>) -> Result<Environment, Problem> {
    let place = request.tenancy;
    request
        .run(move |app, _| async move { tenancy::get_environment(&app, place).await })
        .await
}

async fn put_access_model(
    request: Request<EnvironmentRef, (), (), Body<ChangeAccessModel>>,
) -> Result<Found<EnvironmentBody>, Problem> {
    let change = tenancy::ChangeAccessModel {
        environment: request.tenancy,
        model: request.body.0.model,
    };
    Ok(Found(EnvironmentBody::of(&request.execute(change).await?)))
}
