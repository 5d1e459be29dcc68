//! Every reason of a denial, every pair of them, and every set: the first that applies is returned.

use crate::facts::{NODE, PERMISSION, SUBJECT, at, empty, grant, id, key, node, permission, role, subject, window};
use canopy_domain::access::DenialReason::{self, *};
use canopy_domain::access::{AccessIndex, Change, Decision, Question, Snapshot, SubjectFact, Target};
use canopy_domain::{IdentityId, MembershipStatus, Window};

const NOW: i64 = 1_000;

fn ask(facts: &Snapshot, permission: &str, target: Target) -> Decision {
    ask_at(facts, permission, target, NOW)
}

fn ask_at(facts: &Snapshot, permission: &str, target: Target, millis: i64) -> Decision {
    let index = AccessIndex::build(facts).unwrap();
    let question = Question {
        identity: id(SUBJECT, 0),
        permission,
        target,
    };
    let (decision, mut roles) = (index.decide(&question, at(millis)), vec![]);
    assert_eq!(index.decide_with_roles(&question, at(millis), &mut roles), decision);
    assert_eq!(roles.is_empty(), !decision.is_allowed());
    decision
}

fn open() -> Window {
    window(0, None)
}

fn scheduled() -> Window {
    window(NOW + 1, None)
}

fn expired() -> Window {
    window(0, Some(NOW))
}

const ACTIVE_ROLE: u8 = 0;
const INACTIVE_ROLE: u8 = 1;
const OTHER_ROLE: u8 = 2;
const MANAGER: u8 = 3;

/// 0 ── 1 ── 2, and 3 below 0; node 4 below 0 is switched off and has 5 below it.
fn place() -> Snapshot {
    Snapshot {
        permissions: vec![permission(0), permission(1)],
        roles: vec![
            role(ACTIVE_ROLE, true, &[0]),
            role(INACTIVE_ROLE, false, &[0]),
            role(OTHER_ROLE, true, &[1]),
            role(MANAGER, true, &[0, 1]),
        ],
        nodes: vec![
            node(0, None, true),
            node(1, Some(0), true),
            node(2, Some(1), true),
            node(3, Some(0), true),
            node(4, Some(0), false),
            node(5, Some(4), true),
        ],
        subjects: vec![subject(0)],
        ..empty()
    }
}

fn with(rows: &[(u8, u8, Window)]) -> Snapshot {
    let grants = (0..)
        .zip(rows)
        .map(|(number, (role, node, window))| grant(number, (0, *role, *node), *window));
    Snapshot {
        grants: grants.collect(),
        ..place()
    }
}

fn at_node(number: u8) -> Target {
    Target::Node(id(NODE, number))
}

/// Builds facts for each set of reasons, in which all of them apply.
fn flawed(flaws: &[DenialReason], target: Target) -> (Snapshot, String, Target) {
    let has = |reason| flaws.contains(&reason);
    let spot = if has(NodeInactive) { 5 } else { 2 };
    let mut rows = vec![(OTHER_ROLE, 0, open())];
    let rows_are_flawed = [AssignmentScheduled, AssignmentExpired, RoleInactive, NoGrant]
        .into_iter()
        .any(has);
    if !rows_are_flawed || (has(NodeInactive) && target == Target::AppWide) {
        rows.push((ACTIVE_ROLE, spot, open()));
    }
    for (reason, row) in [
        (AssignmentScheduled, (ACTIVE_ROLE, 0, scheduled())),
        (AssignmentExpired, (MANAGER, 0, expired())),
        (RoleInactive, (INACTIVE_ROLE, 0, open())),
    ] {
        if has(reason) {
            rows.push(row);
        }
    }
    let mut facts = with(&rows);
    facts.subjects = vec![SubjectFact {
        is_active: !has(IdentityInactive),
        membership: if has(MembershipInactive) {
            MembershipStatus::Suspended
        } else {
            MembershipStatus::Active
        },
        ..subject(0)
    }];
    if has(IdentityNotFound) {
        facts.subjects.clear();
    }
    let wanted = if has(PermissionNotFound) { 9 } else { 0 };
    let target = match target {
        Target::AppWide => Target::AppWide,
        Target::Node(_) if has(NodeNotFound) => at_node(99),
        Target::Node(_) => at_node(spot),
    };
    (facts, key(wanted), target)
}

#[test]
fn of_every_set_of_reasons_the_first_is_told() {
    for target in [at_node(0), Target::AppWide] {
        let reasons: Vec<DenialReason> = DenialReason::ALL
            .iter()
            .copied()
            .filter(|r| target != Target::AppWide || *r != NodeNotFound)
            .collect();
        for set in 0_u32..1 << reasons.len() {
            let of_set = |place: usize| set >> place & 1 == 1;
            let flaws: Vec<DenialReason> = (0..reasons.len()).filter(|p| of_set(*p)).map(|p| reasons[p]).collect();
            let (facts, permission, target) = flawed(&flaws, target);
            let expected = flaws.iter().copied().min().map_or(Decision::Allowed, Decision::Denied);
            assert_eq!(ask(&facts, &permission, target), expected, "{flaws:?} {target:?}");
        }
    }
}

#[test]
fn for_one_assignment_the_window_comes_first_then_the_role_then_the_node() {
    for (role, node, window, at_it, anywhere) in [
        (
            INACTIVE_ROLE,
            2,
            scheduled(),
            Some(AssignmentScheduled),
            Some(AssignmentScheduled),
        ),
        (
            INACTIVE_ROLE,
            2,
            expired(),
            Some(AssignmentExpired),
            Some(AssignmentExpired),
        ),
        (INACTIVE_ROLE, 2, open(), Some(RoleInactive), Some(RoleInactive)),
        (
            ACTIVE_ROLE,
            5,
            scheduled(),
            Some(NodeInactive),
            Some(AssignmentScheduled),
        ),
        (ACTIVE_ROLE, 5, expired(), Some(NodeInactive), Some(AssignmentExpired)),
        (INACTIVE_ROLE, 5, open(), Some(NodeInactive), Some(RoleInactive)),
        (ACTIVE_ROLE, 5, open(), Some(NodeInactive), Some(NodeInactive)),
        (ACTIVE_ROLE, 4, open(), Some(NodeInactive), Some(NodeInactive)),
        (OTHER_ROLE, 2, scheduled(), Some(NoGrant), Some(NoGrant)),
        (OTHER_ROLE, 5, open(), Some(NodeInactive), Some(NoGrant)),
        (ACTIVE_ROLE, 2, open(), None, None),
    ] {
        let facts = with(&[(role, node, window)]);
        let told = |target| ask(&facts, &key(0), target).denial_reason();
        assert_eq!(
            (told(at_node(node)), told(Target::AppWide)),
            (at_it, anywhere),
            "{role} {node} {window:?}"
        );
    }
}

#[test]
fn an_assignment_holds_at_its_node_and_below_never_upward_or_sideways() {
    let facts = with(&[(ACTIVE_ROLE, 1, open())]);
    let told: Vec<_> = (0..=5)
        .map(|number| ask(&facts, &key(0), at_node(number)).denial_reason())
        .collect();
    assert_eq!(
        told,
        [
            Some(NoGrant),
            None,
            None,
            Some(NoGrant),
            Some(NodeInactive),
            Some(NodeInactive)
        ]
    );
    // What counts elsewhere tells no reason here.
    let facts = with(&[(ACTIVE_ROLE, 3, scheduled()), (INACTIVE_ROLE, 2, open())]);
    assert_eq!(ask(&facts, &key(0), at_node(1)), Decision::Denied(NoGrant));
}

#[test]
fn one_grant_is_enough_whatever_stands_beside_it() {
    let flawed = [
        (INACTIVE_ROLE, 0, open()),
        (MANAGER, 2, expired()),
        (MANAGER, 1, scheduled()),
        (MANAGER, 5, open()),
    ];
    for place in 0..=flawed.len() {
        let mut rows = flawed.to_vec();
        rows.insert(place, (ACTIVE_ROLE, 2, open()));
        assert_eq!(ask(&with(&rows), &key(0), at_node(2)), Decision::Allowed);
        assert_eq!(ask(&with(&rows), &key(0), Target::AppWide), Decision::Allowed);
    }
}

#[test]
fn windows_are_judged_to_the_millisecond_near_and_far() {
    const SECOND: i64 = 1_000;
    const YEAR_2200: i64 = 7_258_118_400 * SECOND;
    // Around the epoch, on and off whole seconds, and beyond what a row can tell by itself.
    for start in [
        -5 * SECOND,
        -SECOND - 1,
        -1,
        0,
        1,
        SECOND - 1,
        SECOND,
        SECOND + 1,
        YEAR_2200,
        YEAR_2200 + 1,
    ] {
        for length in [1, 2, SECOND - 1, SECOND, 10 * SECOND] {
            let end = start + length;
            let facts = with(&[(ACTIVE_ROLE, 0, window(start, Some(end)))]);
            let told = |millis| ask_at(&facts, &key(0), at_node(2), millis).denial_reason();
            for (millis, expected) in [
                (start - 1, Some(AssignmentScheduled)),
                (start, None),
                (end - 1, None),
                (end, Some(AssignmentExpired)),
                (end + 1, Some(AssignmentExpired)),
            ] {
                assert_eq!(told(millis), expected, "[{start}, {end}) at {millis}");
            }
            let endless = with(&[(ACTIVE_ROLE, 0, window(start, None))]);
            let told = |millis| ask_at(&endless, &key(0), at_node(2), millis).denial_reason();
            assert_eq!(
                [told(start - 1), told(start), told(end)],
                [Some(AssignmentScheduled), None, None]
            );
        }
    }
}

#[test]
fn keys_are_compared_byte_for_byte() {
    let facts = with(&[(MANAGER, 0, open())]);
    for other in [
        "",
        "app",
        "app.",
        "app.p",
        "APP.P0",
        "app.p0 ",
        "app.p00",
        "app.p0\0",
        "äpp.p0",
        &"x.".repeat(200),
    ] {
        assert_eq!(
            ask(&facts, other, at_node(0)),
            Decision::Denied(PermissionNotFound),
            "{other:?}"
        );
    }
    assert_eq!(ask(&facts, "app.p0", at_node(0)), Decision::Allowed);
}

#[test]
fn names_of_granting_roles_are_sorted_and_never_repeated() {
    let mut facts = with(&[
        (MANAGER, 2, open()),
        (MANAGER, 1, open()),
        (MANAGER, 3, open()),
        (ACTIVE_ROLE, 0, open()),
        (ACTIVE_ROLE, 1, expired()),
        (INACTIVE_ROLE, 0, open()),
        (OTHER_ROLE, 0, open()),
    ]);
    facts.roles[usize::from(MANAGER)].name = canopy_domain::RoleName::parse("Manager").unwrap();
    let index = AccessIndex::build(&facts).unwrap();
    let mut roles = vec![];
    let question = Question {
        identity: id(SUBJECT, 0),
        permission: &key(0),
        target: at_node(2),
    };
    assert_eq!(
        index.decide_with_roles(&question, at(NOW), &mut roles),
        Decision::Allowed
    );
    assert_eq!(
        roles.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["Manager", "role 0"]
    );
    // The list is cleared even where nothing is asked that could fill it.
    let stranger = Question {
        identity: id(SUBJECT, 9),
        ..question
    };
    assert!(!index.decide_with_roles(&stranger, at(NOW), &mut roles).is_allowed());
    assert!(roles.is_empty());
}

#[test]
fn an_index_of_nothing_denies_everything() {
    let facts = empty();
    assert_eq!(ask(&facts, &key(0), at_node(0)), Decision::Denied(IdentityNotFound));
    assert_eq!(ask(&facts, "", Target::AppWide), Decision::Denied(IdentityNotFound));
    let facts = Snapshot {
        subjects: vec![subject(0)],
        ..empty()
    };
    assert_eq!(ask(&facts, &key(0), at_node(0)), Decision::Denied(PermissionNotFound));
}

#[test]
fn the_nil_id_is_an_id_like_any_other() {
    let nil = IdentityId::new(uuid::Uuid::nil());
    let mut index = AccessIndex::build(&with(&[])).unwrap();
    let permission = &key(0);
    let question = Question {
        identity: nil,
        permission,
        target: at_node(0),
    };
    assert_eq!(index.decide(&question, at(NOW)), Decision::Denied(IdentityNotFound));
    let unknown = Question {
        identity: id(SUBJECT, 0),
        permission,
        target: Target::Node(uuid::Uuid::nil().into()),
    };
    assert_eq!(index.decide(&unknown, at(NOW)), Decision::Denied(NodeNotFound));
    for (subject, permission, reason) in [
        (0, 0, NodeNotFound),
        (0, 99, PermissionNotFound),
        (99, 99, IdentityNotFound),
    ] {
        let unnamed = index.denial_without_node(id(SUBJECT, subject), &key(permission));
        assert_eq!(unnamed, reason);
    }
    let mut row = grant(1, (0, ACTIVE_ROLE, 0), open());
    row.key.identity = nil;
    let changes = [
        Change::SubjectPut(SubjectFact { id: nil, ..subject(0) }),
        Change::GrantPut(row),
    ];
    index.apply(index.revision().next(), &changes).unwrap();
    assert_eq!(index.decide(&question, at(NOW)), Decision::Allowed);
    index
        .apply(index.revision().next(), &[Change::PermissionRemoved(id(PERMISSION, 0))])
        .unwrap();
    assert_eq!(index.decide(&question, at(NOW)), Decision::Denied(PermissionNotFound));
}
