//! The question that everything else serves.

pub mod evaluate;
