//! The API by real requests, on every store.

#[cfg(test)]
#[macro_use]
mod stores;
#[cfg(test)]
mod assignment;
#[cfg(test)]
mod audited;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod hang_up;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod real_data;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod world;
