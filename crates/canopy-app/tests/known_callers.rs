//! A known caller and its tenancy are recalled from memory, without a read from the store and almost without an allocation.

#![expect(clippy::unwrap_used, reason = "what tests share is a test too")]

use canopy_app::access::{Asker, evaluate};
use canopy_app::api_key::{CreateApiKey, NewKey};
use canopy_app::decisions::Consistency;
use canopy_app::session::{AskedEnvironment, ByCredential, ByPath, Credential, Slugs};
use canopy_app::tenancy::{CreateAccount, NewTenant, list_applications, list_environments};
use canopy_app::{App, Call, Caller, Mode};
use canopy_domain::access::{Question, Target};
use canopy_domain::api_key::KeyAccess;
use canopy_domain::port::{PrincipalKind, TokenClaims, VerifiedToken};
use canopy_domain::{DisplayName, EnvironmentRef, IdentityId, Timestamp};
use canopy_storage_memory::MemoryStore;
use canopy_testkit::{CountingIds, CountingSecrets, FixedClock};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn name(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}

/// Returns the allocations of a call that finds everything in memory.
fn allocations<T>(call: impl Fn() -> Option<T>) -> usize {
    let region = Region::new(ALLOCATOR);
    assert!(black_box(call()).is_some(), "it is not known");
    region.change().allocations
}

#[tokio::test]
async fn recalling_a_known_caller_allocates_the_text_of_its_key_alone() {
    let app = App::new(
        Arc::new(MemoryStore::new()),
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        CountingSecrets::default(),
    );
    let call = Call::new(Caller::Operator { subject: "root".into() }, "request".to_owned());
    let new = NewTenant {
        name: name("acme"),
        slug: None,
    };
    let create = CreateAccount { new };
    let account = app.execute(&call, &create, Mode::Commit).await.unwrap().id;
    let application = list_applications(&app, account).await.unwrap().remove(0);
    let place = canopy_domain::ApplicationRef {
        account,
        application: application.id,
    };
    let environment = list_environments(&app, place).await.unwrap().remove(0);
    let place = EnvironmentRef {
        account,
        application: application.id,
        environment: environment.id,
    };
    let new = NewKey {
        name: name("Backend"),
        description: None,
        access: KeyAccess::Full,
        expires_at: None,
    };
    let create = CreateApiKey {
        environment: place,
        new,
    };
    let key = app.execute(&call, &create, Mode::Commit).await.unwrap().text.unwrap();
    let home = AskedEnvironment::from(place);
    let question = Question {
        identity: IdentityId::new(Uuid::nil()),
        permission: "note.read",
        target: Target::AppWide,
    };
    let asker = Asker {
        caller: &call.caller,
        environment: &home,
    };
    evaluate::evaluate(&app, asker, &question, None, Consistency::Strong, |_| ())
        .await
        .unwrap();
    let token = VerifiedToken::from(TokenClaims {
        subject: "ada".into(),
        principal: PrincipalKind::Admin,
        account: Some(account),
        environment: None,
        expires_at: Timestamp::MAX,
    });
    let slugs = Slugs::from(("acme", application.slug.as_str(), environment.slug.as_str()));
    let token = Credential::Token(token);
    let key = Credential::Key(key.expose());
    let sessions = app.sessions();
    assert!(sessions.recall::<ByPath, AskedEnvironment>(&token, slugs).is_none());
    assert!(sessions.recall::<ByCredential, AskedEnvironment>(&key, slugs).is_none());
    let admin = sessions.authenticate(&token).await.unwrap();
    sessions.resolve::<AskedEnvironment>(&admin, slugs).await.unwrap();
    sessions.authenticate(&key).await.unwrap();
    let by_token = || sessions.recall::<ByPath, AskedEnvironment>(&token, slugs);
    let by_key = || sessions.recall::<ByCredential, AskedEnvironment>(&key, slugs);
    assert_eq!(allocations(by_token), 0);
    assert_eq!(allocations(by_key), 1, "the parsed text of the key");
}
