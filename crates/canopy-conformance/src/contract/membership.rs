//! Clauses on memberships.

use super::identity::{add, joining};
use super::support::{TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, sorted, writing};
use canopy_domain::access::SubjectFact;
use canopy_domain::port::{LockScope, Unique};
use canopy_domain::{ApplicationId, Identity, Membership, MembershipStatus, Timestamp};

pub async fn a_membership_reads_back_in_every_state(store: TestStore) {
    let world = acme(&store).await;
    let (maker, account) = (&world.maker, world.account.id);
    let all = MembershipStatus::ALL;
    let identities: Vec<Identity> = all
        .iter()
        .map(|status| maker.identity(account, &format!("Is {status}")))
        .collect();
    let times = [None, Some(Timestamp::MIN), Some(Timestamp::MAX), Some(maker.now())];
    let memberships: Vec<Membership> = identities
        .iter()
        .zip(all)
        .enumerate()
        .map(|(index, (identity, status))| Membership {
            invited_at: times[index % 4],
            activated_at: times[(index + 1) % 4],
            deactivated_at: times[(index + 2) % 4],
            created_at: [Timestamp::MIN, Timestamp::MAX][index % 2],
            ..maker.membership(identity.id, world.application.id, *status)
        })
        .collect();
    let mut tx = writing(&store, joining(&world)).await;
    tx.insert_identities(&identities).await.unwrap();
    tx.insert_memberships(&memberships).await.unwrap();
    world.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    for membership in &memberships {
        let found = tx.memberships(membership.identity_id).await.unwrap();
        assert_eq!(found.as_slice(), std::slice::from_ref(membership));
    }
    drop(tx);
    let changed: Vec<Membership> = memberships
        .iter()
        .zip(memberships.iter().rev())
        .map(|(membership, other)| Membership {
            id: membership.id,
            identity_id: membership.identity_id,
            created_at: membership.created_at,
            ..other.clone()
        })
        .collect();
    let mut tx = writing(&store, joining(&world)).await;
    tx.update_memberships(&changed).await.unwrap();
    world.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    for membership in &changed {
        let found = tx.memberships(membership.identity_id).await.unwrap();
        assert_eq!(found.as_slice(), std::slice::from_ref(membership));
    }
}

pub async fn memberships_of_an_identity_are_listed_by_application(store: TestStore) {
    let world = acme(&store).await;
    let maker = &world.maker;
    let more = ["c", "a", "b"].map(|text| maker.application(world.account.id, text));
    let mut tx = writing(&store, LockScope::Account(world.account.id)).await;
    for application in &more {
        tx.insert_application(application).await.unwrap();
    }
    // The ids of memberships run against those of their applications.
    for application in more.iter().rev() {
        let joined = maker.membership(world.ada(), application.id, MembershipStatus::Active);
        tx.insert_memberships(&[joined]).await.unwrap();
    }
    world.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    let found: Vec<ApplicationId> = tx
        .memberships(world.ada())
        .await
        .unwrap()
        .iter()
        .map(|membership| membership.application_id)
        .collect();
    let applications = more.iter().map(|application| application.id);
    assert_eq!(found, sorted(applications.chain([world.application.id])));
    assert_eq!(tx.memberships(maker.id()).await.unwrap(), []);
}

pub async fn a_second_membership_is_a_duplicate_and_the_unit_of_work_goes_on(store: TestStore) {
    let world = acme(&store).await;
    let (maker, application) = (&world.maker, world.application.id);
    let fresh = ["New One", "New Two"].map(|text| maker.identity(world.account.id, text));
    let join = |identity| maker.membership(identity, application, MembershipStatus::Invited);
    let mut tx = writing(&store, joining(&world)).await;
    tx.insert_identities(&fresh).await.unwrap();
    let with_taken = [join(fresh[0].id), join(world.ada())];
    assert_duplicate(tx.insert_memberships(&with_taken).await, Unique::Membership);
    let twins = [join(fresh[0].id), join(fresh[0].id)];
    assert_duplicate(tx.insert_memberships(&twins).await, Unique::Membership);
    let same_id = Membership {
        id: world.memberships[0].id,
        ..join(fresh[0].id)
    };
    assert_duplicate(tx.insert_memberships(&[same_id]).await, Unique::Id);
    tx.insert_memberships(&[join(fresh[0].id)]).await.unwrap();
    world.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.memberships(fresh[0].id).await.unwrap().len(), 1);
    assert_eq!(tx.memberships(fresh[1].id).await.unwrap().len(), 0);
    assert_eq!(tx.memberships(world.ada()).await.unwrap(), world.memberships[..1]);
}

pub async fn a_membership_of_nobody_or_nothing_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let nobody = world
        .maker
        .membership(world.maker.id(), world.application.id, MembershipStatus::Active);
    let nothing = world
        .maker
        .membership(world.ada(), world.maker.id(), MembershipStatus::Active);
    for membership in [nobody, nothing] {
        let mut tx = writing(&store, joining(&world)).await;
        assert_bug(tx.insert_memberships(&[membership]).await);
    }
}

pub async fn changing_a_membership_that_is_not_there_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let identity = world.maker.identity(world.account.id, "New One");
    add(&store, &world, std::slice::from_ref(&identity)).await;
    let absent = world
        .maker
        .membership(identity.id, world.application.id, MembershipStatus::Active);
    let mut tx = writing(&store, joining(&world)).await;
    assert_bug(tx.update_memberships(&[absent]).await);
}

pub async fn members_are_all_who_ever_joined_the_application(store: TestStore) {
    let (acme, _zeta) = acme_and_zeta(&store).await;
    let maker = &acme.maker;
    let outsider = maker.identity(acme.account.id, "Out Sider");
    let off = Identity {
        is_active: false,
        ..maker.identity(acme.account.id, "Off Line")
    };
    let left = maker.membership(off.id, acme.application.id, MembershipStatus::Deactivated);
    let mut tx = writing(&store, joining(&acme)).await;
    tx.insert_identities(&[outsider, off.clone()]).await.unwrap();
    tx.insert_memberships(&[left]).await.unwrap();
    acme.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    let mut members = tx.members(acme.application.id).await.unwrap();
    members.sort_by_key(|member| member.id);
    let active = |id| SubjectFact {
        id,
        is_active: true,
        membership: MembershipStatus::Active,
    };
    let left = SubjectFact {
        id: off.id,
        is_active: false,
        membership: MembershipStatus::Deactivated,
    };
    assert_eq!(
        members,
        [active(acme.ada()), active(acme.alan()), active(acme.grace()), left]
    );
    assert_eq!(tx.members(maker.id()).await.unwrap(), []);
}
