//! What only the PostgreSQL store has to show.

mod agreement;
mod faults;
mod feed;
mod locks;
mod migrations;
mod plans;
mod statements;
