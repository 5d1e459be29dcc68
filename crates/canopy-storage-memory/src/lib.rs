//! The in-memory reference store of Canopy, for tests and embedding.
