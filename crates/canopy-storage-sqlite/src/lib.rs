//! The SQLite store of Canopy: the embedded default.
//!
//! One file in WAL mode, one writer behind a ticket with a deadline, several readers with a snapshot each. SQL is written
//! out, area by area; every call of the port is a constant number of statements.

mod access;
mod api_key;
mod assignment;
mod audit;
mod connection;
mod error;
mod folding;
mod hierarchy;
mod identity;
mod installation;
mod kept_answer;
mod migration;
mod options;
mod packed;
mod permission;
mod role;
mod search;
mod setup;
mod statement;
mod store;
mod temporary;
mod tenancy;
#[cfg(test)]
mod tests;
mod unit_of_work;

pub use migration::OpenError;
pub use options::{SqliteOptions, Synchronous};
pub use store::SqliteStore;
