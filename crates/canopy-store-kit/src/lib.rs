//! Parts from which stores are built, none of which knows a database.
//!
//! - [`change_codec`] encodes the change records of an environment.
//! - [`running_requests`] holds the claims on repeatable requests of a store to which one process writes.

pub mod change_codec;
pub mod running_requests;
