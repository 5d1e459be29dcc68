//! Clauses on roles, their permissions, and the catalog as a whole.

use super::support::{
    ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, sorted, writing, writing_in,
    writing_in_any,
};
use canopy_domain::port::{LockScope, Unique};
use canopy_domain::role::listing::{RoleQuery, RoleTypeFilter};
use canopy_domain::setup::{Catalog, CatalogPermission, CatalogRole, SetupSummary};
use canopy_domain::{
    AccountId, Description, ENVIRONMENT_ADMIN_NAME, EnvironmentId, MembershipStatus, PermissionId, PermissionSource,
    Role, RoleId, RoleKind, SYSTEM_PERMISSION_KEYS, Timestamp, Version,
};
use canopy_testkit::fixture::{key, role_name, slug};
use std::collections::BTreeSet;

const ALL: RoleQuery = RoleQuery {
    include_inactive: true,
    kind: None,
};

async fn names(store: &TestStore, environment: EnvironmentId, query: RoleQuery) -> Vec<String> {
    let found = reading(store).await.roles(environment, &query).await.unwrap();
    found.iter().map(|view| view.role.name.to_string()).collect()
}

pub async fn a_role_reads_back_as_it_was_written(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut full = world.maker.role(id, ODD_TEXT);
    full.description = Some(Description::parse(ODD_TEXT).unwrap());
    full.is_active = false;
    full.version = Version::new(u32::MAX).unwrap();
    (full.created_at, full.updated_at) = (Timestamp::MIN, Timestamp::MAX);
    let bare = world.maker.role(id, "Bare");
    let mut tx = writing_in(&store, id).await;
    tx.insert_roles(&[full.clone(), bare.clone()]).await.unwrap();
    world.commit(tx, &[id]).await;
    let mut tx = reading(&store).await;
    let admin = world.development.admin_role.clone();
    let names = tx.role_names(id, &[bare.id, admin.id, world.maker.id()]).await.unwrap();
    let expected = [&bare, &admin].map(|role| (role.id, role.name.clone()));
    assert_eq!(names, expected.into());
    for role in [full, bare, admin] {
        assert_eq!(tx.role(id, role.id).await.unwrap(), Some(role.clone()));
        let views = tx.roles(id, &ALL).await.unwrap();
        assert!(views.iter().any(|view| view.role == role));
    }
}

pub async fn roles_are_listed_by_folded_name_with_their_counts(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let made = ["zoo", "Äpfel", "apple", "Banana", "b-side", "B side"].map(|text| world.maker.role(id, text));
    let mut tx = writing_in(&store, id).await;
    tx.insert_roles(&made).await.unwrap();
    world.commit(tx, &[id]).await;
    let views = reading(&store).await.roles(id, &ALL).await.unwrap();
    let listed: Vec<(&str, u64)> = views
        .iter()
        .map(|view| (view.role.name.as_str(), view.permission_count))
        .collect();
    let expected = [
        ("apple", 0),
        ("B side", 0),
        ("b-side", 0),
        ("Banana", 0),
        ("Editor", 2),
        (ENVIRONMENT_ADMIN_NAME, 14),
        ("Reader", 1),
        ("zoo", 0),
        ("Äpfel", 0),
    ];
    assert_eq!(listed, expected);
}

pub async fn role_filters_narrow_the_listing(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut tx = writing_in(&store, id).await;
    let off = Role {
        is_active: false,
        ..world.maker.role(id, "Off")
    };
    tx.insert_roles(&[off]).await.unwrap();
    world.commit(tx, &[id]).await;
    let query = |include_inactive, kind| RoleQuery { include_inactive, kind };
    let admin = ENVIRONMENT_ADMIN_NAME;
    for (asked, expected) in [
        (query(false, None), vec!["Editor", admin, "Reader"]),
        (query(true, None), vec!["Editor", admin, "Off", "Reader"]),
        (query(true, Some(RoleTypeFilter::System)), vec![admin]),
        (query(false, Some(RoleTypeFilter::Custom)), vec!["Editor", "Reader"]),
        (
            query(true, Some(RoleTypeFilter::Custom)),
            vec!["Editor", "Off", "Reader"],
        ),
    ] {
        assert_eq!(names(&store, id, asked).await, expected, "{asked:?}");
    }
}

pub async fn a_taken_role_name_is_a_duplicate_whatever_its_case(store: TestStore) {
    let world = acme(&store).await;
    let (id, maker) = (world.development.id(), &world.maker);
    let mut tx = writing_in(&store, id).await;
    for (first, second) in [
        ("Fresh", "EDITOR"),
        ("Fresh", "fRESH"),
        ("ΣΑΣ", "σασ"),
        ("Straße", "STRASSE"),
        ("é", "e\u{301}"),
        ("x", "environment admin"),
    ] {
        let roles = [maker.role(id, first), maker.role(id, second)];
        assert_duplicate(tx.insert_roles(&roles).await, Unique::RoleName);
    }
    // Nothing of the refused calls was stored; these names differ.
    let free = ["Fresh", "ΣΑΣ", "x", "Straße", "é"].map(|text| maker.role(id, text));
    tx.insert_roles(&free).await.unwrap();
    tx.insert_roles(&[maker.role(world.production.id(), "Fresh")])
        .await
        .unwrap();
    world.commit(tx, &[id]).await;
    assert_eq!(names(&store, id, ALL).await.len(), 3 + 5);
}

pub async fn a_role_id_minted_twice_is_a_duplicate_id(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut again = world.maker.role(id, "Fresh");
    again.id = world.development.reader.id;
    let mut tx = writing_in(&store, id).await;
    assert_duplicate(tx.insert_roles(&[again]).await, Unique::Id);
    world.commit(tx, &[id]).await;
}

pub async fn updating_roles_overwrites_their_rows_and_keeps_what_they_bundle(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let mut renamed = Role {
        name: role_name("EDITOR of all"),
        description: Some(Description::parse("x").unwrap()),
        is_active: false,
        version: Version::new(5).unwrap(),
        updated_at: Timestamp::MAX,
        ..development.editor.clone()
    };
    let bumped = Role {
        version: Version::new(2).unwrap(),
        ..development.reader.clone()
    };
    let mut tx = writing_in(&store, development.id()).await;
    tx.update_roles(&[renamed.clone(), bumped.clone()]).await.unwrap();
    world.commit(tx, &[development.id()]).await;
    let mut tx = reading(&store).await;
    for role in [&renamed, &bumped] {
        assert_eq!(tx.role(development.id(), role.id).await.unwrap().as_ref(), Some(role));
    }
    let bundled = tx.role_permissions(development.id(), renamed.id).await.unwrap();
    assert_eq!(bundled.len(), 2);
    drop(tx);

    // The old name is free, the new one is taken; a role may keep its own name in another case.
    let mut tx = writing_in(&store, development.id()).await;
    assert_duplicate(
        tx.insert_roles(&[world.maker.role(development.id(), "editor OF all")])
            .await,
        Unique::RoleName,
    );
    tx.insert_roles(&[world.maker.role(development.id(), "editor")])
        .await
        .unwrap();
    renamed.name = role_name("editor of ALL");
    renamed.description = None;
    tx.update_roles(std::slice::from_ref(&renamed)).await.unwrap();
    let clash = Role {
        name: role_name("READER"),
        ..renamed.clone()
    };
    assert_duplicate(tx.update_roles(&[clash]).await, Unique::RoleName);
    world.commit(tx, &[development.id()]).await;
    let found = reading(&store).await.role(development.id(), renamed.id).await.unwrap();
    assert_eq!(found, Some(renamed));
}

pub async fn changing_a_role_that_is_not_there_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let absent = world.maker.role(world.development.id(), "Absent");
    let mut tx = writing_in(&store, world.development.id()).await;
    assert_bug(tx.update_roles(&[absent]).await);
    drop(tx);
    let elsewhere = Role {
        environment_id: world.production.id(),
        name: role_name("Elsewhere"),
        ..world.development.reader.clone()
    };
    let mut tx = writing_in(&store, world.production.id()).await;
    assert_bug(tx.update_roles(&[elsewhere]).await);
}

pub async fn a_role_of_no_environment_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let nowhere = world.maker.id::<EnvironmentId>();
    let mut tx = writing_in_any(&store, &world, nowhere).await;
    assert_bug(tx.insert_roles(&[world.maker.role(nowhere, "Nobody")]).await);
}

pub async fn what_a_role_bundles_is_listed_by_key(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let mut tx = reading(&store).await;
    let (read, write) = (&development.read, &development.write);
    let bundled = tx
        .role_permissions(development.id(), development.editor.id)
        .await
        .unwrap();
    assert_eq!(bundled, [(read.id, key("note.read")), (write.id, key("note.write"))]);
    let bundled = tx
        .role_permissions(development.id(), development.admin_role.id)
        .await
        .unwrap();
    let keys: Vec<String> = bundled.iter().map(|(_, key)| key.to_string()).collect();
    assert_eq!(keys, sorted(SYSTEM_PERMISSION_KEYS.map(str::to_owned)));
}

pub async fn binding_again_and_unbinding_what_is_not_bound_change_nothing(store: TestStore) {
    let world = acme(&store).await;
    let (development, id) = (&world.development, world.development.id());
    let (reader, editor) = (development.reader.id, development.editor.id);
    let (read, write) = (development.read.id, development.write.id);
    let mut tx = writing_in(&store, id).await;
    tx.bind_permissions(id, &[(reader, read), (reader, write), (reader, write)])
        .await
        .unwrap();
    let absent = (world.maker.id::<RoleId>(), world.maker.id::<PermissionId>());
    tx.unbind_permissions(
        id,
        &[(editor, write), (editor, write), (absent.0, read), (editor, absent.1)],
    )
    .await
    .unwrap();
    tx.unbind_permissions(id, &[(editor, write)]).await.unwrap();
    world.commit(tx, &[id]).await;
    let mut tx = reading(&store).await;
    let of = |bundled: Vec<(PermissionId, _)>| bundled.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(of(tx.role_permissions(id, reader).await.unwrap()), [read, write]);
    assert_eq!(of(tx.role_permissions(id, editor).await.unwrap()), [read]);
}

pub async fn roles_bundle_only_permissions_of_their_environment(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (&world.development, &world.production);
    for pair in [
        (here.reader.id, there.write.id),
        (there.reader.id, here.write.id),
        (here.reader.id, world.maker.id()),
        (world.maker.id(), here.write.id),
    ] {
        let mut tx = writing_in(&store, here.id()).await;
        assert_bug(tx.bind_permissions(here.id(), &[pair]).await);
    }
    let mut tx = writing_in(&store, here.id()).await;
    tx.unbind_permissions(here.id(), &[(there.reader.id, there.read.id)])
        .await
        .unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.role_permissions(there.id(), there.reader.id).await.unwrap().len(), 1);
    assert_eq!(tx.role_permissions(here.id(), here.reader.id).await.unwrap().len(), 1);
}

pub async fn forty_thousand_bindings_are_stored_and_removed_in_one_call(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let roles: Vec<Role> = (0..200).map(|n| world.maker.role(id, &format!("Role {n}"))).collect();
    let permissions: Vec<_> = (0..200)
        .map(|n| world.maker.permission(id, &format!("many.k{n}")))
        .collect();
    let pairs: Vec<(RoleId, PermissionId)> = roles
        .iter()
        .flat_map(|role| permissions.iter().map(|permission| (role.id, permission.id)))
        .collect();
    let mut tx = writing_in(&store, id).await;
    tx.insert_roles(&roles).await.unwrap();
    tx.insert_permissions(&permissions).await.unwrap();
    tx.bind_permissions(id, &pairs).await.unwrap();
    assert_eq!(tx.role_permissions(id, roles[7].id).await.unwrap().len(), 200);
    tx.unbind_permissions(id, &pairs[..39_999]).await.unwrap();
    world.commit(tx, &[id]).await;
    let mut tx = reading(&store).await;
    let left = tx.role_permissions(id, roles[199].id).await.unwrap();
    assert_eq!(left, [(permissions[199].id, permissions[199].key.clone())]);
    assert_eq!(tx.role_permissions(id, roles[7].id).await.unwrap(), []);
}

pub async fn roles_of_one_environment_are_nothing_to_another(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mut tx = reading(&store).await;
    let reader = acme.development.reader.id;
    let nowhere = acme.maker.id::<EnvironmentId>();
    for other in [acme.production.id(), zeta.development.id(), nowhere] {
        assert_eq!(tx.role(other, reader).await.unwrap(), None);
        assert_eq!(tx.role_permissions(other, reader).await.unwrap(), []);
        let listed = tx.roles(other, &ALL).await.unwrap();
        assert!(listed.iter().all(|view| view.role.environment_id == other));
        assert_eq!(listed.len(), if other == nowhere { 0 } else { 3 });
    }
    assert_eq!(tx.role(acme.development.id(), acme.maker.id()).await.unwrap(), None);
}

pub async fn the_catalog_holds_all_permissions_and_roles_of_its_environment(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let development = &acme.development;
    let system = development
        .system_permissions
        .iter()
        .map(|permission| (permission, PermissionSource::System));
    let custom = [&development.read, &development.write].map(|permission| (permission, PermissionSource::Custom));
    let permissions = system.chain(custom).map(|(permission, source)| {
        let entry = CatalogPermission {
            id: permission.id,
            source,
        };
        (permission.key.clone(), entry)
    });
    let role = |role: &Role, kind, permissions: BTreeSet<PermissionId>| {
        let name = role.name.clone();
        let entry = CatalogRole {
            name,
            kind,
            permissions,
        };
        (role.id, entry)
    };
    let (read, write) = (development.read.id, development.write.id);
    let all_system = development.system_permissions.iter().map(|permission| permission.id);
    let expected = Catalog {
        permissions: permissions.collect(),
        roles: [
            role(
                &development.admin_role,
                RoleKind::EnvironmentAdmin,
                all_system.collect(),
            ),
            role(&development.reader, RoleKind::Custom, [read].into()),
            role(&development.editor, RoleKind::Custom, [read, write].into()),
        ]
        .into(),
    };
    let mut tx = reading(&store).await;
    assert_eq!(tx.catalog(development.id()).await.unwrap(), expected);
    assert_eq!(tx.catalog(acme.maker.id()).await.unwrap(), Catalog::default());
    let other = tx.catalog(zeta.development.id()).await.unwrap();
    assert!(other.roles.keys().all(|role| !expected.roles.contains_key(role)));
}

pub async fn setup_summaries_say_how_far_each_environment_is(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let maker = &acme.maker;
    let application = maker.application(acme.account.id, "empty");
    let made = ["b", "a"].map(|text| maker.environment(&acme.account, application.id, text));
    let mut tx = writing(&store, LockScope::Account(acme.account.id)).await;
    tx.insert_application(&application).await.unwrap();
    for (step, made) in made.iter().enumerate() {
        let id = made.environment.id;
        tx.insert_environment(&made.environment, &made.schema).await.unwrap();
        tx.insert_permissions(&made.permissions).await.unwrap();
        tx.insert_roles(std::slice::from_ref(&made.admin_role)).await.unwrap();
        tx.bind_permissions(id, &made.bindings()).await.unwrap();
        tx.insert_nodes(std::slice::from_ref(&made.root)).await.unwrap();
        if step == 0 {
            tx.insert_roles(&[maker.role(id, "Bare")]).await.unwrap();
        }
    }
    let suspended = maker.membership(acme.ada(), application.id, MembershipStatus::Suspended);
    let active = maker.membership(acme.alan(), application.id, MembershipStatus::Active);
    tx.insert_memberships(&[suspended, active]).await.unwrap();
    acme.commit(tx, &made.each_ref().map(|made| made.environment.id)).await;

    let summary = |application_slug, environment: (_, &str), flags: [bool; 3], identities| SetupSummary {
        application_id: if application_slug == "empty" {
            application.id
        } else {
            acme.application.id
        },
        application_slug: slug(application_slug),
        environment_id: environment.0,
        environment_slug: slug(environment.1),
        has_permissions: flags[0],
        has_roles: flags[1],
        has_role_permissions: flags[2],
        identities,
    };
    let expected = [
        summary("empty", (made[1].environment.id, "a"), [false, false, false], 1),
        summary("empty", (made[0].environment.id, "b"), [false, true, false], 1),
        summary("notes", (acme.development.id(), "development"), [true; 3], 3),
        summary("notes", (acme.production.id(), "production"), [true; 3], 3),
    ];
    let mut tx = reading(&store).await;
    assert_eq!(tx.setup_summaries(acme.account.id).await.unwrap(), expected);
    assert_eq!(tx.setup_summaries(maker.id::<AccountId>()).await.unwrap(), []);
    assert_eq!(tx.setup_summaries(zeta.account.id).await.unwrap().len(), 2);
}

pub async fn roles_that_bundle_a_permission_are_found_by_id(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let here = &acme.development;
    let mut tx = reading(&store).await;
    let both = sorted([here.reader.id, here.editor.id]);
    for (environment, permission, expected) in [
        (here.id(), here.read.id, both),
        (here.id(), here.write.id, vec![here.editor.id]),
        (here.id(), here.system_permissions[0].id, vec![here.admin_role.id]),
        (here.id(), acme.maker.id(), vec![]),
        (acme.production.id(), here.read.id, vec![]),
        (zeta.development.id(), here.read.id, vec![]),
    ] {
        let found = tx.roles_bundling(environment, permission).await.unwrap();
        assert_eq!(found.iter().map(|role| role.id).collect::<Vec<_>>(), expected);
    }
    let editor = tx.roles_bundling(here.id(), here.write.id).await.unwrap();
    assert_eq!(editor, std::slice::from_ref(&here.editor));
}

pub async fn deleting_roles_takes_what_they_bundle_with_them(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (&world.development, &world.production);
    let mut tx = writing_in(&store, here.id()).await;
    tx.delete_roles(
        here.id(),
        &[here.editor.id, there.reader.id, world.maker.id(), here.editor.id],
    )
    .await
    .unwrap();
    // Its name is free.
    tx.insert_roles(&[world.maker.role(here.id(), "EDITOR")]).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.role(here.id(), here.editor.id).await.unwrap(), None);
    assert_eq!(tx.role_permissions(here.id(), here.editor.id).await.unwrap(), []);
    let bundling = tx.roles_bundling(here.id(), here.write.id).await.unwrap();
    assert_eq!(bundling, []);
    assert_eq!(
        tx.role(there.id(), there.reader.id).await.unwrap(),
        Some(there.reader.clone())
    );
}

pub async fn a_role_that_is_assigned_is_not_deleted(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let held = world.assignment(world.ada(), &here.reader, &here.eu);
    world.assign(store.as_ref(), std::slice::from_ref(&held)).await;
    let mut tx = writing_in(&store, here.id()).await;
    assert_bug(tx.delete_roles(here.id(), &[here.editor.id, here.reader.id]).await);
    drop(tx);
    let mut tx = writing_in(&store, here.id()).await;
    tx.delete_assignments(here.id(), &[held.id]).await.unwrap();
    tx.delete_roles(here.id(), &[here.reader.id]).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    assert_eq!(names(&store, here.id(), ALL).await, ["Editor", ENVIRONMENT_ADMIN_NAME]);
}
