//! The in-memory reference store of Canopy, for tests and embedding.
//!
//! It implements every rule of the ports in the simplest way: one writer at a time works on a copy of the areas it
//! touches, and its commit publishes the copy. Readers keep the state they began with. Nothing is written to a disk.

mod access;
mod api_key;
mod assignment;
mod audit;
mod committed;
mod hierarchy;
mod identity;
mod installation;
mod permission;
mod role;
mod rule;
mod scope;
mod setup;
mod state;
mod store;
mod table;
mod tenancy;
mod unit;

pub use store::MemoryStore;
