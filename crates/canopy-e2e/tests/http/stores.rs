//! Runs the same tests on each store.

/// Makes a module of each test, with one test for each store.
macro_rules! on_every_store {
    ($($(#[$doc:meta])* async fn $name:ident($server:ident) $body:block)+) => {
        $(
            $(#[$doc])*
            mod $name {
                use super::*;

                async fn run($server: canopy_testkit::server::TestServer) $body

                #[tokio::test(flavor = "multi_thread")]
                async fn on_memory() {
                    run(canopy_testkit::server::TestServer::on_memory()).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn on_sqlite() {
                    run(canopy_testkit::server::TestServer::on_sqlite()).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn on_postgres() {
                    run(canopy_testkit::server::TestServer::on_postgres().await).await;
                }
            }
        )+
    };
}
