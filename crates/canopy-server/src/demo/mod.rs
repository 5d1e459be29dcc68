//! Demo data for an empty store, and commands to try it.

mod commands;
mod data;
mod seed;
mod status;

pub use commands::{Commands, commands};
pub use seed::{DemoError, seed};
pub use status::{Candidate, Demo, Status, status};

/// The slug of the demo's account.
pub const ACCOUNT: &str = "acme";
/// The slug of its application.
pub const APPLICATION: &str = "notes";
/// The slug of the environment with the tree.
pub const ENVIRONMENT: &str = "development";

#[cfg(test)]
mod tests;
