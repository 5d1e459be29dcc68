//! API keys.

use crate::answer::{Created, Found, Listing, NoContent, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Components, Fault, Faults, Instant, Json, JsonPointer, Whole, WireText, WireValue, not_one_of, request_body, words,
};
use canopy_app::Mode;
use canopy_app::api_key::{self, MadeKey, NewKey};
use canopy_domain::api_key::{AccessMode, ApiKey, KeyAccess};
use canopy_domain::{ApiKeyId, Description, DisplayName, EnvironmentRef, PermissionKey, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "API keys";
    const MANAGE: &str = "api_key.manage";
    vec![
        Operation::get("/api-keys", "listApiKeys")
            .summary(TAG, "List the API keys of the environment, newest first.")
            .requires(MANAGE)
            .handler(list_keys),
        Operation::post("/api-keys", "createApiKey")
            .summary(TAG, "Create an API key. Only this response contains the secret.")
            .writes::<api_key::CreateApiKey>()
            .errors(&[
                E::Escalation,
                E::UnknownPermissionKeys,
                E::TooManyApiKeys,
                E::TooManyScopes,
            ])
            .handler(post_key),
        Operation::delete("/api-keys/{apiKeyId}", "revokeApiKey")
            .summary(TAG, "Revoke an API key with immediate effect.")
            .writes::<api_key::RevokeApiKey>()
            .errors(&[E::ApiKeyNotFound])
            .handler(delete_key),
        Operation::post("/api-keys/{apiKeyId}/rotate", "rotateApiKey")
            .summary(
                TAG,
                "Replace an API key by a new one with the same scopes and expiry. Only this response contains the secret.",
            )
            .writes::<api_key::RotateApiKey>()
            .errors(&[
                E::ApiKeyNotFound,
                E::Escalation,
                E::ApiKeyExpired,
                E::TooManyApiKeys,
                E::TooManyScopes,
            ])
            .handler(rotate_key),
    ]
}

/// An API key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct ApiKeyBody {
    id: Uuid,
    name: String,
    description: Option<String>,
    /// The first characters of the key, by which people recognize it.
    key_preview: String,
    #[schema(inline)]
    access_mode: ShownMode,
    /// The key scopes: areas, and permissions that the key may check; empty with full access.
    scopes: Vec<String>,
    /// True if the key is accepted now.
    is_active: bool,
    /// The last use of the key. Recorded with a delay.
    last_used_at: Option<Instant>,
    /// The first instant at which the key is refused.
    expires_at: Option<Instant>,
    created_at: Instant,
}

/// An API key that was just created.
#[derive(Serialize, ToSchema)]
struct NewApiKey {
    #[serde(flatten)]
    api_key: ApiKeyBody,
    /// The secret key. Shown once: a replayed response omits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Representation for NewApiKey {
    fn kept(self) -> Self {
        Self { key: None, ..self }
    }
}

/// The access mode of a key.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ShownMode {
    /// Access to the whole public surface.
    FullAccess,
    /// Limited to its scopes.
    Scoped,
}

impl ApiKeyBody {
    fn of(key: &ApiKey, now: Timestamp) -> Self {
        Self {
            id: key.id.as_uuid(),
            name: key.name.to_string(),
            description: key.description.as_ref().map(ToString::to_string),
            key_preview: key.preview.as_str().to_owned(),
            access_mode: match key.access.mode() {
                AccessMode::FullAccess => ShownMode::FullAccess,
                AccessMode::Scoped => ShownMode::Scoped,
            },
            scopes: key.access.scopes().into_iter().map(str::to_owned).collect(),
            is_active: key.is_active(now),
            last_used_at: key.last_used_at.map(Instant),
            expires_at: key.expires_at.map(Instant),
            created_at: Instant(key.created_at),
        }
    }
}

impl NewApiKey {
    fn of(made: MadeKey) -> Self {
        let now = made.key.created_at;
        Self {
            api_key: ApiKeyBody::of(&made.key, now),
            key: made.text.map(|text| text.expose().to_owned()),
        }
    }
}

impl WireText for AccessMode {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse(text).ok_or_else(|| not_one_of(Self::ALL.iter().map(|mode| mode.as_str())))
    }

    fn describe() -> Object {
        words(Self::ALL.iter().map(|mode| mode.as_str()))
    }

    fn word(&self) -> Option<&'static str> {
        Some(self.as_str())
    }
}

request_body!(
    /// An API key to create.
    struct CreateApiKey {
        /// The name, for people.
        name: DisplayName,
        /// A description, for people.
        description: Option<Description>,
        /// The access mode.
        access_mode: AccessMode,
        /// Permission keys of the catalog; required with `scoped`, forbidden with `full_access`. A system key opens its
        /// area, a custom key allows checks of that key.
        scopes: BTreeSet<PermissionKey> = BTreeSet::new(),
        /// The first instant at which the key is refused. Default: never.
        expires_at: Option<Timestamp>,
    }
);

request_body!(
    /// The body of a rotation.
    struct RotateApiKey {
        /// Seconds for which the old key keeps working; at 0 it is revoked.
        overlap_seconds: Whole<0, 86_400> = Whole(0),
    }
);

/// A key to create, whose scopes fit its mode.
#[derive(Debug)]
struct Wanted(NewKey);

impl WireValue for Wanted {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let body = CreateApiKey::read(json, place, faults)?;
        let Some(access) = KeyAccess::new(body.access_mode, body.scopes) else {
            let misfit = match body.access_mode {
                AccessMode::FullAccess => Fault::new("not_allowed", "is not allowed with the mode `full_access`"),
                AccessMode::Scoped => Fault::new("required", "is required with the mode `scoped`"),
            };
            faults.add(&JsonPointer::Member(place, "scopes"), misfit);
            return None;
        };
        Some(Self(NewKey {
            name: body.name,
            description: body.description,
            access,
            expires_at: body.expires_at,
        }))
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        CreateApiKey::schema(components)
    }
}

async fn list_keys(request: Request<EnvironmentRef>) -> Result<Listing<ApiKeyBody>, Problem> {
    let place = request.tenancy;
    let keys = request
        .run(move |app, _| async move { api_key::list_api_keys(&app, &place).await })
        .await?;
    let now = request.app().now();
    Ok(Listing::of(keys, |key| ApiKeyBody::of(&key, now)))
}

async fn post_key(
    request: Request<EnvironmentRef, (), (), Body<Wanted>>,
) -> Result<Repeatable<Created<NewApiKey>>, Problem> {
    let (Body(Wanted(new)), request) = request.take_body();
    let create = api_key::CreateApiKey {
        environment: request.tenancy,
        new,
    };
    let making = request.execute_once(create, Mode::Commit, |made| {
        Ok(Created {
            name: made.key.id.to_string(),
            body: NewApiKey::of(made),
        })
    });
    making.await
}

async fn delete_key(request: Request<EnvironmentRef, ApiKeyId>) -> Result<NoContent, Problem> {
    let revoke = api_key::RevokeApiKey {
        environment: request.tenancy,
        id: request.id,
    };
    request.execute(revoke).await?;
    Ok(NoContent)
}

async fn rotate_key(
    request: Request<EnvironmentRef, ApiKeyId, (), Body<RotateApiKey, true>>,
) -> Result<Repeatable<Found<NewApiKey>>, Problem> {
    let (Body(body), request) = request.take_body();
    let rotate = api_key::RotateApiKey {
        environment: request.tenancy,
        id: request.id,
        overlap_seconds: body.overlap_seconds.0,
    };
    request
        .execute_once(rotate, Mode::Commit, |made| Ok(Found(NewApiKey::of(made))))
        .await
}
