//! The OpenAPI document, built from the operation table.

use crate::answer::Success;
use crate::discovery;
use crate::error_body::ErrorBody;
use crate::error_code::ErrorCode;
use crate::idempotency::IDEMPOTENCY_KEY;
use crate::input::MAX_BODY_BYTES;
use crate::operation::{Mount, Operation, Precondition};
use crate::route::operations;
use crate::service_paths::{Health, PATHS};
use crate::surface::Surface;
use crate::wire::{Components, MAX_ITEMS};
use actix_web::http::StatusCode;
use canopy_app::session::Requires;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::openapi::extensions::{Extensions, ExtensionsBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Content, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, RefOr, Required, Response, ResponseBuilder, Schema,
};

/// The names of the security schemes.
const BEARER: &str = "bearer";
const API_KEY: &str = "apiKey";

/// The suffix of the tags of the public surface.
const PUBLIC_TAG: &str = " (public)";

const INTRODUCTION: &str = "Access control along an organisation tree.\n\n\
    Every error is an `Error`; its `code` is stable, and each call lists the codes it can return. \
    Every response has `X-Request-Id`: that of the request if it is valid, otherwise a new one. \
    A body has at most 8 MiB; unknown fields are refused, except below `/access/v1`; `null` equals absent, except in PATCH, where it clears the field.";

/// Returns the OpenAPI 3.1 document of all operations in the default configuration.
pub fn openapi() -> OpenApi {
    openapi_of(MAX_ITEMS)
}

/// Returns the document of an installation with this limit on the items of a bulk call.
pub(crate) fn openapi_of(max_items: usize) -> OpenApi {
    let mut components = Components::of_lists_up_to(max_items);
    let error = components.answer::<ErrorBody>();
    let mut paths: BTreeMap<String, PathItem> = BTreeMap::new();
    let mut tags: Vec<String> = Vec::new();
    for operation in operations() {
        for mount in &operation.mounts {
            let tag = tag(&operation, mount);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
            let described = describe(&operation, mount, &mut components, &error);
            let item = PathItem::new(method(&operation), described);
            paths.entry(mount.path()).or_default().merge_operations(item);
        }
    }
    // All tags of one surface come before those of the other.
    tags.sort_by_key(|tag| tag.ends_with(PUBLIC_TAG));
    for (path, name, summary) in PATHS {
        let item = PathItem::new(
            HttpMethod::Get,
            monitoring(path, name, summary, &mut components, &error),
        );
        paths.insert(path.to_owned(), item);
    }
    tags.push(MONITORING.to_owned());
    let mut builder = PathsBuilder::new();
    for (path, item) in paths {
        builder = builder.path(path, item);
    }
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "An access token. On the portal: of an operator, or of an admin of the account. On the public surface: of an admin \
             or an identity, with an environment. On the AuthZEN surface: of an admin, with an environment.",
        ))
        .build();
    let key = ApiKeyValue::with_description("X-API-Key", "An API key, which is bound to one environment.");
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Canopy")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(INTRODUCTION))
                .license(Some(license))
                .build(),
        )
        .tags(Some(tags.into_iter().map(|tag| TagBuilder::new().name(tag).build())))
        .paths(builder.build())
        .components(Some(
            ComponentsBuilder::new()
                .schemas_from_iter(components.into_inner())
                .security_scheme(BEARER, SecurityScheme::Http(token))
                .security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(key)))
                .build(),
        ))
        .build()
}

/// The tag of the endpoints about the service itself.
const MONITORING: &str = "Monitoring";

fn method(operation: &Operation) -> HttpMethod {
    match operation.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// Returns the tag of an operation on one surface.
fn tag(operation: &Operation, mount: &Mount) -> String {
    match mount.surface {
        Surface::Portal(_) | Surface::AuthZen => operation.tag.to_owned(),
        Surface::Public => format!("{}{PUBLIC_TAG}", operation.tag),
    }
}

/// Returns the name of an operation on one surface: names must be unique in a document.
fn name(operation: &Operation, mount: &Mount) -> String {
    if mount.surface != Surface::Public || operation.mounts.len() == 1 {
        return operation.name.to_owned();
    }
    let (first, rest) = operation.name.split_at_checked(1).unwrap_or_default();
    format!("public{}{rest}", first.to_ascii_uppercase())
}

/// Returns the credentials that an operation accepts on one surface.
fn securities(mount: &Mount) -> Vec<SecurityRequirement> {
    let schemes: &[&str] = match (mount.surface, mount.requires) {
        (Surface::Public | Surface::AuthZen, Requires::Area(_) | Requires::Checks) => &[API_KEY, BEARER],
        _ => &[BEARER],
    };
    let requirement = |scheme: &&str| SecurityRequirement::new(*scheme, Vec::<String>::new());
    schemes.iter().map(requirement).collect()
}

fn describe(
    operation: &Operation,
    mount: &Mount,
    components: &mut Components,
    error: &RefOr<Schema>,
) -> utoipa::openapi::path::Operation {
    let mut builder = OperationBuilder::new()
        .operation_id(Some(name(operation, mount)))
        .tag(tag(operation, mount))
        .summary(Some(operation.summary))
        .securities(Some(securities(mount)));
    for parameter in parameters(operation, mount) {
        builder = builder.parameter(parameter);
    }
    if let Some(schema) = (operation.shape.body)(components) {
        let body = RequestBodyBuilder::new()
            .content("application/json", Content::new(Some(schema)))
            .required(Some(operation.shape.body_required.clone()))
            .description(Some(format!("At most {MAX_BODY_BYTES} bytes.")));
        builder = builder.request_body(Some(body.build()));
    }
    for success in (operation.shape.answers)(components) {
        builder = builder.response(success.status.as_str(), succeeded(&success, &operation.item_rules));
    }
    for (status, response) in refusals(&mount.codes, error) {
        builder = builder.response(status, response);
    }
    if let Some(scope) = mount.requires.scope() {
        builder = builder.extensions(Some(ExtensionsBuilder::new().add("x-key-scope", scope).build()));
    }
    builder.build()
}

fn text_schema() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

fn parameters(operation: &Operation, mount: &Mount) -> Vec<Parameter> {
    let shape = &operation.shape;
    let in_path = |name: &str, description: &str, schema: Schema| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(schema))
            .build()
    };
    let slugs = mount.surface.slugs().iter();
    let mut parameters: Vec<Parameter> = slugs
        .map(|(name, description)| in_path(name, description, Schema::Object(text_schema().build())))
        .collect();
    for (name, schema) in &shape.ids {
        parameters.push(in_path(name, "Its id.", Schema::Object(schema.clone())));
    }
    parameters.extend(shape.query.iter().cloned());
    if shape.repeatable {
        let key = ParameterBuilder::new()
            .name(IDEMPOTENCY_KEY)
            .parameter_in(ParameterIn::Header)
            .description(Some(
                "A key of the caller's choice. For 24 hours a repetition of the request with the same key gets the response of \
                 the first one and has no effect.",
            ))
            .schema(Some(Schema::Object(text_schema().pattern(Some("^[!-~]{1,255}$")).build())));
        parameters.push(key.build());
    }
    if shape.precondition != Precondition::Ignored {
        let version = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(match shape.precondition {
                Precondition::Required => Required::True,
                Precondition::Optional | Precondition::Ignored => Required::False,
            })
            .description(Some(
                "The expected version, bare or as an entity tag, or several separated by commas; `*` for any.",
            ))
            .schema(Some(Schema::Object(
                text_schema()
                    .pattern(Some(
                        "^(\\*|((W/)?\"[1-9][0-9]*\"|[1-9][0-9]*)( *, *((W/)?\"[1-9][0-9]*\"|[1-9][0-9]*))*)$",
                    ))
                    .build(),
            )));
        parameters.push(version.build());
    }
    parameters
}

fn succeeded(success: &Success, item_rules: &BTreeSet<ErrorCode>) -> Response {
    let mut builder = ResponseBuilder::new();
    if success.status == StatusCode::MULTI_STATUS {
        let description = format!(
            "{}\n\nCodes of items:\n{}",
            success.description,
            meanings(item_rules.iter())
        );
        builder = builder
            .description(description)
            .extensions(Some(coded("x-codes", item_rules.iter())));
    } else {
        builder = builder.description(success.description);
    }
    if let Some(schema) = &success.schema {
        builder = builder.content("application/json", Content::new(Some(schema.clone())));
    }
    for (name, description) in &success.headers {
        builder = builder.header(*name, header(description));
    }
    builder.build()
}

fn header(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(Schema::Object(text_schema().build())))
        .description(Some(description))
        .build()
}

/// Formats one line per code.
fn meanings<'c>(codes: impl Iterator<Item = &'c ErrorCode>) -> String {
    let lines = codes.map(|code| format!("- `{}`: {}", code.as_str(), code.meaning()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the codes as an extension, for programs.
fn coded<'c>(name: &str, codes: impl Iterator<Item = &'c ErrorCode>) -> Extensions {
    let listed: Vec<&str> = codes.map(|code| code.as_str()).collect();
    ExtensionsBuilder::new().add(name, listed).build()
}

/// Returns one response per status, with its codes and their meanings.
fn refusals(codes: &BTreeSet<ErrorCode>, error: &RefOr<Schema>) -> Vec<(String, Response)> {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    let refusal = |(status, codes): (u16, Vec<ErrorCode>)| {
        let mut builder = ResponseBuilder::new()
            .description(meanings(codes.iter()))
            .content("application/json", Content::new(Some(error.clone())))
            .extensions(Some(coded("x-codes", codes.iter())));
        if status == 401 {
            builder = builder.header("WWW-Authenticate", header("`Bearer error=\"invalid_token\"`."));
        }
        if matches!(status, 429 | 503) {
            builder = builder.header("Retry-After", header("Seconds to wait before a retry."));
        }
        (status.to_string(), builder.build())
    };
    by_status.into_iter().map(refusal).collect()
}

fn monitoring(
    path: &str,
    name: &str,
    summary: &str,
    components: &mut Components,
    error: &RefOr<Schema>,
) -> utoipa::openapi::path::Operation {
    let content = match path {
        "/openapi.json" => {
            let any = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object)).build();
            ("application/json", Content::new(Some(Schema::Object(any))))
        }
        "/metrics" => (
            "application/openmetrics-text",
            Content::new(Some(Schema::Object(text_schema().build()))),
        ),
        "/docs" => ("text/html", Content::new(Some(Schema::Object(text_schema().build())))),
        discovery::PATH => (
            "application/json",
            Content::new(Some(components.answer::<discovery::Configuration>())),
        ),
        _ => ("application/json", Content::new(Some(components.answer::<Health>()))),
    };
    let mut builder = OperationBuilder::new()
        .operation_id(Some(name))
        .tag(MONITORING)
        .summary(Some(summary))
        .securities(Some([SecurityRequirement::default()]))
        .response(
            "200",
            ResponseBuilder::new()
                .description("The condition holds.")
                .content(content.0, content.1)
                .build(),
        );
    if path == "/health/ready" {
        let codes = BTreeSet::from([ErrorCode::Busy, ErrorCode::Unavailable, ErrorCode::Internal]);
        for (status, response) in refusals(&codes, error) {
            builder = builder.response(status, response);
        }
    }
    builder.build()
}
