//! Demo data: a small company in an empty store, and commands to try it with.

mod commands;
mod company;
mod seed;
mod standing;

pub use commands::{Commands, commands};
pub use seed::{DemoError, seed};
pub use standing::{Candidate, Demo, Standing, standing};

/// The slug of the demo's account.
pub const ACCOUNT: &str = "acme";
/// The slug of its application.
pub const APPLICATION: &str = "notes";
/// The slug of the environment with the tree.
pub const ENVIRONMENT: &str = "development";

#[cfg(test)]
mod tests;
