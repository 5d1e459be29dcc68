use crate::calls;
use crate::several_processes::second;
use crate::world::{World, key, refused};
use canopy_app::AppError;
use canopy_app::permission::NewPermission;
use canopy_app::role::NewRole;
use canopy_domain::access::Target;
use canopy_domain::setup::bootstrap::{BootstrapError, BootstrapRequest, BootstrapRole};
use canopy_domain::setup::resource_permissions::ResourcePermissionsRequest;
use canopy_domain::setup::{CatalogError, CatalogLimits};
use canopy_domain::*;

fn request(role: &str, keys: &[&str]) -> BootstrapRequest {
    let keys: Vec<PermissionKey> = keys.iter().map(|text| key(text)).collect();
    let name = RoleName::parse(role).unwrap();
    BootstrapRequest {
        permission_keys: keys.clone(),
        roles: vec![BootstrapRole {
            name,
            description: None,
            permission_keys: keys,
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bootstraps_at_once_one_wins() {
    for _ in 0..20 {
        let world = World::new().await;
        let run = |role: &str| {
            let (app, call, place, request) = (
                world.app.clone(),
                world.call.clone(),
                world.place,
                request(role, &["a.b"]),
            );
            tokio::spawn(async move { calls::bootstrap_environment(&app, &call, &place, &request).await })
        };
        let (one, other) = (run("One"), run("Other"));
        let results = [one.await.unwrap(), other.await.unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for result in results.into_iter().filter(Result::is_err) {
            assert!(matches!(
                refused(result),
                AppError::Bootstrap(BootstrapError::AlreadyBootstrapped {
                    permissions: 1,
                    roles: 1
                })
            ));
        }
    }
}

/// Whatever call makes a catalog larger; the 14 keys of the system and its role count.
#[tokio::test]
async fn a_catalog_stays_within_its_limits_in_whatever_steps_it_grows() {
    let world = World::new().await;
    world.app.bound_catalogs(CatalogLimits { keys: 18, pairs: 20 });
    let before = world.history().await;
    let too_many_keys = |error| {
        matches!(
            error,
            AppError::Catalog(CatalogError::TooManyKeys { keys: 19, max: 18 })
        )
    };
    let too_many_pairs = |error| {
        matches!(
            error,
            AppError::Catalog(CatalogError::TooManyPairs { pairs: 21, max: 20 })
        )
    };
    let (app, call, place) = (&world.app, &world.call, &world.place);
    let keys = ["a.a", "a.b", "a.c", "a.d"];
    let many =
        calls::bootstrap_environment(app, call, place, &request("R", &["a.a", "a.b", "a.c", "a.d", "a.e"])).await;
    assert!(too_many_keys(refused(many)));
    let roles = |second: &[&str]| {
        let mut asked = request("One", &keys);
        asked.roles.extend(request("Two", second).roles);
        asked
    };
    assert!(too_many_pairs(refused(
        calls::bootstrap_environment(app, call, place, &roles(&keys[..3])).await
    )));
    assert_eq!(world.history().await, before, "nothing was changed");
    calls::bootstrap_environment(app, call, place, &roles(&keys[..1]))
        .await
        .unwrap();

    // One more key, in each way.
    let new = NewPermission {
        key: key("a.e"),
        description: None,
        category: None,
    };
    assert!(too_many_keys(refused(
        calls::create_permissions(app, call, place, &[new]).await
    )));
    let add = |permission_keys: Vec<PermissionKey>, role_permissions| ResourcePermissionsRequest {
        permission_keys,
        role_permissions,
    };
    let asked = add(vec![key("a.e")], vec![]);
    assert!(too_many_keys(refused(
        calls::add_resource_permissions(app, call, place, &asked).await
    )));
    // Two more pairs, where there is room for one.
    let two = world.role("Two").await;
    let asked = add(vec![], vec![(two, vec![key("a.b"), key("a.c")])]);
    assert!(too_many_pairs(refused(
        calls::add_resource_permissions(app, call, place, &asked).await
    )));
    let replace = async |keys: &[&str]| {
        let keys: Vec<PermissionKey> = keys.iter().map(|text| key(text)).collect();
        calls::replace_role_permissions(app, call, place, two, &keys).await
    };
    assert!(too_many_pairs(refused(replace(&keys[..3]).await)));
    let new = |count: usize| NewRole {
        name: RoleName::parse("Three").unwrap(),
        description: None,
        permission_keys: keys[..count].iter().map(|text| key(text)).collect(),
    };
    assert!(too_many_pairs(refused(
        calls::create_role(app, call, place, &new(2)).await
    )));
    // What fits is taken, and what is exchanged for as much.
    replace(&keys[..2]).await.unwrap();
    replace(&keys[2..]).await.unwrap();
    calls::create_role(app, call, place, &new(0)).await.unwrap();
}

#[tokio::test]
async fn an_import_keeps_to_the_limits_of_catalogs() {
    let world = World::new().await;
    world.bootstrap().await;
    let neighbour = world.neighbour().await;
    let (_, document) = canopy_app::transfer::export_environment(&world.app, &world.place, u64::MAX)
        .await
        .unwrap();
    let document = std::sync::Arc::new(document);
    let app = second(&world);
    app.bound_catalogs(CatalogLimits { keys: 15, pairs: 100 });
    for dry_run in [true, false] {
        let refused = refused(calls::import_environment(&app, &world.call, &neighbour.place, &document, dry_run).await);
        let expected = CatalogError::TooManyKeys { keys: 16, max: 15 };
        assert!(
            matches!(refused, AppError::Catalog(error) if error == expected),
            "{refused}"
        );
    }
    // What is there already is no growth.
    calls::import_environment(&app, &world.call, &world.place, &document, false)
        .await
        .unwrap();
    let app = second(&world);
    app.bound_catalogs(CatalogLimits { keys: 16, pairs: 17 });
    calls::import_environment(&app, &world.call, &neighbour.place, &document, false)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_bootstrap_leaves_nothing() {
    let world = World::new().await;
    let mut asked = request("R", &["a.b"]);
    asked.roles[0].permission_keys.push(key("no.such"));
    let before = world.history().await;
    let error = refused(calls::bootstrap_environment(&world.app, &world.call, &world.place, &asked).await);
    assert!(
        matches!(error, AppError::Bootstrap(BootstrapError::UnknownPermissionKeys { keys }) if keys == [key("no.such")])
    );
    assert_eq!(world.history().await, before);
    calls::bootstrap_environment(&world.app, &world.call, &world.place, &request("R", &["a.b"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_bootstrap_that_skips_everything_writes_nothing_and_can_be_followed_by_a_real_one() {
    let world = World::new().await;
    let before = world.history().await;
    let counts = calls::bootstrap_environment(
        &world.app,
        &world.call,
        &world.place,
        &request("Environment Admin", &["role.read"]),
    )
    .await
    .unwrap();
    assert_eq!((counts.skipped_permissions, counts.skipped_roles), (1, 1));
    assert_eq!((counts.permissions_created, counts.roles_created), (0, 0));
    assert_eq!(world.history().await, before);
    calls::bootstrap_environment(&world.app, &world.call, &world.place, &request("R", &["a.b"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn added_permissions_reach_their_holders_at_once() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    let scope = Target::Node(world.root);
    assert!(world.denial(ada, "note.share", scope).await.is_some());
    let asked = ResourcePermissionsRequest {
        permission_keys: vec![key("note.share"), key("note.read")],
        role_permissions: vec![
            (viewer, vec![key("note.share"), key("note.read")]),
            (editor, vec![key("note.read")]),
        ],
    };
    let counts = calls::add_resource_permissions(&world.app, &world.call, &world.place, &asked)
        .await
        .unwrap();
    assert_eq!(
        (
            counts.permissions_created,
            counts.skipped_permissions,
            counts.roles_updated
        ),
        (1, 1, 1)
    );
    assert_eq!(world.denial(ada, "note.share", scope).await, None);
    assert_eq!(
        world.denial(ada, "note.read", scope).await,
        None,
        "what the role had stays"
    );
    let role = canopy_app::role::get_role(&world.app, &world.place, viewer)
        .await
        .unwrap();
    assert_eq!(role.version.get(), 2);
    let before = world.history().await;
    let again = calls::add_resource_permissions(&world.app, &world.call, &world.place, &asked)
        .await
        .unwrap();
    assert_eq!((again.permissions_created, again.roles_updated), (0, 0));
    assert_eq!(world.history().await, before);
}

#[tokio::test]
async fn summaries_tell_how_far_each_environment_is() {
    let world = World::new().await;
    let summaries = || async {
        canopy_app::setup::list_setup_summaries(&world.app, world.place.account)
            .await
            .unwrap()
    };
    let mine = |all: &[canopy_domain::setup::SetupSummary]| {
        all.iter()
            .find(|one| one.environment_id == world.place.environment)
            .unwrap()
            .clone()
    };
    let before = summaries().await;
    let slugs: Vec<&str> = before.iter().map(|one| one.environment_slug.as_str()).collect();
    assert_eq!(slugs, ["development", "production"]);
    assert!(!mine(&before).has_permissions && !mine(&before).has_roles && !mine(&before).is_complete());
    world.bootstrap().await;
    world.members(&["ada", "bob"]).await;
    let after = summaries().await;
    assert!(mine(&after).is_complete());
    assert_eq!(mine(&after).identities, 2);
    assert!(!after[1].is_complete());
}
