//! Clauses on repeatable requests.

use super::support::{TestStore, acme, millis_after};
use canopy_domain::port::{Begun, CommitRecord, EnvironmentChanges, KeptAnswer, LockScope, RequestIdentity, WriteTx};
use canopy_domain::{Revision, Timestamp};
use canopy_testkit::clock::noon;
use canopy_testkit::fixture::World;

const FIRST: RequestIdentity = RequestIdentity([1; 32]);
/// Differs from the first one only in its last byte.
const SECOND: RequestIdentity = {
    let mut bytes = [1; 32];
    bytes[31] = 2;
    RequestIdentity(bytes)
};

fn answer(request: RequestIdentity, text: &[u8]) -> KeptAnswer {
    KeptAnswer {
        request,
        body: [7; 32],
        answer: text.to_vec(),
        at: noon(),
    }
}

async fn begin(store: &TestStore, world: &World, request: RequestIdentity, since: Timestamp) -> Begun {
    let scope = LockScope::Environment(world.development.place);
    store.write_once(scope, request, since).await.unwrap()
}

async fn fresh(store: &TestStore, world: &World, request: RequestIdentity) -> Box<dyn WriteTx> {
    match begin(store, world, request, noon()).await {
        Begun::Fresh(tx) => tx,
        Begun::Running => panic!("nobody answers this request"),
        Begun::Answered(kept) => panic!("nobody has answered this request: {kept:?}"),
    }
}

async fn kept(store: &TestStore, world: &World, request: RequestIdentity, since: Timestamp) -> Option<KeptAnswer> {
    match begin(store, world, request, since).await {
        Begun::Fresh(_) => None,
        Begun::Running => panic!("nobody answers this request"),
        Begun::Answered(kept) => Some(kept),
    }
}

async fn keep(store: &TestStore, world: &World, kept: &KeptAnswer) {
    let mut tx = fresh(store, world, kept.request).await;
    tx.keep_answer(kept, millis_after(kept.at, -1)).await.unwrap();
    world.commit(tx, &[world.development.id()]).await;
}

pub async fn an_answer_is_told_to_its_own_request_alone(store: TestStore) {
    let world = acme(&store).await;
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let given = answer(FIRST, &bytes);
    keep(&store, &world, &given).await;
    let empty = answer(RequestIdentity([0xff; 32]), b"");
    keep(&store, &world, &empty).await;
    assert_eq!(kept(&store, &world, FIRST, given.at).await, Some(given));
    assert_eq!(kept(&store, &world, empty.request, empty.at).await, Some(empty));
    assert_eq!(kept(&store, &world, SECOND, Timestamp::MIN).await, None);
}

pub async fn an_answer_is_told_no_longer_than_it_counts(store: TestStore) {
    let world = acme(&store).await;
    let given = answer(FIRST, b"made");
    keep(&store, &world, &given).await;
    assert_eq!(kept(&store, &world, FIRST, millis_after(given.at, 1)).await, None);
    assert_eq!(kept(&store, &world, FIRST, given.at).await, Some(given));
}

pub async fn a_request_is_answered_by_one_unit_of_work_at_a_time(store: TestStore) {
    let world = acme(&store).await;
    let tx = fresh(&store, &world, FIRST).await;
    let since = noon();
    // The second request does not wait, although the first one holds the lock that it would need.
    assert!(matches!(begin(&store, &world, FIRST, since).await, Begun::Running));
    drop(tx);
    drop(fresh(&store, &world, FIRST).await);
    drop(fresh(&store, &world, SECOND).await);
}

pub async fn a_unit_of_work_that_is_dropped_keeps_no_answer(store: TestStore) {
    let world = acme(&store).await;
    let mut tx = fresh(&store, &world, FIRST).await;
    let given = answer(FIRST, b"lost");
    tx.keep_answer(&given, Timestamp::MIN).await.unwrap();
    drop(tx);
    assert_eq!(kept(&store, &world, FIRST, Timestamp::MIN).await, None);
}

pub async fn an_answer_kept_again_replaces_the_outdated_one(store: TestStore) {
    let world = acme(&store).await;
    let (old, other) = (answer(FIRST, b"old"), answer(SECOND, b"other"));
    keep(&store, &world, &old).await;
    keep(&store, &world, &other).await;
    let at = millis_after(old.at, 1_000);
    let new = KeptAnswer {
        body: [8; 32],
        at,
        ..answer(FIRST, b"new")
    };
    let Begun::Fresh(mut tx) = begin(&store, &world, FIRST, at).await else {
        panic!("the answer is outdated");
    };
    tx.keep_answer(&new, at).await.unwrap();
    world.commit(tx, &[world.development.id()]).await;
    assert_eq!(kept(&store, &world, FIRST, Timestamp::MIN).await, Some(new));
    assert_eq!(
        kept(&store, &world, SECOND, Timestamp::MIN).await,
        None,
        "it was forgotten"
    );
}

pub async fn outdated_answers_are_forgotten_without_a_write(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    // More than a store deletes at once.
    let number = |n: u8| RequestIdentity([n; 32]);
    for n in 0..250 {
        let mut tx = fresh(&store, &world, number(n)).await;
        let old = KeptAnswer {
            at: millis_after(noon(), n.into()),
            ..answer(number(n), b"old")
        };
        tx.keep_answer(&old, Timestamp::MIN).await.unwrap();
        world.commit(tx, &[id]).await;
    }
    let before = super::support::reading(&store).await.revision(id).await.unwrap();
    let outdated = millis_after(noon(), 240);
    let mut rounds = 1;
    while store.forget_answers(outdated).await.unwrap() {
        rounds += 1;
        assert!(rounds < 250, "it comes to an end");
    }
    for n in 0..250 {
        let found = kept(&store, &world, number(n), Timestamp::MIN).await;
        assert_eq!(found.is_some(), n >= 240, "{n}");
    }
    assert!(!store.forget_answers(outdated).await.unwrap());
    let after = super::support::reading(&store).await.revision(id).await.unwrap();
    assert_eq!(before, after);
}

pub async fn kept_answers_are_summed_for_each_tenant_and_hour(store: TestStore) {
    let world = acme(&store).await;
    let (own, other) = (world.development.id(), world.production.id());
    let scope = |environment| world.within(environment);
    let sum = async |scope, since| {
        let mut tx = super::support::writing(&store, scope).await;
        tx.kept_bytes(since).await.unwrap()
    };
    assert_eq!(sum(scope(own), Timestamp::MIN).await, 0);
    let hour = 60 * 60 * 1_000;
    let start = Timestamp::from_millis(KeptAnswer::hour(noon()) * hour).unwrap();
    let mut expected = 0;
    // The last instant of an hour, the first of the next, and one a day later; the first is sent again after it is outdated.
    for (request, at, bytes) in [(FIRST, hour - 1, 1_000), (SECOND, hour, 20), (FIRST, 25 * hour, 3)] {
        let at = millis_after(start, at);
        let Begun::Fresh(mut tx) = begin(&store, &world, request, at).await else {
            panic!("nobody has answered this request");
        };
        let given = KeptAnswer {
            at,
            ..answer(request, &vec![b'x'; bytes])
        };
        expected += given.bytes();
        assert_eq!(given.bytes(), bytes as u64 + KeptAnswer::OVERHEAD);
        assert_eq!(tx.keep_answer(&given, Timestamp::MIN).await.unwrap(), expected);
        world.commit(tx, &[own]).await;
    }
    assert_eq!(sum(scope(own), Timestamp::MIN).await, expected);
    let [of_first, of_second, of_last] = [1_000, 20, 3].map(|bytes: u64| bytes + KeptAnswer::OVERHEAD);
    for (since, expected) in [
        (0, of_first + of_second + of_last),
        (hour - 1, of_first + of_second + of_last),
        (hour, of_second + of_last),
        (2 * hour, of_last),
        (25 * hour, of_last),
        (26 * hour, 0),
    ] {
        assert_eq!(sum(scope(own), millis_after(start, since)).await, expected, "{since}");
    }
    // Uncommitted responses do not count, and other tenants have their own sums.
    for elsewhere in [
        scope(other),
        LockScope::Account(world.account.id),
        LockScope::Application(world.application_ref()),
    ] {
        assert_eq!(sum(elsewhere.clone(), Timestamp::MIN).await, 0, "{elsewhere:?}");
        let Begun::Fresh(mut tx) = store
            .write_once(elsewhere.clone(), SECOND, Timestamp::MAX)
            .await
            .unwrap()
        else {
            panic!("no answer counts");
        };
        let lost = answer(RequestIdentity([9; 32]), b"lost");
        assert_eq!(tx.keep_answer(&lost, Timestamp::MIN).await.unwrap(), lost.bytes());
        drop(tx);
        assert_eq!(sum(elsewhere, Timestamp::MIN).await, 0);
    }
    // Sums are deleted with their responses.
    let outdated = millis_after(start, 2 * hour);
    while store.forget_answers(outdated).await.unwrap() {}
    assert_eq!(sum(scope(own), Timestamp::MIN).await, of_last);
}

pub async fn old_change_records_are_deleted_but_the_newest(store: TestStore) {
    let world = acme(&store).await;
    let (id, other) = (world.development.id(), world.production.id());
    let revision = async |id| {
        super::support::reading(&store)
            .await
            .revision(id)
            .await
            .unwrap()
            .unwrap()
    };
    let (before, other_before) = (revision(id).await, revision(other).await);
    // More than a store deletes at once.
    for n in 0..250_u32 {
        let tx = super::support::writing(&store, world.within(id)).await;
        let at = millis_after(noon(), i64::from(n));
        let record = CommitRecord {
            at,
            changes: vec![EnvironmentChanges {
                environment: id,
                changes: [].into(),
            }],
            audit: world.maker.at(at).audit(world.account.id, None),
        };
        tx.commit(record).await.unwrap();
    }
    let left = async |id, after| {
        let mut tx = super::support::reading(&store).await;
        let records = tx.changes_since(id, after, 1_000).await.unwrap();
        records
            .into_iter()
            .map(|(revision, _)| revision.get())
            .collect::<Vec<_>>()
    };
    let newest = before.get() + 250;
    assert_eq!(left(id, before).await.len(), 250);
    let outdated = millis_after(noon(), 240);
    let mut rounds = 1;
    while store.prune_history(outdated).await.unwrap() {
        rounds += 1;
        assert!(rounds < 250, "it comes to an end");
    }
    // The first remaining record does not follow the revision of an index at `before`.
    assert_eq!(left(id, before).await, (newest - 9..=newest).collect::<Vec<_>>());
    assert_eq!(left(id, Revision::new(newest - 1)).await, [newest]);
    while store.prune_history(Timestamp::MAX).await.unwrap() {}
    assert_eq!(left(id, Revision::ZERO).await, [newest]);
    assert_eq!(left(other, Revision::ZERO).await, [other_before.get()]);
    assert_eq!(revision(id).await.get(), newest);
    assert!(!store.prune_history(Timestamp::MAX).await.unwrap());
}
