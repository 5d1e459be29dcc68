//! The API by real requests, on every store.

#[cfg(test)]
#[macro_use]
mod stores;
#[cfg(test)]
mod api_key;
#[cfg(test)]
mod assignment;
#[cfg(test)]
mod audited;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod authzen;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod caller_json;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod evaluation;
#[cfg(test)]
mod foreign_ids;
#[cfg(test)]
mod hang_up;
#[cfg(test)]
mod hierarchy;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod real_data;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod tenancy;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod values;
#[cfg(test)]
mod world;
