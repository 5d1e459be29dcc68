//! Test support for Canopy: what tests of every room of the house share.
//!
//! - [`FixedClock`], [`CountingIds`], [`CountingSecrets`]: the outside world, the same in every run.
//! - [`contract`]: the storage contract suite, which every store passes; see [`storage_contract!`].
//! - [`data_set`]: who may do what as plain pairs, real or made up.
//! - [`fixture`]: valid things to fill stores with, one by one or as a small [`World`](fixture::World).
//! - [`history`]: whether a serial order explains what clients were answered at the same time.
//! - `issuer` (feature `issuer`): an identity provider that serves its keys on loopback.
//! - `postgres` (with the feature of that name): a throw-away cluster, and a database for each test.
//! - [`sequence`]: random operations that all stores must answer alike.
//! - [`workload`]: the environments and questions of every benchmark.
//! - `server` (feature `server`): the whole service on a free port.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test support: a failed expectation is a failed test"
)]

pub mod clock;
pub mod contract;
pub mod data_set;
pub mod fixture;
pub mod history;
pub mod ids;
#[cfg(feature = "issuer")]
pub mod issuer;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sequence;
#[cfg(feature = "server")]
pub mod server;
pub mod workload;

pub use clock::FixedClock;
pub use ids::{CountingIds, CountingSecrets};
