//! The adapters of the small ports: time, identifiers and randomness, and the HTTP client. Only here is the machine asked
//! for them.

mod clock;
mod http_client;
mod ids;
mod secrets;

pub use clock::SystemClock;
pub use http_client::{Document, DocumentUrl, FetchError, HttpClient};
pub use ids::UuidV7Ids;
pub use secrets::OsSecrets;
