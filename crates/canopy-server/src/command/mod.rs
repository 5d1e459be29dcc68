//! The commands.

pub mod serve;
pub mod token;
