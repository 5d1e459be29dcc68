//! Test support for Canopy: what tests of every room of the house share.
//!
//! - [`FixedClock`], [`CountingIds`], [`CountingSecrets`]: the outside world, the same in every run.
//! - [`fixture`]: valid things to fill stores with, one by one or as a small [`World`](fixture::World).

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test support: a failed expectation is a failed test"
)]

pub mod clock;
pub mod fixture;
pub mod ids;

pub use clock::FixedClock;
pub use ids::{CountingIds, CountingSecrets};
