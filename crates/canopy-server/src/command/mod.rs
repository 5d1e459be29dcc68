//! What the commands do.

pub mod serve;
pub mod token;
