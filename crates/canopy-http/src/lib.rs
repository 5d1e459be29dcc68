//! The HTTP adapter of Canopy.

mod wire;
