//! The documents that the service shows of itself, once they are written.

use actix_web::web::Bytes;

/// The OpenAPI document and the page that shows it to people.
pub(crate) struct Documents {
    pub(crate) openapi: Bytes,
    pub(crate) page: Bytes,
}
