//! Changing, ending and deleting, and what it leaves in the history of each environment.

use crate::calls;
use crate::world::{World, person, refused, tenant};
use canopy_app::{AppError, Call, Caller};
use canopy_domain::access::{DenialReason, Target};
use canopy_domain::api_key::{KeyAccess, KeyScopes};
use canopy_domain::audit::AuditSeverity;
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::bulk::Outcome;
use canopy_domain::identity::change::IdentityPatch;
use canopy_domain::identity::membership::MembershipChange;
use canopy_domain::*;
use std::sync::Arc;

/// The environments of the world's application with their revisions, by slug.
async fn revisions(world: &World) -> Vec<u64> {
    let mut tx = world.store.read().await.unwrap();
    let mut revisions = Vec::new();
    for environment in tx.environments(world.place.application).await.unwrap() {
        revisions.push(tx.revision(environment.id).await.unwrap().unwrap().get());
    }
    revisions
}

async fn events(world: &World) -> usize {
    world.history().await.1
}

/// Returns action, severity, resource and metadata of the newest audit event.
async fn newest(world: &World) -> (String, AuditSeverity, String, String) {
    let mut tx = world.store.read().await.unwrap();
    let events = tx.audit_events(world.place.account, &AuditQuery::newest(1)).await;
    let event = events.unwrap().remove(0);
    (event.action, event.severity, event.resource_id, event.metadata)
}

async fn make(world: &World, id: IdentityId, asked: MembershipChange) -> Result<Membership, AppError> {
    calls::change_membership_of_member(&world.app, &world.call, world.place.application_ref(), None, id, asked).await
}

fn switch(is_active: bool) -> IdentityPatch {
    IdentityPatch {
        is_active: Some(is_active),
        ..IdentityPatch::default()
    }
}

#[tokio::test]
async fn ending_a_membership_is_one_event_and_one_revision_of_each_environment() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer), world.item(ada, editor)]).await;
    assert_eq!(world.denial(ada, "note.write", Target::AppWide).await, None);
    let (before, count) = (revisions(&world).await, events(&world).await);
    let ended = make(&world, ada, MembershipChange::End).await.unwrap();
    assert_eq!(ended.deactivated_at, Some(world.app.now()));
    assert_eq!(
        world.denial(ada, "note.write", Target::AppWide).await,
        Some(DenialReason::MembershipInactive)
    );
    let (action, severity, resource, metadata) = newest(&world).await;
    assert_eq!((action.as_str(), severity), ("membership.end", AuditSeverity::Warning));
    assert_eq!(resource, ada.to_string());
    // Who lost which roles is told by the event alone: the assignments are gone.
    assert!(metadata.contains(&ended.id.to_string()), "{metadata}");
    for gone in [viewer, editor] {
        assert!(
            metadata.contains(&format!("\"role\":{{\"id\":\"{gone}\",\"name\":\"")),
            "{metadata}"
        );
    }
    for named in ["\"identity\":{\"id\":\"", "\"path\":\"", "\"change\":\"revoked\""] {
        assert_eq!(metadata.matches(named).count(), 2, "{named} of each: {metadata}");
    }
    let next: Vec<u64> = before.iter().map(|revision| revision + 1).collect();
    assert_eq!(
        (revisions(&world).await, events(&world).await),
        (next.clone(), count + 1)
    );

    // There is nothing left to end, so nothing is written.
    assert_eq!(make(&world, ada, MembershipChange::End).await.unwrap(), ended);
    assert_eq!((revisions(&world).await, events(&world).await), (next, count + 1));
    let again = make(&world, ada, MembershipChange::Activate).await.unwrap();
    assert_eq!((again.status, again.deactivated_at), (MembershipStatus::Active, None));
    assert_eq!(
        world.denial(ada, "note.write", Target::AppWide).await,
        Some(DenialReason::NoGrant)
    );
}

#[tokio::test]
async fn the_account_wide_switch_is_told_to_every_environment_and_a_new_name_to_none() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    let account = world.place.account;
    let before = revisions(&world).await;
    let denial = || async { world.denial(ada, "note.read", Target::AppWide).await };
    assert_eq!(denial().await, None);
    for (is_active, expected) in [(false, Some(DenialReason::IdentityInactive)), (true, None)] {
        calls::change_identity(&world.app, &world.call, account, ada, &switch(is_active))
            .await
            .unwrap();
        assert_eq!(denial().await, expected);
    }
    let after: Vec<u64> = before.iter().map(|revision| revision + 2).collect();
    assert_eq!(revisions(&world).await, after);
    let renamed = IdentityPatch {
        first_name: Some(PersonName::parse("New").unwrap()),
        ..IdentityPatch::default()
    };
    let count = events(&world).await;
    for _ in 0..2 {
        calls::change_identity(&world.app, &world.call, account, ada, &renamed)
            .await
            .unwrap();
    }
    assert_eq!((revisions(&world).await, events(&world).await), (after, count + 1));
}

#[tokio::test]
async fn deleting_an_identity_reaches_every_environment_of_all_its_applications() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let (ada, bob) = {
        let made = world.members(&["ada", "bob"]).await;
        (made[0], made[1])
    };
    world.assign(&[world.item(ada, viewer), world.item(bob, viewer)]).await;
    let account = world.place.account;
    let second = calls::create_application(&world.app, &world.call, account, &tenant("second"))
        .await
        .unwrap();
    let elsewhere = ApplicationRef {
        account,
        application: second.id,
    };
    let mode = crate::calls::BulkMode::SINGLE;
    let attached = calls::attach_identities(&world.app, &world.call, elsewhere, &[ada], mode).await;
    assert!(matches!(attached.unwrap().as_slice(), [Outcome::Done(_)]));
    let mut tx = world.store.read().await.unwrap();
    let standings = tx.standings(account, ada).await.unwrap();
    assert_eq!(standings.len(), 4);
    let mut before = Vec::new();
    for (environment, _) in &standings {
        before.push(tx.revision(*environment).await.unwrap().unwrap().next());
    }
    drop(tx);
    let count = events(&world).await;
    calls::delete_identity(&world.app, &world.call, account, ada)
        .await
        .unwrap();
    assert_eq!(events(&world).await, count + 1);
    assert_eq!(newest(&world).await.0, "identity.delete");
    let mut tx = world.store.read().await.unwrap();
    for ((environment, _), revision) in standings.iter().zip(before) {
        assert_eq!(tx.revision(*environment).await.unwrap(), Some(revision));
    }
    drop(tx);
    let denied = world.denial(ada, "note.read", Target::AppWide).await;
    assert_eq!(denied, Some(DenialReason::IdentityNotFound));
    assert_eq!(world.denial(bob, "note.read", Target::AppWide).await, None);
    for result in [
        calls::delete_identity(&world.app, &world.call, account, ada).await,
        calls::change_identity(&world.app, &world.call, account, ada, &switch(true))
            .await
            .map(|_| ()),
        make(&world, ada, MembershipChange::End).await.map(|_| ()),
    ] {
        assert!(matches!(refused(result), AppError::Identity(IdentityError::NotFound)));
    }
}

#[tokio::test]
async fn a_member_with_a_first_role_is_made_whole_and_refused_whole() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let place = world.place.application_ref();
    let create = |new: &'static str, role: RoleId, node: NodeId| {
        let (app, call) = (&world.app, &world.call);
        async move { calls::create_member(app, call, place, None, &person(new), Some((role, node))).await }
    };
    world.switch_role_off(editor).await;
    let before = world.history().await;
    let nowhere = NodeId::new(world.app.mint());
    assert!(matches!(
        refused(create("ada", viewer, nowhere).await),
        AppError::Assignment(AssignmentError::NodeNotFound)
    ));
    assert!(matches!(
        refused(create("ada", editor, world.root).await),
        AppError::Assignment(AssignmentError::RoleInactive)
    ));
    assert_eq!(world.history().await, before, "nothing is left of what was refused");
    let ada = create("ada", viewer, world.root).await.unwrap();
    assert_eq!(world.history().await, (before.0.next(), before.1 + 1));
    assert_eq!(world.denial(ada.id, "note.read", Target::AppWide).await, None);
    // The email is judged before the role.
    assert!(matches!(
        refused(create("ada", editor, nowhere).await),
        AppError::Identity(IdentityError::EmailTaken)
    ));
}

#[tokio::test]
async fn a_key_makes_a_first_assignment_only_with_the_scope_for_it() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let place = world.place.application_ref();
    let call = |scopes: &[&str]| {
        let keys = scopes.iter().map(|text| PermissionKey::parse(text).unwrap());
        let caller = Caller::ApiKey {
            place: world.place,
            id: ApiKeyId::new(world.app.mint()),
            access: Arc::new(KeyAccess::Scoped(KeyScopes::new(keys))),
        };
        Call::new(caller, "request-2".to_owned())
    };
    let first = Some((viewer, world.root));
    let bound = Some(world.place.environment);
    let narrow = call(&["identity.manage"]);
    let result = calls::create_member(&world.app, &narrow, place, bound, &person("ada"), first).await;
    assert!(matches!(refused(result), AppError::ScopeMissing));
    let plain = calls::create_member(&world.app, &narrow, place, bound, &person("ada"), None).await;
    let wide = call(&["identity.manage", "assignment.manage"]);
    let made = calls::create_member(&world.app, &wide, place, bound, &person("bob"), first).await;
    let reader = call(&["identity.read"]);
    for (identity, caller, can_manage, roles) in
        [(plain.unwrap(), &narrow, true, 0), (made.unwrap(), &reader, false, 1)]
    {
        let held = canopy_app::identity::get_member_assignments(&world.app, caller, place, bound, identity.id)
            .await
            .unwrap();
        assert_eq!((held.can_manage, held.assignments.len()), (can_manage, roles));
    }
}
