//! PostgreSQL for tests: a throw-away cluster, and a database for each test.
//!
//! [`store`] gives a test an empty store of its own. The first test of a run starts a cluster from the programs that are
//! on the machine, in a folder for temporary files; all tests of the run share it, and it goes when the run ends or nobody
//! has used it for a minute. [`Server::start`] gives a cluster of its own to a test that wants to stop it. Where
//! `CANOPY_TEST_POSTGRES_URL` names a server (without TLS, as a user who may create databases), that one is used instead
//! of a cluster.
//!
//! Tests as root run the server as `postgres` or `nobody`, because PostgreSQL refuses root. A machine without
//! PostgreSQL fails the tests and says what to do.

mod database;
mod line;
mod programs;
mod server;
mod shared;

pub use database::{Database, Held, PostgresStore, store, store_with};
pub use line::Line;
pub use server::Server;
