//! The adapters of the small ports: time, identifiers and randomness. Only here is the machine asked for them.

mod clock;
mod ids;
mod secrets;

pub use clock::SystemClock;
pub use ids::UuidV7Ids;
pub use secrets::OsSecrets;
