//! Changes that matter to every environment of an application are kept once, however many environments there are.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what tests share is a test too")]

use canopy_app::identity::{AttachIdentities, CreateIdentities};
use canopy_app::tenancy::{CreateAccount, CreateEnvironment, NewTenant, list_applications};
use canopy_app::{App, Call, Caller, Mode};
use canopy_domain::bulk::Outcome;
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::{AccountId, ApplicationRef, DisplayName, Email, IdentityId, PersonName};
use canopy_storage_memory::MemoryStore;
use canopy_testkit::{CountingIds, CountingSecrets, FixedClock};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PEOPLE: usize = 1_000;

fn tenant(name: &str) -> NewTenant {
    NewTenant {
        name: DisplayName::parse(name).unwrap(),
        slug: None,
    }
}

fn people(prefix: &str) -> Vec<NewIdentity> {
    (0..PEOPLE)
        .map(|number| NewIdentity {
            email: Email::parse(&format!("{prefix}{number}@acme.example")).unwrap(),
            first_name: PersonName::parse("Ada").unwrap(),
            last_name: PersonName::parse("Example").unwrap(),
            avatar_url: None,
            external_id: None,
            metadata: None,
        })
        .collect()
}

struct Scene {
    app: App,
    call: Call,
    account: AccountId,
    place: ApplicationRef,
}

impl Scene {
    async fn new(environments: usize) -> Self {
        let app = App::new(
            Arc::new(MemoryStore::new()),
            Arc::new(FixedClock::default()),
            Arc::new(CountingIds::default()),
            CountingSecrets::default(),
        );
        let call = Call::new(Caller::Operator { subject: "root".into() }, "request".to_owned());
        let create = CreateAccount { new: tenant("acme") };
        let account = app.execute(&call, &create, Mode::Commit).await.unwrap().id;
        let application = list_applications(&app, account).await.unwrap().remove(0).id;
        let place = ApplicationRef { account, application };
        // Two are made with the application.
        for number in 2..environments {
            let create = CreateEnvironment {
                application: place,
                new: tenant(&format!("e{number}")),
                copy_from: None,
            };
            app.execute(&call, &create, Mode::Commit).await.unwrap();
        }
        Self {
            app,
            call,
            account,
            place,
        }
    }

    async fn create(&self, prefix: &str, application: bool) -> Vec<IdentityId> {
        let application = application.then_some(self.place.application);
        let create = CreateIdentities {
            account: self.account,
            application,
            items: people(prefix),
            atomic: true,
        };
        let made = self.app.execute(&self.call, &create, Mode::Commit);
        let made = made.await.unwrap().into_iter().map(|outcome| match outcome {
            Outcome::Done(identity) => identity.id,
            other => panic!("not made: {other:?}"),
        });
        made.collect()
    }

    /// The bytes that are allocated by attaching, and by creating members.
    async fn costs(&self) -> [usize; 2] {
        let ids = self.create("a", false).await;
        let attach = AttachIdentities {
            application: self.place,
            ids,
            atomic: true,
        };
        let region = Region::new(ALLOCATOR);
        let outcomes = self.app.execute(&self.call, &attach, Mode::Commit).await.unwrap();
        let attached = region.change().bytes_allocated;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(_))));
        let region = Region::new(ALLOCATOR);
        self.create("b", true).await;
        [attached, region.change().bytes_allocated]
    }
}

/// One test alone in this file: the counters are those of the whole process.
#[tokio::test]
async fn members_of_many_environments_take_the_memory_of_one_list() {
    const FEW: usize = 2;
    const MANY: usize = 202;
    let (few, many) = (Scene::new(FEW).await.costs().await, Scene::new(MANY).await);
    let costs = many.costs().await;
    for (few, many) in few.into_iter().zip(costs) {
        let each = many.saturating_sub(few) / (MANY - FEW);
        // A list of its own would be over 100,000 bytes for each.
        assert!(each < 20_000, "{each} bytes for each environment: {few} and {many}");
    }
}
