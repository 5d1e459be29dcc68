//! The adapters of the small ports: time, ids, randomness, and the HTTP client. No other code reads these from the
//! machine.

mod clock;
mod http_client;
mod ids;
mod secrets;

pub use clock::SystemClock;
pub use http_client::{Document, DocumentUrl, FetchError, HttpClient};
pub use ids::UuidV7Ids;
pub use secrets::OsSecrets;
