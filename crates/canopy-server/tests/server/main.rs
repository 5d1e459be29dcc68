//! The real binary, started as a process of its own, with a data directory of its own.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod bounds;
mod configuration;
mod demo;
#[cfg(target_os = "linux")]
mod disk_full;
mod documents;
mod failover;
mod faults;
mod issuer_certificates;
mod issuers;
mod lifecycle;
mod mixed_load;
mod paste;
mod postgres;
mod postgres_faults;
mod process;
mod recorder;
mod several_servers;
mod token;
