//! PostgreSQL for tests: a throw-away cluster, and a database for each test.
//!
//! [`store`] gives a test its own empty store. The first test of a run starts a cluster from the programs of the
//! machine, in a temporary folder. All tests of the run share it. It is removed when the run ends or when no test has
//! used it for a minute. [`Server::start`] gives a test its own cluster that it can stop. If `CANOPY_TEST_POSTGRES_URL`
//! names a server (without TLS, as a user who may create databases), that one is used instead of a cluster.
//!
//! Tests that run as root start the server as `postgres` or `nobody`, because PostgreSQL refuses root. On a machine
//! without PostgreSQL the tests fail with an explanation.

mod database;
mod line;
mod programs;
mod server;
mod shared;

pub use database::{Database, OpenTransaction, PostgresStore, store, store_with};
pub use line::Line;
pub use server::Server;
