//! Right histories, wrong histories of each kind, and small ones compared with a search of all orders.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

const ROLE: u128 = 1;
const OTHER_ROLE: u128 = 2;
const ROOT: u128 = 1;
const CHILD: u128 = 2;
const EDIT: &str = "note.edit";

fn key_at(identity: u128, node: u128) -> AssignmentKey {
    AssignmentKey {
        identity: id(identity),
        role: id(ROLE),
        node: id(node),
    }
}

fn key(identity: u128) -> AssignmentKey {
    key_at(identity, ROOT)
}

fn keys(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|&text| text.to_owned()).collect()
}

fn start() -> State {
    let role = |name: &str| RoleState {
        name: name.to_owned(),
        keys: keys(&[EDIT]),
    };
    State {
        revision: 10,
        nodes: [(id(ROOT), None), (id(CHILD), Some(id(ROOT)))].into(),
        roles: [(id(ROLE), role("Editor")), (id(OTHER_ROLE), role("Other"))].into(),
        held: BTreeMap::new(),
    }
}

/// Builds histories with the send and response time of each call.
#[derive(Default)]
struct Run(Vec<Call>);

impl Run {
    fn call(mut self, (begun, ended): (u64, u64), request: Request, answer: Answer) -> Self {
        self.0.push(Call {
            client: self.0.len(),
            begun: Duration::from_millis(begun),
            ended: Duration::from_millis(ended),
            request,
            answer,
        });
        self
    }

    fn bulk(self, when: (u64, u64), identities: &[u128], answers: &[ItemAnswer]) -> Self {
        let items = identities.iter().copied().map(key).collect();
        let request = Request::Create { items, atomic: true };
        self.call(when, request, Answer::Created(answers.to_vec()))
    }

    /// Creates a creation that was stored under ids that are those of the identities times 100.
    fn gives(self, when: (u64, u64), identities: &[u128]) -> Self {
        let answers: Vec<_> = identities.iter().map(|one| ItemAnswer::Stored(id(one * 100))).collect();
        self.bulk(when, identities, &answers)
    }

    fn gives_unanswered(self, begun: u64, identities: &[u128]) -> Self {
        let items = identities.iter().copied().map(key).collect();
        self.call((begun, begun), Request::Create { items, atomic: true }, Answer::Open)
    }

    fn finds_taken(self, when: (u64, u64), identity: u128, by: Option<u128>) -> Self {
        self.bulk(when, &[identity], &[ItemAnswer::Taken(by.map(id))])
    }

    fn removes(self, when: (u64, u64), identity: u128, answer: Answer) -> Self {
        let rows = vec![(id(identity * 100), key(identity))];
        self.call(when, Request::Remove { rows }, answer)
    }

    fn sets(self, when: (u64, u64), permissions: &[&str]) -> Self {
        let request = Request::SetPermissions {
            role: id(ROLE),
            keys: keys(permissions),
        };
        self.call(when, request, Answer::Done)
    }

    fn asks_at(
        self,
        when: (u64, u64),
        is_strong: bool,
        (identity, node): (u128, u128),
        revision: u64,
        roles: &[&str],
    ) -> Self {
        let request = Request::Evaluate {
            identity: id(identity),
            permission: EDIT.to_owned(),
            node: id(node),
            is_strong,
        };
        let answer = Answer::Decided {
            revision,
            is_allowed: !roles.is_empty(),
            granting_roles: keys(roles),
        };
        self.call(when, request, answer)
    }

    fn yes(self, when: (u64, u64), identity: u128, revision: u64) -> Self {
        self.asks_at(when, true, (identity, ROOT), revision, &["Editor"])
    }

    fn no(self, when: (u64, u64), identity: u128, revision: u64) -> Self {
        self.asks_at(when, true, (identity, ROOT), revision, &[])
    }

    fn eventual_no(self, when: (u64, u64), identity: u128, revision: u64) -> Self {
        self.asks_at(when, false, (identity, ROOT), revision, &[])
    }

    fn lists(self, when: (u64, u64), identities: &[u128]) -> Self {
        let held = identities.iter().map(|one| (key(*one), id(one * 100))).collect();
        self.call(when, Request::List, Answer::Held(held))
    }

    fn check(self) -> Result<(), Violation> {
        let history = History {
            start: start(),
            calls: self.0,
        };
        check(&history)
    }

    #[track_caller]
    fn passes(self) {
        if let Err(violation) = self.check() {
            panic!("{violation}");
        }
    }

    /// Asserts that the response of this call is the first that no order explains.
    #[track_caller]
    fn fails_at(self, place: usize) {
        let wrong = self.0[place].clone();
        match self.check() {
            Err(Violation::Unexplained { answer, .. }) => assert_eq!(*answer, wrong),
            other => panic!("{other:?}"),
        }
    }
}

fn run() -> Run {
    Run::default()
}

const NOT_THERE: fn(u128) -> Answer = |identity| Answer::NotThere([id(identity * 100)].into());

#[test]
fn what_a_serial_service_answers_is_right() {
    run().passes();
    run()
        .no((0, 1), 1, 10)
        .gives((2, 3), &[1, 2])
        .yes((4, 5), 1, 11)
        .finds_taken((6, 7), 1, Some(100))
        .sets((8, 9), &["note.read"])
        .no((10, 11), 1, 12)
        .sets((12, 13), &["note.read"])
        .sets((14, 15), &[EDIT])
        .yes((16, 17), 2, 13)
        .removes((18, 19), 1, Answer::Removed)
        .removes((20, 21), 1, NOT_THERE(1))
        .no((22, 23), 1, 14)
        .lists((24, 25), &[2])
        .passes();
}

#[test]
fn calls_at_the_same_time_may_come_in_any_order() {
    // The call that was sent last and answered first wins.
    run().finds_taken((0, 9), 1, None).gives((5, 6), &[1]).passes();
    run().no((0, 9), 1, 10).gives((1, 8), &[1]).yes((2, 7), 1, 11).passes();
    // Two edits, each explained by its own check only.
    run()
        .gives((0, 1), &[1])
        .sets((2, 20), &[])
        .sets((2, 20), &["note.read", EDIT])
        .no((3, 5), 1, 12)
        .yes((6, 7), 1, 13)
        .passes();
    run()
        .gives((0, 1), &[1])
        .sets((2, 20), &[])
        .sets((2, 20), &["note.read", EDIT])
        .yes((3, 5), 1, 12)
        .no((6, 7), 1, 13)
        .passes();
}

#[test]
fn an_eventual_check_may_look_back_and_no_further_than_it_says() {
    run()
        .gives((0, 1), &[1])
        .gives((2, 3), &[2])
        .eventual_no((4, 5), 2, 11)
        .eventual_no((6, 7), 1, 10)
        .passes();
    run().gives((0, 1), &[1]).eventual_no((4, 5), 1, 11).fails_at(1);
}

#[test]
fn a_write_without_an_answer_may_have_happened_at_any_time_or_never() {
    run().gives_unanswered(0, &[1]).no((5, 6), 1, 10).passes();
    run().gives_unanswered(0, &[1]).yes((5, 6), 1, 11).passes();
    run()
        .gives_unanswered(0, &[1])
        .no((5, 6), 1, 10)
        .gives((7, 8), &[2])
        .yes((9, 10), 1, 12)
        .passes();
    run()
        .gives_unanswered(0, &[1])
        .no((5, 6), 1, 10)
        .finds_taken((7, 8), 1, Some(77))
        .passes();
    // It is neither executed twice nor undone.
    run()
        .gives_unanswered(0, &[1])
        .yes((5, 6), 1, 11)
        .no((7, 8), 1, 12)
        .fails_at(2);
    // Nor before it was sent.
    run().yes((0, 1), 1, 11).gives_unanswered(2, &[1]).fails_at(0);
}

#[test]
fn nothing_is_given_twice() {
    run()
        .gives((0, 5), &[1])
        .bulk((1, 6), &[1], &[ItemAnswer::Stored(id(7))])
        .fails_at(1);
    run()
        .gives((0, 1), &[1])
        .removes((2, 5), 1, Answer::Removed)
        .bulk((3, 6), &[1], &[ItemAnswer::Stored(id(7))])
        .passes();
}

#[test]
fn what_was_acknowledged_is_seen_by_every_strong_check_that_is_sent_later() {
    run().gives((0, 1), &[1]).no((2, 3), 1, 10).fails_at(1);
    run().gives((0, 2), &[1]).no((2, 3), 1, 10).passes();
    run().gives((0, 1), &[1]).no((2, 3), 1, 11).fails_at(1);
    // A later write does not make up for it.
    run()
        .gives((0, 1), &[1])
        .gives((2, 3), &[2])
        .no((4, 5), 3, 11)
        .fails_at(2);
}

#[test]
fn what_one_check_has_seen_the_next_strong_one_sees_too() {
    run()
        .gives((0, 9), &[1])
        .yes((1, 2), 1, 11)
        .no((3, 4), 1, 10)
        .fails_at(2);
    run()
        .gives((0, 9), &[1])
        .yes((1, 2), 1, 11)
        .eventual_no((3, 4), 1, 10)
        .passes();
}

#[test]
fn nothing_is_seen_before_it_is_asked_for() {
    run().yes((0, 1), 1, 11).gives((2, 3), &[1]).fails_at(0);
    run().no((0, 1), 1, 11).fails_at(0);
    run().no((0, 1), 1, 9).fails_at(0);
    // The named revision cannot have been reached: there is a single write, however long it took.
    run().gives((0, 9), &[1]).yes((1, 2), 1, 12).fails_at(1);
}

#[test]
fn a_revision_has_one_state_and_batches_are_whole_in_it() {
    run()
        .gives((0, 9), &[1, 2])
        .yes((1, 8), 1, 11)
        .no((1, 8), 2, 11)
        .fails_at(2);
    run()
        .gives((0, 9), &[1, 2])
        .yes((1, 7), 1, 11)
        .eventual_no((1, 8), 2, 11)
        .fails_at(2);
    run()
        .gives_unanswered(0, &[1, 2])
        .yes((1, 2), 1, 11)
        .no((3, 4), 2, 11)
        .fails_at(2);
    run().gives((0, 1), &[1, 2]).lists((2, 3), &[1]).fails_at(1);
    run().gives_unanswered(0, &[1, 2]).lists((2, 3), &[1]).fails_at(1);
    run().gives_unanswered(0, &[1, 2]).lists((2, 3), &[]).passes();
    run().lists((2, 3), &[1]).fails_at(0);
}

#[test]
fn a_refusal_has_a_reason_that_stood_at_the_time() {
    run().finds_taken((0, 1), 1, None).fails_at(0);
    run().finds_taken((0, 1), 1, None).gives((2, 3), &[1]).fails_at(0);
    run().gives((0, 1), &[1]).finds_taken((2, 3), 1, Some(7)).fails_at(1);
    run().gives((0, 1), &[1]).removes((2, 3), 1, NOT_THERE(1)).fails_at(1);
    let (stored, rolled_back) = (ItemAnswer::Stored(id(7)), ItemAnswer::RolledBack);
    let taken = ItemAnswer::Taken(Some(id(100)));
    let second = |answers: [&ItemAnswer; 2]| {
        run()
            .gives((0, 1), &[1])
            .bulk((2, 3), &[1, 2], &answers.map(Clone::clone))
    };
    second([&taken, &rolled_back]).no((4, 5), 2, 11).passes();
    second([&taken, &stored]).fails_at(1);
    second([&rolled_back, &taken]).fails_at(1);
    second([&rolled_back, &rolled_back]).fails_at(1);
    run().bulk((0, 1), &[1], &[rolled_back]).fails_at(0);
    run().bulk((0, 1), &[1], &[ItemAnswer::NoSuchNode]).fails_at(0);
}

#[test]
fn without_atomic_the_good_items_are_stored_together() {
    let request = Request::Create {
        items: vec![key(1), key(2)],
        atomic: false,
    };
    let answer = Answer::Created(vec![ItemAnswer::Taken(None), ItemAnswer::Stored(id(200))]);
    let first = || run().gives((0, 1), &[1]).call((2, 3), request.clone(), answer.clone());
    first().yes((4, 5), 2, 12).passes();
    first().no((4, 5), 2, 12).fails_at(2);
}

#[test]
fn what_was_removed_stays_away() {
    let removed = || run().gives((0, 1), &[1]).removes((2, 3), 1, Answer::Removed);
    removed().yes((4, 5), 1, 12).fails_at(2);
    removed().removes((4, 5), 1, Answer::Removed).fails_at(2);
    removed().lists((4, 5), &[1]).fails_at(2);
    removed().lists((4, 5), &[]).passes();
    run()
        .gives((0, 1), &[1])
        .removes((2, 9), 1, Answer::Removed)
        .removes((2, 9), 1, Answer::Removed)
        .fails_at(2);
}

#[test]
fn no_edit_of_a_role_is_lost() {
    let given = || run().gives((0, 1), &[1]);
    given().sets((2, 3), &[]).yes((4, 5), 1, 12).fails_at(2);
    given()
        .sets((2, 3), &[])
        .sets((2, 3), &[EDIT])
        .yes((4, 5), 1, 13)
        .no((6, 7), 1, 13)
        .fails_at(4);
    // An edit without effect creates no revision; one with an effect does.
    given().sets((2, 3), &[EDIT]).yes((4, 5), 1, 11).passes();
    given().sets((2, 3), &[EDIT]).yes((4, 5), 1, 12).fails_at(2);
    // The executed one of two may depend on their order.
    given()
        .sets((2, 9), &[EDIT])
        .sets((2, 9), &["note.read"])
        .no((10, 11), 1, 12)
        .passes();
    given()
        .sets((2, 9), &[EDIT])
        .sets((2, 9), &["note.read"])
        .yes((10, 11), 1, 13)
        .passes();
}

#[test]
fn nodes_hold_what_is_given_above_them_from_when_they_are_made() {
    let new = 3;
    let makes = |run: Run, when| {
        run.call(
            when,
            Request::CreateNode { parent: id(CHILD) },
            Answer::NodeCreated(id(new)),
        )
    };
    let asks = |run: Run, when, revision, roles: &[&str]| run.asks_at(when, true, (1, new), revision, roles);
    let given = || run().gives((0, 1), &[1]);
    asks(makes(given(), (2, 3)), (4, 5), 12, &["Editor"]).passes();
    asks(makes(given(), (2, 3)), (4, 5), 12, &["Other"]).fails_at(2);
    asks(makes(given(), (2, 3)), (4, 5), 12, &[]).fails_at(2);
    asks(given(), (4, 5), 11, &["Editor"]).fails_at(1);
    let below = |when, answer: &ItemAnswer| {
        let request = Request::Create {
            items: vec![key_at(1, new)],
            atomic: true,
        };
        makes(run(), (5, 9)).call(when, request, Answer::Created(vec![answer.clone()]))
    };
    below((1, 2), &ItemAnswer::NoSuchNode).passes();
    below((10, 11), &ItemAnswer::NoSuchNode).fails_at(1);
    below((6, 7), &ItemAnswer::Stored(id(7))).passes();
    below((1, 2), &ItemAnswer::Stored(id(7))).fails_at(1);
    let orphan = |answer| run().call((0, 1), Request::CreateNode { parent: id(9) }, answer);
    orphan(Answer::NoSuchParent).passes();
    orphan(Answer::NodeCreated(id(new))).fails_at(0);
}

#[test]
fn an_answer_of_another_kind_explains_nothing() {
    run().removes((0, 1), 1, Answer::Done).fails_at(0);
    run().call((0, 1), Request::List, Answer::Removed).fails_at(0);
    let asked = run().no((0, 1), 1, 10).0.remove(0).request;
    run().call((0, 1), asked, Answer::Done).fails_at(0);
}

/// Tests sixteen concurrent clients whose responses show no order.
#[test]
fn many_writes_at_the_same_time_are_put_in_order_quickly() {
    let mut many = run();
    for round in 0..40_u64 {
        let when = (round * 10 + 1, round * 10 + 9);
        for client in 0..16 {
            many = many.gives(when, &[u128::from(round) * 16 + client + 1]);
        }
        many = many.yes(
            (round * 10 + 10, round * 10 + 10),
            u128::from(round) * 16 + 1,
            10 + (round + 1) * 16,
        );
    }
    many.passes();
}

/// Returns true if some order of all calls explains them; tries every order.
fn some_order_explains(state: &State, left: &[Call]) -> bool {
    let answered = |call: &&Call| call.answer != Answer::Open;
    if !left.iter().any(|call| answered(&call)) {
        return true;
    }
    (0..left.len()).any(|place| {
        let call = &left[place];
        let is_eventual = |call: &Call| matches!(call.request, Request::Evaluate { is_strong: false, .. });
        // Only an eventual check may come before calls whose response arrived before it was sent.
        let too_early = left.iter().filter(answered).any(|other| other.ended < call.begun);
        if too_early && !is_eventual(call) {
            return false;
        }
        let mut rest = left.to_vec();
        rest.remove(place);
        let mut state = state.clone();
        match (&call.request, &call.answer) {
            (
                Request::Evaluate {
                    identity,
                    permission,
                    node,
                    ..
                },
                Answer::Decided {
                    revision,
                    granting_roles,
                    ..
                },
            ) => {
                let right = state.granting_roles(*identity, permission, *node) == *granting_roles;
                *revision == state.revision && right && some_order_explains(&state, &rest)
            }
            _ => state.effect(call).is_some_and(|effect| {
                state.perform(&effect);
                some_order_explains(&state, &rest)
            }),
        }
    })
}

/// A planned call: the request, its times, and a fault in its response.
#[derive(Debug, Clone)]
struct Wish {
    kind: u8,
    identity: u128,
    begun: u64,
    until_done: u64,
    until_answered: u64,
    twist: Option<u8>,
}

fn wish() -> impl Strategy<Value = Wish> {
    let twist = prop::option::weighted(0.15, 0..5_u8);
    (0..7_u8, 1..3_u128, 0..30_u64, 0..8_u64, 0..8_u64, twist).prop_map(
        |(kind, identity, begun, until_done, until_answered, twist)| Wish {
            kind,
            identity,
            begun,
            until_done,
            until_answered,
            twist,
        },
    )
}

/// Returns the responses of a serial service to planned calls, each executed between its start and its end, with their
/// faults.
fn carried_out(mut wishes: Vec<Wish>) -> Vec<Call> {
    wishes.sort_by_key(|wish| wish.begun + wish.until_done);
    let (mut state, mut calls, mut next_id) = (start(), Vec::new(), 1000);
    let mut before = state.clone();
    for wish in wishes {
        let times = (wish.begun, wish.begun + wish.until_done + wish.until_answered);
        let both = |atomic| Request::Create {
            items: vec![key(1), key(2)],
            atomic,
        };
        let request = match wish.kind {
            0 => Request::Create {
                items: vec![key(wish.identity)],
                atomic: true,
            },
            1 => both(wish.identity == 1),
            2 => Request::Remove {
                rows: vec![(
                    state.held.get(&key(wish.identity)).copied().flatten().unwrap_or(id(5)),
                    key(wish.identity),
                )],
            },
            3 => Request::SetPermissions {
                role: id(ROLE),
                keys: keys(if wish.identity == 1 { &[EDIT] } else { &[] }),
            },
            _ => Request::Evaluate {
                identity: id(wish.identity),
                permission: EDIT.to_owned(),
                node: id(ROOT),
                is_strong: wish.kind != 4,
            },
        };
        // An eventual check is answered from one write before.
        let seen = if wish.kind == 4 { &before } else { &state };
        let answer = answer(seen, &request, &mut next_id);
        let mut call = run().call(times, request, answer).0.remove(0);
        if let Some(effect) = state.effect(&call)
            && effect.moves()
        {
            before = state.clone();
            state.perform(&effect);
        }
        twist(&mut call, wish.twist);
        calls.push(call);
    }
    calls
}

fn answer(state: &State, request: &Request, next_id: &mut u128) -> Answer {
    match request {
        Request::Create { items, atomic } => {
            let taken = |item: &AssignmentKey| state.held.get(item);
            let rolled_back = *atomic && items.iter().any(|item| taken(item).is_some());
            let answers = items.iter().map(|item| match taken(item) {
                Some(by) => ItemAnswer::Taken(*by),
                None if rolled_back => ItemAnswer::RolledBack,
                None => {
                    *next_id += 1;
                    ItemAnswer::Stored(id(*next_id))
                }
            });
            Answer::Created(answers.collect())
        }
        Request::Remove { rows } if state.held.contains_key(&rows[0].1) => Answer::Removed,
        Request::Remove { rows } => Answer::NotThere([rows[0].0].into()),
        Request::Evaluate {
            identity,
            permission,
            node,
            ..
        } => {
            let granting_roles = state.granting_roles(*identity, permission, *node);
            Answer::Decided {
                revision: state.revision,
                is_allowed: !granting_roles.is_empty(),
                granting_roles,
            }
        }
        _ => Answer::Done,
    }
}

fn twist(call: &mut Call, how: Option<u8>) {
    match (how, &mut call.answer) {
        (Some(0), _) => call.answer = Answer::Open,
        (Some(1), _) => call.ended = call.begun,
        (Some(2), _) => call.begun = call.ended,
        (Some(3), Answer::Decided { revision, .. }) => *revision += 1,
        (
            Some(4),
            Answer::Decided {
                is_allowed,
                granting_roles,
                ..
            },
        ) => {
            *is_allowed = !*is_allowed;
            *granting_roles = keys(if *is_allowed { &["Editor"] } else { &[] });
        }
        (Some(_), Answer::Created(items)) => items[0] = ItemAnswer::Taken(None),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn the_search_finds_an_order_exactly_where_trying_all_of_them_does(
        wishes in prop::collection::vec(wish(), 1..7),
    ) {
        let calls = carried_out(wishes);
        let history = History { start: start(), calls };
        let verdict = check(&history);
        prop_assert_eq!(verdict.is_ok(), some_order_explains(&history.start, &history.calls), "{:?} {:#?}", verdict, history.calls);
    }
}
