//! Clauses on accounts, applications and environments.

use super::support::{
    ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, sorted, writing,
};
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::port::{LockScope, Unique};
use canopy_domain::setup::Catalog;
use canopy_domain::{
    AccessModel, Account, AccountId, Application, ApplicationId, ApplicationRef, EnvironmentId, EnvironmentRef,
    HierarchySchema, Revision, Timestamp, Version,
};
use canopy_testkit::fixture::{Maker, assignment_key, company_schema, json, name, slug};

pub async fn an_account_reads_back_as_it_was_written(store: TestStore) {
    let maker = Maker::default();
    let mut account = maker.account("acme-1");
    account.name = name(ODD_TEXT);
    account.settings = json("{ \"a\": \"'\\\\ \\u0000 ü\" , \"b\":[1,2.50] }");
    account.version = Version::new(u32::MAX).expect("not zero");
    (account.created_at, account.updated_at) = (Timestamp::MIN, Timestamp::MAX);
    let mut tx = writing(&store, LockScope::Installation).await;
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
    let mut tx = writing(&store, LockScope::Account(world.account.id)).await;
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
    let mut tx = writing(&store, LockScope::Application(world.application_ref())).await;
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
    let mut tx = writing(&store, LockScope::Application(world.application_ref())).await;
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
    let mut tx = writing(&store, LockScope::Application(world.application_ref())).await;
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
    let mut tx = writing(&store, world.within(id)).await;
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
        let place = EnvironmentRef {
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
    let mut tx = writing(&store, LockScope::Installation).await;
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
    let mut tx = writing(&store, LockScope::Installation).await;
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
    let mut tx = writing(&store, LockScope::Account(world.account.id)).await;
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
    let mut tx = writing(&store, LockScope::Installation).await;
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
    let mut tx = writing(&store, LockScope::Installation).await;
    assert_bug(tx.insert_application(&nowhere).await);
    drop(tx);
    let nowhere = world.maker.id::<ApplicationId>();
    let made = world.maker.environment(&world.account, nowhere, "a");
    let place = ApplicationRef {
        account: world.account.id,
        application: nowhere,
    };
    let mut tx = writing(&store, LockScope::Application(place)).await;
    assert_bug(tx.insert_environment(&made.environment, &made.schema).await);
}

pub async fn changing_a_tenant_that_is_not_there_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let absent = world.maker.application(world.account.id, "absent");
    let place = ApplicationRef {
        account: world.account.id,
        application: absent.id,
    };
    let mut tx = writing(&store, LockScope::Application(place)).await;
    assert_bug(tx.update_application(&absent).await);
    drop(tx);
    let made = world.maker.environment(&world.account, world.application.id, "absent");
    let mut tx = writing(&store, world.within(made.environment.id)).await;
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

pub async fn updating_an_account_overwrites_its_row(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let changed = Account {
        name: name(ODD_TEXT),
        slug: slug("renamed"),
        settings: json("{\"x\":1}"),
        version: Version::new(9).expect("not zero"),
        updated_at: Timestamp::MAX,
        ..acme.account.clone()
    };
    let mut tx = writing(&store, LockScope::Account(changed.id)).await;
    let taken = Account {
        slug: zeta.account.slug.clone(),
        ..changed.clone()
    };
    assert_duplicate(tx.update_account(&taken).await, Unique::AccountSlug);
    tx.update_account(&changed).await.unwrap();
    acme.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.account(changed.id).await.unwrap(), Some(changed));
    assert_eq!(tx.account_by_slug(&acme.account.slug).await.unwrap(), None);
    assert_eq!(tx.account(zeta.account.id).await.unwrap(), Some(zeta.account));
    drop(tx);
    let absent = acme.maker.account("absent");
    let mut tx = writing(&store, LockScope::Account(absent.id)).await;
    assert_bug(tx.update_account(&absent).await);
}

pub async fn deleting_environments_leaves_nothing_of_them(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let (gone, stays) = (&acme.production, &acme.development);
    let held = acme
        .maker
        .assignment(gone.id(), assignment_key(acme.ada(), gone.reader.id, gone.eu.id));
    acme.assign(store.as_ref(), &[held]).await;
    let kept = acme.assignment(acme.ada(), &stays.reader, &stays.eu);
    acme.assign(store.as_ref(), std::slice::from_ref(&kept)).await;
    let before = reading(&store).await.snapshot(stays.id()).await.unwrap();
    let other = reading(&store).await.snapshot(zeta.production.id()).await.unwrap();
    let scope = LockScope::WholeApplication(acme.application_ref());
    let mut tx = writing(&store, scope).await;
    tx.delete_environments(&[gone.id(), acme.maker.id()]).await.unwrap();
    let mut record = acme.maker.record(acme.account.id, &[]);
    record.audit.environment_id = Some(gone.id());
    tx.commit(record).await.unwrap();

    let mut tx = reading(&store).await;
    let id = gone.id();
    assert_eq!(tx.environment(id).await.unwrap(), None);
    assert_eq!(tx.environment_place(id).await.unwrap(), None);
    assert_eq!(
        tx.environments(acme.application.id).await.unwrap(),
        std::slice::from_ref(&stays.environment)
    );
    assert_eq!(tx.revision(id).await.unwrap(), None);
    assert_eq!(tx.snapshot(id).await.unwrap(), None);
    assert_eq!(tx.changes_since(id, Revision::ZERO, 100).await.unwrap(), []);
    assert_eq!(tx.catalog(id).await.unwrap(), Catalog::default());
    assert_eq!(tx.nodes(id).await.unwrap(), []);
    let naming = tx.assignments_naming(id, &[gone.reader.id], &[gone.eu.id]).await;
    assert_eq!(naming.unwrap(), []);
    assert_eq!(tx.snapshot(stays.id()).await.unwrap(), before);
    assert_eq!(tx.snapshot(zeta.production.id()).await.unwrap(), other);
    // Its audit events stay.
    let events = tx
        .audit_events(acme.account.id, &AuditQuery::newest(100))
        .await
        .unwrap();
    assert_eq!((events[0].environment_id, events[0].revision), (Some(id), None));
    assert!(events.iter().filter(|event| event.environment_id == Some(id)).count() > 1);
    drop(tx);

    // Its slug and ids are free.
    let again = acme.maker.environment(&acme.account, acme.application.id, "production");
    let mut tx = writing(&store, LockScope::Application(acme.application_ref())).await;
    tx.insert_environment(&again.environment, &again.schema).await.unwrap();
    acme.commit(tx, &[again.environment.id]).await;
}

pub async fn the_default_environment_is_not_deleted(store: TestStore) {
    let world = acme(&store).await;
    let mut tx = writing(&store, LockScope::Application(world.application_ref())).await;
    let both = [world.production.id(), world.development.id()];
    assert_bug(tx.delete_environments(&both).await);
    drop(tx);
    let left = reading(&store).await.environments(world.application.id).await.unwrap();
    assert_eq!(left.len(), 2);
}

pub async fn deleting_an_application_takes_its_memberships(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let scope = LockScope::WholeApplication(acme.application_ref());
    let mut tx = writing(&store, scope.clone()).await;
    assert_bug(tx.delete_application(acme.application.id).await);
    drop(tx);
    let mut tx = writing(&store, scope).await;
    let without_default = Application {
        default_environment_id: None,
        ..acme.application.clone()
    };
    tx.update_application(&without_default).await.unwrap();
    tx.delete_environments(&[acme.production.id(), acme.development.id()])
        .await
        .unwrap();
    tx.delete_application(acme.application.id).await.unwrap();
    tx.delete_application(acme.maker.id()).await.unwrap();
    acme.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.application(acme.application.id).await.unwrap(), None);
    assert_eq!(tx.applications(acme.account.id).await.unwrap(), []);
    assert_eq!(tx.members(acme.application.id).await.unwrap(), []);
    assert_eq!(tx.memberships(acme.ada()).await.unwrap(), []);
    // Identities are the account's.
    let ada = tx.identity(acme.account.id, acme.ada()).await.unwrap();
    assert_eq!(ada.as_ref(), acme.identities.first());
    assert_eq!(tx.members(zeta.application.id).await.unwrap().len(), 3);
}
