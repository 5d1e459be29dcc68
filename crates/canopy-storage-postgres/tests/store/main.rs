//! What only the PostgreSQL store has to show.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "what tests share is a test too"
)]

mod faults;
mod feed;
mod locks;
mod migrations;
mod plans;
mod silence;
mod sources;
mod statements;
mod statistics;
mod tls;
