//! The HTTP adapter, asked over HTTP, on the in-memory store.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod document;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod preconditions;
#[cfg(test)]
mod public;
#[cfg(test)]
mod service;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod transfer;
