//! Tests that every store of Canopy must pass.
//!
//! - [`contract`]: the storage contract, one small test for each clause; see [`storage_contract!`].
//! - [`sequence`]: random operations to which all stores must respond alike.
//! - [`history`]: checks that a serial order explains the responses that concurrent clients received.
//!
//! The author of a store adds this crate to the `dev-dependencies`, expands [`storage_contract!`] in one test file, and
//! compares the store with `canopy_storage_memory::MemoryStore` by [`sequence::same_outcome`].

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test support: a failed expectation is a failed test"
)]

pub mod contract;
pub mod history;
pub mod sequence;
