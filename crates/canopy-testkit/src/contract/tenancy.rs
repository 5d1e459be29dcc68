//! Clauses on accounts, applications and environments.

use super::support::{
    ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, sorted, writing,
};
use crate::fixture::{Maker, company_schema, json, name, slug};
use canopy_domain::port::{Unique, WriteScope};
use canopy_domain::{
    AccessModel, AccountId, Application, ApplicationId, EnvironmentId, EnvironmentPlace, HierarchySchema, Timestamp,
    Version,
};

pub async fn an_account_reads_back_as_it_was_written(store: TestStore) {
    let maker = Maker::default();
    let mut account = maker.account("acme-1");
    account.name = name(ODD_TEXT);
    account.settings = json("{ \"a\": \"'\\\\ \\u0000 ü\" , \"b\":[1,2.50] }");
    account.version = Version::new(u32::MAX).expect("not zero");
    (account.created_at, account.updated_at) = (Timestamp::MIN, Timestamp::MAX);
    let mut tx = writing(&store, WriteScope::Installation).await;
    tx.insert_account(&account).await.unwrap();
    assert_eq!(tx.account(account.id).await.unwrap(), Some(account.clone()));
    tx.commit(maker.record(account.id, &[])).await.unwrap();

    let mut tx = reading(&store).await;
    assert_eq!(tx.account(account.id).await.unwrap(), Some(account.clone()));
    assert_eq!(tx.account_by_slug(&account.slug).await.unwrap(), Some(account.clone()));
    assert_eq!(tx.accounts().await.unwrap(), [account]);
}

pub async fn an_application_reads_back_with_and_without_a_default_environment(store: TestStore) {
    let world = acme(&store).await;
    let mut plain = world.maker.application(world.account.id, "plain");
    plain.name = name(ODD_TEXT);
    plain.settings = json("{\"a\":{}}");
    plain.version = Version::new(7).expect("not zero");
    (plain.created_at, plain.updated_at) = (Timestamp::MIN, Timestamp::MAX);
    let mut tx = writing(&store, WriteScope::Account(world.account.id)).await;
    tx.insert_application(&plain).await.unwrap();
    world.commit(tx, &[]).await;

    let mut tx = reading(&store).await;
    assert_eq!(tx.application(plain.id).await.unwrap(), Some(plain.clone()));
    let by_slug = tx.application_by_slug(world.account.id, &plain.slug).await.unwrap();
    assert_eq!(by_slug, Some(plain.clone()));
    let all = tx.applications(world.account.id).await.unwrap();
    assert_eq!(all, [world.application, plain]);
}

pub async fn updating_an_application_overwrites_its_row(store: TestStore) {
    let world = acme(&store).await;
    let changed = Application {
        name: name("Renamed"),
        slug: slug("renamed"),
        settings: json("{\"x\":1}"),
        default_environment_id: Some(world.production.id()),
        version: Version::new(9).expect("not zero"),
        updated_at: Timestamp::MAX,
        ..world.application.clone()
    };
    let mut tx = writing(&store, WriteScope::Application(changed.id)).await;
    tx.update_application(&changed).await.unwrap();
    world.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.application(changed.id).await.unwrap(), Some(changed.clone()));
    let old = tx.application_by_slug(world.account.id, &world.application.slug).await;
    assert_eq!(old.unwrap(), None);
    let unset = Application {
        default_environment_id: None,
        ..changed
    };
    let mut tx = writing(&store, WriteScope::Application(unset.id)).await;
    tx.update_application(&unset).await.unwrap();
    world.commit(tx, &[]).await;
    let found = reading(&store).await.application(unset.id).await.unwrap();
    assert_eq!(found, Some(unset));
}

pub async fn an_environment_reads_back_with_its_schema(store: TestStore) {
    let world = acme(&store).await;
    let mut made = world.maker.environment(&world.account, world.application.id, "third");
    made.environment.name = name(ODD_TEXT);
    made.environment.settings = json("{\"a\":\"b\"}");
    made.environment.access_model = AccessModel::Hierarchy;
    made.environment.version = Version::new(3).expect("not zero");
    (made.environment.created_at, made.environment.updated_at) = (Timestamp::MIN, Timestamp::MAX);
    let id = made.environment.id;
    let mut tx = writing(&store, WriteScope::Application(world.application.id)).await;
    tx.insert_environment(&made.environment, &company_schema())
        .await
        .unwrap();
    world.commit(tx, &[id]).await;

    let mut tx = reading(&store).await;
    assert_eq!(tx.environment(id).await.unwrap(), Some(made.environment.clone()));
    let by_slug = tx
        .environment_by_slug(world.application.id, &slug("third"))
        .await
        .unwrap();
    assert_eq!(by_slug, Some(made.environment.clone()));
    let schema = tx.hierarchy(id).await.unwrap();
    assert_eq!(schema, Some((AccessModel::Hierarchy, company_schema())));
    drop(tx);

    made.environment.access_model = AccessModel::Flat;
    made.environment.slug = slug("fourth");
    let mut tx = writing(&store, WriteScope::Environment(id)).await;
    tx.update_environment(&made.environment, &HierarchySchema::default())
        .await
        .unwrap();
    world.commit(tx, &[id]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.environment(id).await.unwrap(), Some(made.environment.clone()));
    let schema = tx.hierarchy(id).await.unwrap();
    assert_eq!(schema, Some((AccessModel::Flat, HierarchySchema::default())));
    assert_eq!(
        tx.environment_by_slug(world.application.id, &slug("third"))
            .await
            .unwrap(),
        None
    );
}

pub async fn an_environment_knows_its_place(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mut tx = reading(&store).await;
    for world in [acme, zeta] {
        let place = EnvironmentPlace {
            account: world.account.id,
            application: world.application.id,
            environment: world.production.id(),
        };
        let found = tx.environment_place(world.production.id()).await.unwrap();
        assert_eq!(found, Some(place));
    }
}

pub async fn tenants_are_listed_by_slug_byte_for_byte(store: TestStore) {
    let maker = Maker::default();
    let slugs = ["b", "ab", "a-b", "a", "a0", "a--b", "0a", "z"];
    let account = maker.account("owner");
    let application = maker.application(account.id, "owner");
    let mut tx = writing(&store, WriteScope::Installation).await;
    tx.insert_account(&account).await.unwrap();
    tx.insert_application(&application).await.unwrap();
    for text in slugs {
        tx.insert_account(&maker.account(text)).await.unwrap();
        tx.insert_application(&maker.application(account.id, text))
            .await
            .unwrap();
        let made = maker.environment(&account, application.id, text);
        tx.insert_environment(&made.environment, &made.schema).await.unwrap();
    }
    tx.commit(maker.record(account.id, &[])).await.unwrap();
    let expected = sorted(slugs.map(str::to_owned));
    let with_owner = sorted(slugs.into_iter().chain(["owner"]).map(str::to_owned));
    let mut tx = reading(&store).await;
    let accounts = tx.accounts().await.unwrap();
    assert_eq!(
        accounts.iter().map(|a| a.slug.to_string()).collect::<Vec<_>>(),
        with_owner
    );
    let applications = tx.applications(account.id).await.unwrap();
    assert_eq!(
        applications.iter().map(|a| a.slug.to_string()).collect::<Vec<_>>(),
        with_owner
    );
    let environments = tx.environments(application.id).await.unwrap();
    assert_eq!(
        environments.iter().map(|e| e.slug.to_string()).collect::<Vec<_>>(),
        expected
    );
}

pub async fn a_taken_tenant_slug_is_a_duplicate_and_the_unit_of_work_goes_on(store: TestStore) {
    let world = acme(&store).await;
    let (maker, account, application) = (&world.maker, &world.account, &world.application);
    let mut tx = writing(&store, WriteScope::Installation).await;
    assert_duplicate(tx.insert_account(&maker.account("acme")).await, Unique::AccountSlug);
    let taken = maker.application(account.id, "notes");
    assert_duplicate(tx.insert_application(&taken).await, Unique::ApplicationSlug);
    let taken = maker.environment(account, application.id, "production");
    let result = tx.insert_environment(&taken.environment, &taken.schema).await;
    assert_duplicate(result, Unique::EnvironmentSlug);
    // The same slugs are free elsewhere.
    let other = maker.account("other");
    tx.insert_account(&other).await.unwrap();
    let notes = maker.application(other.id, "notes");
    tx.insert_application(&notes).await.unwrap();
    let production = maker.environment(&other, notes.id, "production");
    tx.insert_environment(&production.environment, &production.schema)
        .await
        .unwrap();
    world.commit(tx, &[production.environment.id]).await;

    let mut tx = reading(&store).await;
    assert_eq!(tx.accounts().await.unwrap().len(), 2);
    assert_eq!(tx.applications(account.id).await.unwrap().len(), 1);
    assert_eq!(tx.environments(application.id).await.unwrap().len(), 2);
    assert_eq!(tx.environments(notes.id).await.unwrap(), [production.environment]);
}

pub async fn changing_a_tenant_to_a_taken_slug_is_a_duplicate(store: TestStore) {
    let world = acme(&store).await;
    let second = world.maker.application(world.account.id, "second");
    let mut tx = writing(&store, WriteScope::Account(world.account.id)).await;
    tx.insert_application(&second).await.unwrap();
    let taken = Application {
        slug: slug("notes"),
        ..second.clone()
    };
    assert_duplicate(tx.update_application(&taken).await, Unique::ApplicationSlug);
    let mut environment = world.production.environment.clone();
    environment.slug = slug("development");
    let result = tx.update_environment(&environment, &world.production.schema).await;
    assert_duplicate(result, Unique::EnvironmentSlug);
    world.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.application(second.id).await.unwrap(), Some(second));
    let found = tx.environment(environment.id).await.unwrap();
    assert_eq!(found, Some(world.production.environment));
}

pub async fn a_tenant_id_minted_twice_is_a_duplicate_id(store: TestStore) {
    let world = acme(&store).await;
    let mut tx = writing(&store, WriteScope::Installation).await;
    let mut account = world.maker.account("fresh");
    account.id = world.account.id;
    assert_duplicate(tx.insert_account(&account).await, Unique::Id);
    let mut application = world.maker.application(world.account.id, "fresh");
    application.id = world.application.id;
    assert_duplicate(tx.insert_application(&application).await, Unique::Id);
    let mut made = world.maker.environment(&world.account, world.application.id, "fresh");
    made.environment.id = world.production.id();
    assert_duplicate(tx.insert_environment(&made.environment, &made.schema).await, Unique::Id);
    world.commit(tx, &[]).await;
}

pub async fn a_tenant_without_a_parent_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let nowhere = world.maker.application(world.maker.id::<AccountId>(), "a");
    let mut tx = writing(&store, WriteScope::Installation).await;
    assert_bug(tx.insert_application(&nowhere).await);
    drop(tx);
    let nowhere = world.maker.id::<ApplicationId>();
    let made = world.maker.environment(&world.account, nowhere, "a");
    let mut tx = writing(&store, WriteScope::Application(nowhere)).await;
    assert_bug(tx.insert_environment(&made.environment, &made.schema).await);
}

pub async fn changing_a_tenant_that_is_not_there_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let absent = world.maker.application(world.account.id, "absent");
    let mut tx = writing(&store, WriteScope::Application(absent.id)).await;
    assert_bug(tx.update_application(&absent).await);
    drop(tx);
    let made = world.maker.environment(&world.account, world.application.id, "absent");
    let mut tx = writing(&store, WriteScope::Environment(made.environment.id)).await;
    assert_bug(tx.update_environment(&made.environment, &made.schema).await);
}

pub async fn tenants_that_are_not_there_are_none_and_their_listings_empty(store: TestStore) {
    let world = acme(&store).await;
    let mut tx = reading(&store).await;
    let (account, application, environment) = (
        world.maker.id::<AccountId>(),
        world.maker.id::<ApplicationId>(),
        world.maker.id::<EnvironmentId>(),
    );
    assert_eq!(tx.account(account).await.unwrap(), None);
    assert_eq!(tx.account_by_slug(&slug("acm")).await.unwrap(), None);
    assert_eq!(tx.applications(account).await.unwrap(), []);
    assert_eq!(tx.application(application).await.unwrap(), None);
    assert_eq!(tx.application_by_slug(account, &slug("notes")).await.unwrap(), None);
    assert_eq!(tx.environments(application).await.unwrap(), []);
    assert_eq!(tx.environment(environment).await.unwrap(), None);
    assert_eq!(
        tx.environment_by_slug(application, &slug("production")).await.unwrap(),
        None
    );
    assert_eq!(tx.environment_place(environment).await.unwrap(), None);
    assert_eq!(tx.hierarchy(environment).await.unwrap(), None);
}

pub async fn slugs_lead_only_to_what_lies_below(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mut tx = reading(&store).await;
    for world in [&acme, &zeta] {
        let notes = tx.application_by_slug(world.account.id, &slug("notes")).await.unwrap();
        assert_eq!(notes.map(|a| a.id), Some(world.application.id));
        let production = tx.environment_by_slug(world.application.id, &slug("production")).await;
        assert_eq!(production.unwrap().map(|e| e.id), Some(world.production.id()));
        assert_eq!(tx.applications(world.account.id).await.unwrap().len(), 1);
        assert_eq!(tx.environments(world.application.id).await.unwrap().len(), 2);
    }
}
