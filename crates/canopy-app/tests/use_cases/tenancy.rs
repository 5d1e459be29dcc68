use crate::calls;
use crate::world::{World, refused, slug, tenant};
use canopy_app::AppError;
use canopy_app::role::NewRole;
use canopy_domain::audit::AuditSeverity;
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::*;

fn new_role() -> NewRole {
    NewRole {
        name: RoleName::parse("Late").unwrap(),
        description: None,
        permission_keys: vec![],
    }
}

fn is_absent(error: &AppError, tenant: Tenant) -> bool {
    matches!(error, AppError::Tenancy(TenancyError::NotFound(absent)) if *absent == tenant)
}

/// Tests that a call whose path was resolved before the deletion fails, whatever the call.
#[tokio::test]
async fn a_call_that_comes_after_the_deletion_finds_nothing() {
    let world = World::new().await;
    let (app, call, place) = (&world.app, &world.call, world.place);
    let people = world.members(&["ada"]).await;
    calls::delete_environment(app, call, &place).await.unwrap();
    let late = refused(calls::create_role(app, call, &place, &new_role()).await);
    assert!(is_absent(&late, Tenant::Environment), "{late:?}");
    let late = refused(calls::delete_environment(app, call, &place).await);
    assert!(is_absent(&late, Tenant::Environment), "{late:?}");

    calls::create_application(app, call, place.account, &tenant("second"))
        .await
        .unwrap();
    let gone = place.application_ref();
    calls::delete_application(app, call, gone).await.unwrap();
    let late = refused(calls::create_environment(app, call, gone, &tenant("late")).await);
    assert!(is_absent(&late, Tenant::Application), "{late:?}");
    let late = refused(calls::change_default_environment(app, call, gone, &slug("production")).await);
    assert!(is_absent(&late, Tenant::Application), "{late:?}");
    let late = refused(calls::delete_application(app, call, gone).await);
    assert!(is_absent(&late, Tenant::Application), "{late:?}");
    assert_eq!(people.len(), 1);
}

#[tokio::test]
async fn a_deletion_leaves_one_grave_event() {
    let world = World::new().await;
    let events = || async {
        let mut tx = world.store.read().await.unwrap();
        tx.audit_events(world.place.account, &AuditQuery::newest(200))
            .await
            .unwrap()
    };
    let before = events().await.len();
    calls::delete_environment(&world.app, &world.call, &world.place)
        .await
        .unwrap();
    let after = events().await;
    assert_eq!(after.len(), before + 1);
    let newest = &after[0];
    assert_eq!(
        (newest.action.as_str(), newest.severity),
        ("environment.delete", AuditSeverity::Critical)
    );
    assert_eq!(newest.environment_id, Some(world.place.environment));
    assert_eq!(newest.revision, None, "it has no revisions any more");
}

/// Of two who delete an application's two last environments, and of two who delete an account's last applications, one is
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_delete_the_last_ones_at_once_one_is_refused() {
    for _ in 0..10 {
        let world = World::new().await;
        let (app, call, account) = (&world.app, &world.call, world.place.account);
        let second = calls::create_application(app, call, account, &tenant("second"))
            .await
            .unwrap();
        let second = ApplicationRef {
            account,
            application: second.id,
        };
        let (one, other) = tokio::join!(
            calls::delete_application(app, call, world.place.application_ref()),
            calls::delete_application(app, call, second)
        );
        assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
        let left = canopy_app::tenancy::list_applications(app, account).await.unwrap();
        assert_eq!(left.len(), 1);
    }
}

#[tokio::test]
async fn an_application_has_no_more_environments_than_it_may_have() {
    let world = World::new().await;
    let (app, call, place) = (&world.app, &world.call, world.place.application_ref());
    // A new application has two.
    app.bound_environments(3);
    let make = async |name: &str| calls::create_environment(app, call, place, &tenant(name)).await;
    make("third").await.unwrap();
    let refused = make("fourth").await;
    assert!(
        matches!(
            refused,
            Err(AppError::Tenancy(TenancyError::TooManyEnvironments { max: 3 }))
        ),
        "{refused:?}"
    );
    assert_eq!(
        canopy_app::tenancy::list_environments(app, place).await.unwrap().len(),
        3
    );
}
