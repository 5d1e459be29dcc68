//! Random operations on several stores at once, which must respond alike and stay in the same state.
//!
//! ```no_run
//! # use canopy_domain::port::RowStore;
//! # use canopy_conformance::sequence::{Unit, any_units, same_outcome};
//! # async fn example(one: &dyn RowStore, two: &dyn RowStore, units: &[Unit]) {
//! // In a proptest, `units` comes from `any_units(1..12)`.
//! same_outcome(&[one, two], units).await.expect("the same state");
//! # }
//! ```

mod dump;
mod operation;
mod rows;
mod run;

pub use dump::{Dump, dump, dump_all};
pub use operation::{Operation, Unit, any_operation, any_unit, any_units};
pub use run::{Difference, same_outcome};
