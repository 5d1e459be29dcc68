//! The PostgreSQL store of Canopy: several instances of the service on one database.
//!
//! PostgreSQL 15 or newer, over diesel-async and tokio-postgres; no libpq. Reading sees one snapshot. Writing runs at
//! READ COMMITTED under locks on rows: whoever writes in an environment holds that environment's row, so writes of one
//! environment follow each other and those of different environments never wait for each other. SQL is written out, area
//! by area, with whole sets as values; every call of the port is a constant number of statements.

#![deny(clippy::future_not_send)]

mod access;
mod api_key;
mod assignment;
mod audit;
mod connect;
mod error;
mod feed;
mod folding;
mod health;
mod hierarchy;
mod identity;
mod installation;
mod kept_answer;
mod lock;
mod migration;
mod options;
mod permission;
mod pool;
mod pulse;
mod role;
mod search;
mod setup;
mod ssl_mode;
mod statement;
mod store;
mod tenancy;
mod tls;
mod turns;
mod unit_of_work;
mod value;

pub use migration::OpenError;
pub use options::{PgOptions, UrlError};
pub use store::PgStore;
