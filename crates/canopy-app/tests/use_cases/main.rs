//! The use cases on the in-memory store: what they write, what they refuse, and that no check is ever behind a write.

#[cfg(test)]
mod api_key;
#[cfg(test)]
mod assignment;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod authzen;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod failure;
#[cfg(test)]
mod freshness;
#[cfg(test)]
mod hierarchy;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod key_lookups;
#[cfg(test)]
mod key_scopes;
#[cfg(test)]
mod membership;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod names;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod role;
#[cfg(test)]
mod session;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod several_processes;
#[cfg(test)]
mod tenancy;
#[cfg(test)]
mod world;
