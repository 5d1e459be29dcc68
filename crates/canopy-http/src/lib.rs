//! The HTTP adapter of Canopy: routes, wire types, authentication, problem mapping and the OpenAPI document.
//!
//! A request takes these steps: the [edge](configure) assigns an id; the route reads credential, principal, tenancy and
//! body, in this order, into domain values; a use case of `canopy-app` runs on the shared runtime, a check on the
//! worker that read it; its result or error becomes a response. Each call is one entry of a table, from which its route
//! and its part of the document are built.

mod answer;
mod attempt;
mod body_budget;
mod bulk;
mod connection;
mod credential;
mod cursor;
mod discovery;
mod documents;
mod edge;
mod error_body;
mod error_code;
mod field_code;
mod forwarded;
mod front;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod handler;
mod idempotency;
mod if_match;
mod incoming;
mod input;
mod limits;
mod log_budget;
mod metrics;
mod monitor;
mod openapi;
mod operation;
mod problem;
mod readiness;
mod reference;
mod rendered;
mod request;
mod request_id;
mod route;
mod router;
mod server;
mod service_paths;
mod state;
mod surface;
pub mod token;
mod wire;

pub use body_budget::DEFAULT_MIB as DEFAULT_BODY_MIB;
pub use error_code::ErrorCode;
pub use field_code::FIELD_CODES;
pub use ipnet::IpNet;
pub use limits::LimitOptions;
pub use openapi::openapi;
pub use readiness::ReadinessCheck;
pub use router::configure;
pub use server::{ACCEPTED_AHEAD, METRICS_CONNECTIONS, ServerOptions, metrics_server, server};
pub use state::{BODY_WAIT, HttpState};
