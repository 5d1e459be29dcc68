//! The HTTP adapter, asked over HTTP, on the in-memory store.

mod bodies;
mod calls;
mod document;
mod edge;
mod service;
mod tokens;
