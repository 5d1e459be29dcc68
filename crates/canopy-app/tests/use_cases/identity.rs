use crate::calls;
use crate::calls::BulkMode;
use crate::world::{World, done, person, refused, tenant};
use canopy_app::AppError;
use canopy_app::identity::AttachError;
use canopy_domain::access::{DenialReason, Target};
use canopy_domain::bulk::Outcome;
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort};
use canopy_domain::*;

const EACH: BulkMode = BulkMode {
    atomic: false,
    dry_run: false,
};

#[tokio::test]
async fn one_by_one_the_good_are_made_and_the_bad_are_named() {
    let world = World::new().await;
    world.members(&["ada"]).await;
    let items = [person("ada"), person("bob"), person("bob"), person("cleo")];
    let account = world.place.account;
    let outcomes = calls::create_identities(&world.app, &world.call, account, None, &items, EACH)
        .await
        .unwrap();
    assert!(matches!(
        outcomes.as_slice(),
        [
            Outcome::Refused(IdentityError::EmailTaken),
            Outcome::Done(_),
            Outcome::Refused(IdentityError::DuplicateInBatch { first: 1 }),
            Outcome::Done(_),
        ]
    ));
    let query = IdentityQuery {
        member_of: None,
        not_member_of: Some(world.place.application),
        status: None,
        has_any_assignment: None,
        assigned_in: None,
        search: None,
        sort: IdentitySort::Email,
        order: SortOrder::Descending,
        page: PageRequest::default(),
    };
    let page = canopy_app::identity::list_identities(&world.app, account, &query)
        .await
        .unwrap();
    let emails: Vec<&str> = page.items.iter().map(|one| one.email.as_str()).collect();
    assert_eq!(emails, ["cleo@acme.example", "bob@acme.example"]);
}

#[tokio::test]
async fn the_same_email_may_be_used_in_another_account() {
    let world = World::new().await;
    let ada = world.members(&["ada"]).await[0];
    let rival = world.neighbour().await;
    rival.members(&["ada"]).await;
    assert!(matches!(
        refused(canopy_app::identity::get_identity(&world.app, rival.place.account, ada).await),
        AppError::Identity(IdentityError::NotFound)
    ));
}

#[tokio::test]
async fn a_member_is_one_in_every_environment_of_the_application_and_in_later_ones() {
    let world = World::new().await;
    let ada = world.members(&["ada"]).await[0];
    let place = world.place.application_ref();
    let asked = calls::create_environment(&world.app, &world.call, place, &tenant("staging"))
        .await
        .unwrap();
    for environment in canopy_app::tenancy::list_environments(&world.app, place.application)
        .await
        .unwrap()
    {
        let place = EnvironmentRef {
            environment: environment.id,
            ..world.place
        };
        let there = World {
            app: world.app.clone(),
            store: world.store.clone(),
            clock: world.clock.clone(),
            call: world.call.clone(),
            place,
            asked: place.into(),
            root: world.root,
        };
        let denial = there.denial(ada, "role.read", Target::AppWide).await;
        assert_eq!(denial, Some(DenialReason::NoGrant), "a member in {}", environment.slug);
    }
    assert_eq!(asked.slug.as_str(), "staging");
}

#[tokio::test]
async fn attaching_is_seen_by_the_next_check_and_refuses_strangers() {
    let world = World::new().await;
    let rival = world.neighbour().await;
    let spy = rival.members(&["spy"]).await[0];
    let account = world.place.account;
    let bob = {
        let outcomes = calls::create_identities(
            &world.app,
            &world.call,
            account,
            None,
            &[person("bob")],
            BulkMode::SINGLE,
        )
        .await
        .unwrap();
        done(&outcomes)[0].id
    };
    let denial = || async { world.denial(bob, "role.read", Target::AppWide).await };
    assert_eq!(denial().await, Some(DenialReason::IdentityNotFound));
    let place = world.place.application_ref();
    let run = |ids: Vec<IdentityId>, mode: BulkMode| {
        let (app, call) = (&world.app, &world.call);
        async move { calls::attach_identities(app, call, place, &ids, mode).await.unwrap() }
    };
    let outcomes = run(vec![spy, bob, bob], EACH).await;
    assert_eq!(
        outcomes[0],
        Outcome::Refused(AttachError::Identity(IdentityError::NotFound))
    );
    assert!(matches!(&outcomes[1], Outcome::Done(membership) if membership.status == MembershipStatus::Active));
    assert_eq!(
        outcomes[2],
        Outcome::Refused(AttachError::Membership(MembershipError::DuplicateInBatch { first: 1 }))
    );
    assert_eq!(denial().await, Some(DenialReason::NoGrant));
    let again = run(vec![bob], BulkMode::SINGLE).await;
    assert_eq!(
        again,
        [Outcome::Refused(AttachError::Membership(
            MembershipError::AlreadyActive
        ))]
    );
}

#[tokio::test]
async fn an_application_of_another_account_is_not_there() {
    let world = World::new().await;
    let rival = world.neighbour().await;
    let items = [person("bob")];
    let theirs = Some(rival.place.application);
    let result = calls::create_identities(&world.app, &world.call, world.place.account, theirs, &items, EACH).await;
    assert!(matches!(
        refused(result),
        AppError::Tenancy(TenancyError::NotFound(Tenant::Application))
    ));
}
