//! The examples are the files beside this folder. Run one with `cargo run -p canopy-examples --example embed`.
