//! The rows of every table: columns and decoders, declared once.
//!
//! A struct's columns and its decoder are one declaration, so they cannot differ. A new column is a line here, a line in each
//! store's migration, and a line where each store writes the row.

pub mod access;
pub mod api_key;
pub mod assignment;
pub mod audit;
pub mod hierarchy;
pub mod identity;
pub mod installation;
pub mod role;
pub mod setup;
pub mod tenancy;

use crate::shape::shape;

shape! {
    /// A number that is not negative, computed.
    CountRow in "a count" reads (u64) { count: _ as count, } => count
}

shape! {
    /// A text, computed.
    TextRow in "a text" reads (String) { text: _ as string, } => text
}

shape! {
    /// A flag, computed.
    FlagRow in "a question" reads (bool) { flag: _ as flag, } => flag
}
