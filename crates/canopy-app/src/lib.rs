//! The use cases of Canopy: one file for each operation.
//!
//! A use case that writes is a value that implements [`Write`]: it reads facts, calls a pure rule of `canopy-domain` and
//! returns a [`Plan`], which [`App::execute`] applies and commits. A use case that reads is a function. Neither knows SQL or
//! HTTP.
//!
//! Run a use case in its own task: dropping its future during a commit leaves open whether the change was made.

#![deny(missing_docs, clippy::future_not_send)]

pub mod access;
pub mod api_key;
mod app;
pub mod assignment;
pub mod audit;
mod audit_entry;
pub mod authzen;
mod caller;
mod commit;
pub mod decisions;
mod error;
mod execute;
pub mod hierarchy;
mod idempotency;
pub mod identity;
pub mod long_work;
pub mod permission;
pub mod role;
pub mod session;
pub mod setup;
pub mod tenancy;
pub mod transfer;
mod unit_of_work;

pub use app::App;
pub use caller::{Call, Caller};
pub use error::AppError;
pub use execute::{Mode, Moment, Plan, Preview, Write};
pub use idempotency::{Encode, Repeatable, RepetitionError};
