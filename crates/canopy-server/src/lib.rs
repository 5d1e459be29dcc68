//! The Canopy server: configuration, wiring and command line.

pub mod adapter;
mod backoff;
pub mod cli;
pub mod command;
pub mod config;
mod console;
pub mod data_dir;
pub mod demo;
mod descriptors;
mod ending;
pub mod exports;
mod key_sources;
mod log;
mod run;
mod shared_keys;
mod signal;
pub mod store;
mod token_source;
pub mod tokens;
mod upkeep;

pub use run::run;
