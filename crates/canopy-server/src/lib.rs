//! The Canopy server: configuration, wiring and command line.

pub mod adapter;
pub mod config;
pub mod data_dir;
pub mod demo;
