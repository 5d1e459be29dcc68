//! Data for the end-to-end tests in `tests/` and the benchmarks in `benches/`. No other crate depends on this one.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test support: a failed expectation is a failed test"
)]

pub mod data_set;
