//! The OpenID AuthZEN metadata document: the address of each endpoint. It requires no credential.

use crate::state::HttpState;
use crate::surface::Surface;
use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

/// The path of the document.
pub(crate) const PATH: &str = "/.well-known/authzen-configuration";

/// The metadata of a policy decision point.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessConfiguration)]
pub(crate) struct Configuration {
    /// The URL under which clients reach this installation.
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    search_subject_endpoint: String,
    search_resource_endpoint: String,
    search_action_endpoint: String,
}

/// Returns the document.
pub(crate) fn answer(state: &HttpState) -> HttpResponse {
    let base = state.public_url();
    let at = |tail: &str| format!("{base}{}/{tail}", Surface::AuthZen.prefix());
    let configuration = Configuration {
        policy_decision_point: base.to_owned(),
        access_evaluation_endpoint: at("evaluation"),
        access_evaluations_endpoint: at("evaluations"),
        search_subject_endpoint: at("search/subject"),
        search_resource_endpoint: at("search/resource"),
        search_action_endpoint: at("search/action"),
    };
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .json(configuration)
}
