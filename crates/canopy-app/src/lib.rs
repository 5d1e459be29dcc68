//! The use cases of Canopy: one file for each operation.
//!
//! A use case opens a unit of work, loads facts, calls a pure rule of `canopy-domain`, applies its plan and commits. It
//! knows no SQL and no HTTP.
//!
//! Run a use case on a task of its own: a caller that drops the future in mid-commit would leave open whether the
//! change took place.

#![deny(missing_docs, clippy::future_not_send)]

pub mod access;
pub mod api_key;
mod app;
pub mod assignment;
pub mod audit;
pub mod authzen;
mod bulk;
mod caller;
pub mod decisions;
mod directory;
mod error;
pub mod hierarchy;
mod idempotency;
pub mod identity;
pub mod long_work;
pub mod permission;
pub mod role;
pub mod scope;
pub mod setup;
pub mod tenancy;
pub mod transfer;
mod unit_of_work;

pub use app::App;
pub use bulk::BulkMode;
pub use caller::{Call, Caller};
pub use error::AppError;
pub use idempotency::{Encode, Repeatable, RepetitionError};
