//! The SQLite store of Canopy: the embedded default.
