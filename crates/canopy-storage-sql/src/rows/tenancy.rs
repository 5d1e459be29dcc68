//! Rows of accounts, applications and environments.

use crate::schema_text;
use crate::shape::shape;
use canopy_domain::{
    AccessModel, Account, Application, DisplayName, Environment, EnvironmentId, EnvironmentRef, HierarchySchema,
    JsonObject, Slug,
};

shape! {
    /// An account.
    AccountRow in "accounts" reads Account {
        id: "id" as id,
        slug: "slug" as text(Slug::parse),
        name: "name" as text(DisplayName::restored),
        settings: "settings" as text(JsonObject::parse),
        version: "version" as version,
        created_at: "created_at" as at,
        updated_at: "updated_at" as at,
    }
}

shape! {
    /// An application.
    ApplicationRow in "applications" reads Application {
        id: "id" as id,
        account_id: "account_id" as id,
        slug: "slug" as text(Slug::parse),
        name: "name" as text(DisplayName::restored),
        settings: "settings" as text(JsonObject::parse),
        default_environment_id: "default_environment_id" as optional_id,
        version: "version" as version,
        created_at: "created_at" as at,
        updated_at: "updated_at" as at,
    }
}

shape! {
    /// An environment, without its schema.
    EnvironmentRow in "environments" reads Environment {
        id: "id" as id,
        application_id: "application_id" as id,
        slug: "slug" as text(Slug::parse),
        name: "name" as text(DisplayName::restored),
        settings: "settings" as text(JsonObject::parse),
        access_model: "access_model" as word(AccessModel::parse),
        version: "version" as version,
        created_at: "created_at" as at,
        updated_at: "updated_at" as at,
    }
}

shape! {
    /// The id of an environment.
    EnvironmentIdRow in "environments" reads (EnvironmentId) { id: "id" as id, } => id
}

shape! {
    /// The ids of an environment, its application and its account.
    EnvironmentRefRow in "environments" reads EnvironmentRef {
        environment: _ as id,
        application: _ as id,
        account: _ as id,
    }
}

shape! {
    /// The access model and the schema of an environment.
    HierarchyRow in "environments" reads ((AccessModel, HierarchySchema)) {
        _id: "id" as optional_uuid,
        model: "access_model" as word(AccessModel::parse),
        schema: "hierarchy_schema" as word(schema_text::read),
    } => (model, schema)
}
