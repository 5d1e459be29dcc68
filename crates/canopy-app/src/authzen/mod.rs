//! Questions in the words of the OpenID AuthZEN Authorization API 1.0, where things have names.
//!
//! Names are looked up after the request has begun and before it is judged; then all of it is judged at one instant and one
//! revision. What a name may be besides an id is asked of the store, for all names of a request at once.

pub mod evaluate;
mod named;
mod remembered;

pub(crate) use remembered::RememberedSubjects;

/// Something that has a type, and an id within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// The type.
    pub kind: String,
    /// What it is called.
    pub id: String,
}
