//! The OpenAPI document and its page, rendered once and cached.

use actix_web::web::Bytes;

/// The OpenAPI document and its page for people.
pub(crate) struct Documents {
    pub(crate) openapi: Bytes,
    pub(crate) page: Bytes,
}
