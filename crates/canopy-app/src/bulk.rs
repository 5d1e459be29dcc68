//! How bulk calls are carried out.

/// How a batch is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkMode {
    /// Any refused item keeps all others from being stored.
    pub atomic: bool,
    /// Everything is judged, nothing is written.
    pub dry_run: bool,
}

impl BulkMode {
    /// The way a single item is created.
    pub const SINGLE: Self = Self {
        atomic: true,
        dry_run: false,
    };
}
