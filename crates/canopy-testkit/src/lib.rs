//! Canopy in a test: the whole service on a free port, and valid data for it.
//!
//! - [`FixedClock`], [`CountingIds`], [`CountingSecrets`]: time, ids and secrets that are the same in every run.
//! - [`fixture`]: valid entities, one at a time or as a small [`World`](fixture::World).
//! - `server` (feature `server`, on by default): `TestServer`, the service on an in-memory or a SQLite store, and `Api`, a
//!   client for it.
//! - `issuer` (feature `issuer`): an identity provider that serves its keys on loopback.
//! - `postgres` (feature `postgres`): a throw-away PostgreSQL server, and a database for each test.
//! - [`workload`]: the environments and checks of every benchmark.
//!
//! Test stores with `canopy-conformance`.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test support: a failed expectation is a failed test"
)]

pub mod clock;
pub mod fixture;
pub mod ids;
#[cfg(feature = "issuer")]
pub mod issuer;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "server")]
pub mod server;
pub mod workload;

pub use clock::FixedClock;
pub use ids::{CountingIds, CountingSecrets};
