//! Ids and secrets from counters instead of randomness: the same in every run.

use canopy_domain::port::{Ids, Secrets};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Mints UUIDs of version 7 by counting. Clones share the count; two counters of the same series mint the same ids.
///
/// ```
/// # use canopy_domain::port::Ids;
/// # use canopy_testkit::CountingIds;
/// let ids = CountingIds::default();
/// assert_eq!(ids.mint().to_string(), "019da000-0000-7000-8000-000000000001");
/// assert_eq!(ids.mint().to_string(), "019da000-0000-7000-8000-000000000002");
/// ```
#[derive(Debug, Clone, Default)]
pub struct CountingIds {
    series: u16,
    minted: Arc<AtomicU64>,
}

impl CountingIds {
    /// Creates a counter whose ids differ from those of every other series (0 to 4095).
    pub fn series(series: u16) -> Self {
        Self {
            series: series & 0x0fff,
            minted: Arc::default(),
        }
    }
}

impl Ids for CountingIds {
    fn mint(&self) -> Uuid {
        let number = self.minted.fetch_add(1, Ordering::SeqCst) + 1;
        counted_id(self.series, number)
    }
}

/// Returns the id with this number in a series, as [`CountingIds`] mints it.
pub fn counted_id(series: u16, number: u64) -> Uuid {
    const APRIL_2026: u128 = 0x019d_a000_0000;
    let (version, variant) = (0x7, 0b10);
    Uuid::from_u128(
        APRIL_2026 << 80 | version << 76 | u128::from(series & 0x0fff) << 64 | variant << 62 | u128::from(number),
    )
}

/// Returns 32 bytes that end in a counter. Not secret.
#[derive(Debug, Clone, Default)]
pub struct CountingSecrets(Arc<AtomicU64>);

impl Secrets for CountingSecrets {
    fn bytes(&self) -> [u8; 32] {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        bytes
    }
}
