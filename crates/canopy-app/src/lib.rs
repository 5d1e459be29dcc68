//! The use cases of Canopy: one file for each operation.
