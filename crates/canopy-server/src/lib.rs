//! The Canopy server: configuration, wiring and command line.
