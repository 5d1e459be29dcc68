//! The page at `/`: links for people who open the address of the service in a browser.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_SECURITY_POLICY;

const PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
    <title>Canopy</title></head><body><h1>Canopy</h1><p>Access control along an organisation tree.</p><ul>\
    <li><a href=\"/docs\">API reference</a></li>\
    <li><a href=\"/openapi.json\">OpenAPI document</a></li>\
    <li><a href=\"/.well-known/authzen-configuration\">AuthZEN configuration</a></li>\
    <li><a href=\"/health/ready\">Readiness</a></li></ul></body></html>";

/// Returns the page. It is not part of the API, so the OpenAPI document omits it.
pub(crate) fn answer() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'",
        ))
        .body(PAGE)
}
