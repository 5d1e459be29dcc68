//! The Canopy server: configuration, wiring and command line.

pub mod adapter;
pub mod cli;
pub mod command;
pub mod config;
pub mod data_dir;
pub mod demo;
mod log;
mod run;
mod signal;
pub mod store;
pub mod tokens;
mod watched_store;

pub use run::run;
