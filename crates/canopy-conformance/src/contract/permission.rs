//! Clauses on the catalog of permissions.

use super::support::{
    ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, search_for, sorted, writing_in,
    writing_in_any,
};
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::Unique;
use canopy_domain::{
    Category, Description, EnvironmentId, Permission, PermissionId, PermissionKey, PermissionSource,
    SYSTEM_PERMISSION_KEYS, Timestamp, Version,
};
use canopy_testkit::fixture::{World, key};

/// Stores permissions in `development`.
async fn add(store: &TestStore, world: &World, permissions: &[Permission]) {
    let mut tx = writing_in(store, world.development.id()).await;
    tx.insert_permissions(permissions).await.unwrap();
    world.commit(tx, &[world.development.id()]).await;
}

async fn keys(store: &TestStore, environment: EnvironmentId, query: &PermissionQuery) -> Vec<String> {
    let found = reading(store).await.permissions(environment, query).await.unwrap();
    found.iter().map(|permission| permission.key.to_string()).collect()
}

pub async fn a_permission_reads_back_as_it_was_written(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut full = world.maker.permission(id, "A-Z_0/9:x.b");
    full.description = Some(Description::parse(ODD_TEXT).unwrap());
    full.category = Some(Category::parse(ODD_TEXT).unwrap());
    full.version = Version::new(u32::MAX).unwrap();
    full.created_at = Timestamp::MIN;
    let mut bare = world.maker.permission(id, &format!("{}.b", "x".repeat(100)));
    bare.source = PermissionSource::System;
    bare.created_at = Timestamp::MAX;
    add(&store, &world, &[full.clone(), bare.clone()]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.permission(id, full.id).await.unwrap(), Some(full.clone()));
    assert_eq!(tx.permission(id, bare.id).await.unwrap(), Some(bare.clone()));
    let all = tx.permissions(id, &PermissionQuery::default()).await.unwrap();
    assert!(all.contains(&full) && all.contains(&bare));
}

pub async fn permissions_are_listed_by_key_byte_for_byte(store: TestStore) {
    let world = acme(&store).await;
    let mine = ["a.b.c", "a.b", "a-b.c", "A.b", "a.B", "a_b.c", "a/b.c", "a:b.c", "0.1"];
    let permissions: Vec<Permission> = mine
        .iter()
        .map(|text| world.maker.permission(world.development.id(), text))
        .collect();
    add(&store, &world, &permissions).await;
    let seeded = SYSTEM_PERMISSION_KEYS.iter().chain(&["note.read", "note.write"]);
    let expected = sorted(mine.iter().chain(seeded).map(|text| (*text).to_owned()));
    assert_eq!(
        keys(&store, world.development.id(), &PermissionQuery::default()).await,
        expected
    );
}

pub async fn a_taken_permission_key_is_a_duplicate_and_the_unit_of_work_goes_on(store: TestStore) {
    let world = acme(&store).await;
    let (id, maker) = (world.development.id(), &world.maker);
    let mut tx = writing_in(&store, id).await;
    let with_taken = [
        maker.permission(id, "a.a"),
        maker.permission(id, "note.read"),
        maker.permission(id, "a.b"),
    ];
    assert_duplicate(tx.insert_permissions(&with_taken).await, Unique::PermissionKey);
    let twins = [maker.permission(id, "b.b"), maker.permission(id, "b.b")];
    assert_duplicate(tx.insert_permissions(&twins).await, Unique::PermissionKey);
    // Nothing of the refused calls was stored, so their keys are free; case makes another key.
    let free = ["a.a", "a.b", "b.b", "Note.read"].map(|text| maker.permission(id, text));
    tx.insert_permissions(&free).await.unwrap();
    let elsewhere = maker.permission(world.production.id(), "a.a");
    tx.insert_permissions(&[elsewhere]).await.unwrap();
    world.commit(tx, &[id, world.production.id()]).await;
    let custom = PermissionQuery {
        source: Some(PermissionSource::Custom),
        ..PermissionQuery::default()
    };
    let expected = ["Note.read", "a.a", "a.b", "b.b", "note.read", "note.write"];
    assert_eq!(keys(&store, id, &custom).await, expected);
    assert_eq!(
        keys(&store, world.production.id(), &custom).await,
        ["a.a", "note.read", "note.write"]
    );
}

pub async fn a_permission_id_minted_twice_is_a_duplicate_id(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut again = world.maker.permission(id, "fresh.key");
    again.id = world.development.read.id;
    let mut tx = writing_in(&store, id).await;
    assert_duplicate(tx.insert_permissions(std::slice::from_ref(&again)).await, Unique::Id);
    let first = world.maker.permission(id, "one.key");
    again.id = first.id;
    assert_duplicate(tx.insert_permissions(&[first, again]).await, Unique::Id);
    world.commit(tx, &[id]).await;
}

pub async fn a_permission_of_no_environment_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let nowhere = world.maker.id::<EnvironmentId>();
    let mut tx = writing_in_any(&store, &world, nowhere).await;
    assert_bug(tx.insert_permissions(&[world.maker.permission(nowhere, "a.b")]).await);
}

pub async fn permission_filters_narrow_the_listing(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let in_category = |text: &str, category: &str| Permission {
        category: Some(Category::parse(category).unwrap()),
        ..world.maker.permission(id, text)
    };
    let made = [
        in_category("a.one", "Billing"),
        in_category("a.two", "billing"),
        in_category("b.one", "Billing"),
    ];
    add(&store, &world, &made).await;
    let billing = PermissionQuery {
        category: Some(Category::parse("Billing").unwrap()),
        ..PermissionQuery::default()
    };
    assert_eq!(keys(&store, id, &billing).await, ["a.one", "b.one"]);
    let both = PermissionQuery {
        search: search_for("two"),
        ..billing.clone()
    };
    assert_eq!(keys(&store, id, &both).await, [""; 0]);
    let of_source = |source| PermissionQuery {
        source: Some(source),
        ..PermissionQuery::default()
    };
    let system = keys(&store, id, &of_source(PermissionSource::System)).await;
    assert_eq!(system, sorted(SYSTEM_PERMISSION_KEYS.map(str::to_owned)));
    let custom = keys(&store, id, &of_source(PermissionSource::Custom)).await;
    assert_eq!(custom, ["a.one", "a.two", "b.one", "note.read", "note.write"]);
}

pub async fn permission_search_takes_every_character_as_it_is_and_folds_case(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let described = |text: &str, description: &str| Permission {
        description: Some(Description::parse(description).unwrap()),
        ..world.maker.permission(id, text)
    };
    let made = [
        described("a.plain", "abc"),
        described("b.percent", "100% sure"),
        described("c.under_score", "d_d"),
        described("d.backslash", "a\\b"),
        described("e.unicode", "STRASSE Ünïcode ΣΑΣ İ"),
        described("f.quote", "it's, \"so\""),
    ];
    add(&store, &world, &made).await;
    for (search, expected) in [
        ("%", vec!["b.percent"]),
        ("100%", vec!["b.percent"]),
        ("d_d", vec!["c.under_score"]),
        ("a\\b", vec!["d.backslash"]),
        ("\\", vec!["d.backslash"]),
        ("ÜNÏ", vec!["e.unicode"]),
        ("σασ", vec!["e.unicode"]),
        ("İ", vec!["e.unicode"]),
        ("strasse", vec!["e.unicode"]),
        ("straße", vec!["e.unicode"]),
        ("'s, \"", vec!["f.quote"]),
        ("UNDER_SC", vec!["c.under_score"]),
        ("a_plain", vec![]),
        ("nowhere", vec![]),
    ] {
        let query = PermissionQuery {
            search: search_for(search),
            ..PermissionQuery::default()
        };
        assert_eq!(keys(&store, id, &query).await, expected, "{search}");
    }
    let everything = PermissionQuery {
        search: search_for(""),
        ..PermissionQuery::default()
    };
    assert_eq!(keys(&store, id, &everything).await.len(), 14 + 2 + 6);
}

pub async fn permission_ids_are_found_by_exact_key(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let asked = ["note.read", "Note.read", "note.read.x", "note.write", "note.read"].map(key);
    let found = reading(&store)
        .await
        .permission_ids(development.id(), &asked)
        .await
        .unwrap();
    let expected = [
        (key("note.read"), development.read.id),
        (key("note.write"), development.write.id),
    ];
    assert_eq!(found, expected.into());
}

pub async fn forty_thousand_permissions_are_stored_and_found_in_one_call(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let made: Vec<Permission> = (0..40_000)
        .map(|number| world.maker.permission(id, &format!("many.k{number}")))
        .collect();
    add(&store, &world, &made).await;
    let asked: Vec<PermissionKey> = made.iter().map(|permission| permission.key.clone()).collect();
    let mut tx = reading(&store).await;
    for size in [5_000, 40_000] {
        let found = tx.permission_ids(id, &asked[..size]).await.unwrap();
        assert_eq!(found.len(), size);
        assert_eq!(found.get(&made[17].key), Some(&made[17].id));
    }
}

pub async fn permissions_of_one_environment_are_nothing_to_another(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let secret = acme.maker.permission(acme.development.id(), "secret.read");
    add(&store, &acme, std::slice::from_ref(&secret)).await;
    let mut tx = reading(&store).await;
    let nowhere = acme.maker.id::<EnvironmentId>();
    for other in [acme.production.id(), zeta.development.id(), nowhere] {
        assert_eq!(tx.permission(other, secret.id).await.unwrap(), None);
        let found = tx
            .permission_ids(other, std::slice::from_ref(&secret.key))
            .await
            .unwrap();
        assert!(found.is_empty());
        let listed = tx.permissions(other, &PermissionQuery::default()).await.unwrap();
        assert!(listed.iter().all(|permission| permission.environment_id == other));
        assert_eq!(listed.len(), if other == nowhere { 0 } else { 16 });
    }
    let absent = acme.maker.id::<PermissionId>();
    assert_eq!(tx.permission(acme.development.id(), absent).await.unwrap(), None);
}

pub async fn updating_permissions_overwrites_what_can_change(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let changed = Permission {
        description: Some(Description::parse(ODD_TEXT).unwrap()),
        category: Some(Category::parse("Notes").unwrap()),
        version: Version::new(7).unwrap(),
        ..world.development.read.clone()
    };
    let cleared = Permission {
        version: Version::new(8).unwrap(),
        ..changed.clone()
    };
    for stored in [
        changed,
        Permission {
            description: None,
            category: None,
            ..cleared
        },
    ] {
        let mut tx = writing_in(&store, id).await;
        tx.update_permissions(&[world.development.write.clone(), stored.clone()])
            .await
            .unwrap();
        world.commit(tx, &[id]).await;
        let mut tx = reading(&store).await;
        assert_eq!(tx.permission(id, stored.id).await.unwrap(), Some(stored.clone()));
        // What is searched for follows.
        let search = PermissionQuery {
            search: search_for("日本語"),
            ..PermissionQuery::default()
        };
        let found = tx.permissions(id, &search).await.unwrap();
        assert_eq!(found.len(), usize::from(stored.description.is_some()));
        let untouched = tx.permission(id, world.development.write.id).await.unwrap();
        assert_eq!(untouched, Some(world.development.write.clone()));
    }
}

pub async fn changing_a_permission_that_is_not_there_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let absent = world.maker.permission(id, "no.such");
    let elsewhere = Permission {
        environment_id: id,
        ..world.production.read.clone()
    };
    for missing in [absent, elsewhere] {
        let mut tx = writing_in(&store, id).await;
        assert_bug(tx.update_permissions(&[world.development.read.clone(), missing]).await);
    }
}

pub async fn deleting_permissions_takes_them_from_all_roles(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (&world.development, &world.production);
    let mut tx = writing_in(&store, here.id()).await;
    // That of another environment is not there.
    tx.delete_permissions(
        here.id(),
        &[here.read.id, there.write.id, world.maker.id(), here.read.id],
    )
    .await
    .unwrap();
    tx.insert_permissions(&[world.maker.permission(here.id(), "note.read")])
        .await
        .unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.permission(here.id(), here.read.id).await.unwrap(), None);
    for (role, bundled) in [
        (&here.reader, vec![]),
        (&here.editor, vec![(here.write.id, key("note.write"))]),
    ] {
        assert_eq!(tx.role_permissions(here.id(), role.id).await.unwrap(), bundled);
    }
    assert_eq!(tx.role_permissions(there.id(), there.editor.id).await.unwrap().len(), 2);
}
