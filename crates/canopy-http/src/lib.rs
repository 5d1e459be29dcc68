//! The HTTP adapter of Canopy.

mod error_code;
mod problem;
pub mod token;
mod wire;

pub use error_code::ErrorCode;
mod answer;
mod bulk;
mod credential;
mod edge;
mod input;
mod operation;
mod request;
mod scope;
mod state;
pub use state::HttpState;
mod route;
