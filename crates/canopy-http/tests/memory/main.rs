//! Allocations of a request, counted by the allocator. A binary of its own: nothing else may allocate meanwhile.

#[cfg(test)]
#[path = "../http/service.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod service;

#[cfg(test)]
mod tests {
    use crate::service::{ENV, Service};
    use serde_json::{Value, json};
    use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
    use std::alloc::System;

    #[global_allocator]
    static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    const ITEMS: usize = 10_000;

    /// Defaults are shared by the items that use them, so their size is paid once and not for each item.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn defaults_of_evaluations_are_not_copied_for_each_item() {
        let (service, admin) = Service::with_acme().await;
        let bound = service.bound_token(&admin, &service.environment_id(&admin, ENV).await);
        let ask = async |id: &str, item: Value| {
            let body = json!({ "subject": { "type": "user", "id": id }, "action": { "name": "note.read" },
                "resource": { "type": "node", "id": id }, "evaluations": vec![item; ITEMS] });
            let region = Region::new(ALLOCATOR);
            let answer = service.post("/access/v1/evaluations", &bound, &body).await;
            let allocated = region.change().bytes_allocated;
            assert_eq!(answer.expect(200)["evaluations"].as_array().unwrap().len(), ITEMS);
            allocated
        };
        // Types are taken one by one, so an item that gives its own still uses the id of the defaults.
        for item in [json!({}), json!({ "subject": { "type": "user" } })] {
            // Once to load the index.
            ask("x", item.clone()).await;
            let short = ask("x", item.clone()).await;
            let longest = ask(&"x".repeat(4_000), item.clone()).await;
            assert!(longest < short + 2_000_000, "{short} became {longest} bytes");
            let too_long = ask(&"x".repeat(50_000), item).await;
            assert!(too_long < short + 2_000_000, "{short} became {too_long} bytes");
        }
    }
}
