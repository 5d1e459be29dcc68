//! The parts of a SQL store that do not depend on the database.
//!
//! Each table's columns, and the domain value that a row becomes, are declared once, in [`rows`]. A store implements [`Row`]
//! for the rows of its driver, writes its own statements as [`SqlText`], and names the columns by the declaration. The
//! classes of errors, the codec of the hierarchy schema and the arithmetic of lists are here too.

#[doc(hidden)]
pub mod coverage;
pub mod error;
pub mod listing;
pub mod row;
pub mod rows;
pub mod schema_text;
pub mod shape;
pub mod text;
pub mod tree;
pub mod write;

pub use row::Row;
pub use shape::Shape;
pub use text::SqlText;
