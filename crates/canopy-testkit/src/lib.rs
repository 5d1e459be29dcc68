//! Test support for Canopy: what tests of every room of the house share.
//!
//! - [`FixedClock`], [`CountingIds`], [`CountingSecrets`]: the outside world, the same in every run.

#![expect(clippy::expect_used, reason = "test support: a failed expectation is a failed test")]

pub mod clock;
pub mod ids;

pub use clock::FixedClock;
pub use ids::{CountingIds, CountingSecrets};
