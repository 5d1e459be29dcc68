use crate::calls;
use crate::world::{World, key, refused};
use canopy_app::AppError;
use canopy_app::permission::NewPermission;
use canopy_app::role::NewRole;
use canopy_domain::access::Target;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::*;

fn new(name: &str, keys: &[&str]) -> NewRole {
    NewRole {
        name: RoleName::parse(name).unwrap(),
        description: None,
        permission_keys: keys.iter().map(|text| key(text)).collect(),
    }
}

#[tokio::test]
async fn every_key_that_does_not_exist_is_named() {
    let world = World::new().await;
    world.bootstrap().await;
    let create =
        |asked: NewRole| async move { calls::create_role(&world.app, &world.call, &world.place, &asked).await };
    let error = refused(create(new("R", &["z.z", "a.a", "note.read"])).await);
    assert!(
        matches!(error, AppError::Role(RoleError::UnknownPermissionKeys { keys }) if keys == [key("a.a"), key("z.z")])
    );
}

#[tokio::test]
async fn a_name_that_is_taken_without_regard_to_case_writes_nothing() {
    let world = World::new().await;
    world.bootstrap().await;
    let before = world.history().await;
    let error = refused(calls::create_role(&world.app, &world.call, &world.place, &new(" vIEWER ", &[])).await);
    assert!(matches!(error, AppError::Role(RoleError::NameTaken)));
    assert_eq!(world.history().await, before);
}

#[tokio::test]
async fn replacing_permissions_gives_and_takes_at_once() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    let scope = Target::Node(world.root);
    let replace = |keys: Vec<PermissionKey>| {
        let (app, call, place) = (&world.app, &world.call, &world.place);
        async move { calls::replace_role_permissions(app, call, place, viewer, &keys).await }
    };
    replace(vec![key("note.write")]).await.unwrap();
    assert!(world.denial(ada, "note.read", scope).await.is_some());
    assert_eq!(world.denial(ada, "note.write", scope).await, None);
    let (held, _) = canopy_app::role::get_role_permissions(&world.app, &world.place, viewer)
        .await
        .unwrap();
    assert_eq!(held, [key("note.write")]);
    let before = world.history().await;
    replace(vec![key("note.write"), key("note.write")]).await.unwrap();
    assert_eq!(world.history().await, before, "the same set again changes nothing");
    let admin = world.role("Environment Admin").await;
    let refused = refused(calls::replace_role_permissions(&world.app, &world.call, &world.place, admin, &[]).await);
    assert!(matches!(refused, AppError::Role(RoleError::System)));
}

#[tokio::test]
async fn permissions_are_made_all_or_nothing() {
    let world = World::new().await;
    world.bootstrap().await;
    let asked = |keys: &[&str]| -> Vec<NewPermission> {
        keys.iter()
            .map(|text| NewPermission {
                key: key(text),
                description: None,
                category: None,
            })
            .collect()
    };
    let create = |items: Vec<NewPermission>| {
        let (app, call, place) = (&world.app, &world.call, &world.place);
        async move { calls::create_permissions(app, call, place, &items).await }
    };
    let before = world.history().await;
    let error = refused(create(asked(&["x.new", "note.read", "x.twice", "x.twice", "role.read"])).await);
    assert!(matches!(error, AppError::Permission(PermissionError::KeyTaken { keys })
        if keys == [key("note.read"), key("role.read"), key("x.twice")]));
    assert_eq!(world.history().await, before);
    let made = create(asked(&["x.new", "X.new"])).await.unwrap();
    assert_eq!(made.len(), 2, "case counts");
    let search = PermissionQuery {
        search: canopy_domain::SearchWords::parse("x.NEW").unwrap(),
        ..PermissionQuery::default()
    };
    assert_eq!(
        canopy_app::permission::list_permissions(&world.app, &world.place, &search)
            .await
            .unwrap()
            .len(),
        2
    );
    let one = canopy_app::permission::get_permission(&world.app, &world.place, made[0].id)
        .await
        .unwrap();
    assert_eq!(one, made[0]);
}
