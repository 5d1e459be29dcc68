//! The codec: what is written is read again, and bytes that were never written are refused without a panic.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests share is a test too"
)]

use canopy_domain::access::{Change, GrantFact, KeyFact, NodeFact, PermissionFact, RoleFact, SubjectFact};
use canopy_domain::api_key::{KeyAccess, KeyScopes};
use canopy_domain::{AssignmentKey, MembershipStatus, NodeType, PermissionKey, RoleName, Slug, Timestamp, Window};
use canopy_store_kit::change_codec::{CodecError, decode, encode};
use proptest::prelude::*;
use uuid::Uuid;

/// The id of a thing; each kind has its own ids.
fn id<T: From<Uuid>>(kind: u8, number: u8) -> T {
    T::from(Uuid::from_u128(u128::from(kind) << 64 | u128::from(number)))
}

const PERMISSION: u8 = 1;
const ROLE: u8 = 2;
const NODE: u8 = 3;
const SUBJECT: u8 = 4;
const GRANT: u8 = 5;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn some_id<T: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    // Few ids, so that neighbours often share them; and any.
    prop_oneof![
        (0_u128..3).prop_map(|n| Uuid::from_u128(n).into()),
        any::<u128>().prop_map(|n| Uuid::from_u128(n).into())
    ]
}

fn instant() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(Timestamp::MIN.as_millis()),
        0_i64..4,
        Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis() - 10,
    ]
}

fn grants() -> impl Strategy<Value = Change> {
    (
        some_id(),
        some_id(),
        some_id(),
        some_id(),
        instant(),
        prop::option::of(1_i64..10),
    )
        .prop_map(|(id, identity, role, node, from, to)| {
            let window = Window::new(at(from), to.map(|after| at(from + after))).unwrap();
            Change::GrantPut(GrantFact {
                id,
                key: AssignmentKey { identity, role, node },
                window,
            })
        })
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => grants(),
        1 => (some_id(), "[a-z]{1,9}\\.[a-zA-Z0-9:/_-]{1,99}")
            .prop_map(|(id, key)| Change::PermissionPut(PermissionFact { id, key: PermissionKey::parse(&key).unwrap() })),
        1 => (some_id(), "[äöü日a-z0-9.]{1,100}", any::<bool>(), prop::collection::vec(some_id(), 0..9)).prop_map(
            |(id, name, is_active, permissions)| {
                Change::RolePut(RoleFact { id, name: RoleName::parse(&name).unwrap(), is_active, permissions })
            }
        ),
        1 => (some_id(), prop::option::of(some_id()), "[A-Za-z0-9_-]{1,100}", "[a-z0-9]{1,100}", any::<bool>()).prop_map(
            |(id, parent, node_type, slug, is_active)| {
                let (node_type, slug) = (NodeType::parse(&node_type).unwrap(), Slug::parse(&slug).unwrap());
                Change::NodePut(NodeFact { id, parent, node_type, slug, is_active })
            }
        ),
        1 => (some_id(), any::<bool>(), 0_usize..4).prop_map(|(id, is_active, status)| {
            Change::SubjectPut(SubjectFact { id, is_active, membership: MembershipStatus::ALL[status] })
        }),
        1 => (some_id(), prop::option::of(instant()), prop::collection::vec("[a-z]{1,9}\\.[a-zA-Z0-9:/_-]{1,99}", 0..4)).prop_map(
            |(id, end, scopes)| {
                let access = if scopes.is_empty() {
                    KeyAccess::Full
                } else {
                    KeyAccess::Scoped(KeyScopes::new(scopes.iter().map(|key| PermissionKey::parse(key).unwrap())))
                };
                Change::KeyPut(KeyFact { id, access, expires_at: end.map(at) })
            }
        ),
        1 => (0_u8..6, any::<u128>()).prop_map(|(kind, number)| removed(kind, Uuid::from_u128(number))),
    ]
}

fn removed(kind: u8, id: Uuid) -> Change {
    match kind {
        0 => Change::PermissionRemoved(id.into()),
        1 => Change::RoleRemoved(id.into()),
        2 => Change::NodeRemoved(id.into()),
        3 => Change::SubjectRemoved(id.into()),
        4 => Change::KeyRemoved(id.into()),
        _ => Change::GrantRemoved(id.into()),
    }
}

/// Returns whether two texts that differ at one place differ within the millisecond of one instant there. Records of earlier
/// releases hold microseconds, which are cut off when they are read.
fn are_the_same_millisecond(one: &[u8], other: &[u8], place: usize) -> bool {
    let millis = |bytes: &[u8], start: usize| {
        let bytes = bytes.get(start..start + 8)?.try_into().ok()?;
        Some(i64::from_le_bytes(bytes).div_euclid(1_000))
    };
    let starts = place.saturating_sub(1)..=place;
    starts
        .into_iter()
        .any(|start| millis(one, start).is_some_and(|millis_of_one| Some(millis_of_one) == millis(other, start)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(changes in prop::collection::vec(changes(), 0..40)) {
        prop_assert_eq!(decode(&encode(&changes)), Ok(changes));
    }

    #[test]
    fn any_bytes_are_refused_or_read_but_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = decode(&[&[1, 1, 0, 0, 0][..], &bytes].concat());
    }

    #[test]
    fn damage_is_read_as_other_changes_or_refused(
        changes in prop::collection::vec(changes(), 1..8), place in any::<prop::sample::Index>(), by in 1_u8..
    ) {
        let mut bytes = encode(&changes);
        let whole = bytes.clone();
        let place = place.index(bytes.len());
        bytes[place] ^= by;
        prop_assert!(decode(&bytes) != Ok(changes) || are_the_same_millisecond(&whole, &bytes, place));
    }

    #[test]
    fn a_cut_is_noticed(changes in prop::collection::vec(changes(), 1..8), place in any::<prop::sample::Index>()) {
        let bytes = encode(&changes);
        prop_assert_eq!(decode(&bytes[..place.index(bytes.len())]), Err(CodecError::CutOff));
    }
}

/// One change of each kind: these bytes are in stores, so they may never mean anything else.
#[test]
fn the_format_stands_still() {
    let grant = |number, node, end: Option<i64>| {
        Change::GrantPut(GrantFact {
            id: id(GRANT, number),
            key: AssignmentKey {
                identity: id(SUBJECT, 2),
                role: id(ROLE, 3),
                node: id(NODE, node),
            },
            window: Window::new(at(-1), end.map(at)).unwrap(),
        })
    };
    let changes = [
        Change::PermissionPut(PermissionFact {
            id: id(PERMISSION, 7),
            key: PermissionKey::parse("app.p7").unwrap(),
        }),
        Change::RolePut(RoleFact {
            id: id(ROLE, 1),
            name: RoleName::parse("role 1").unwrap(),
            is_active: true,
            permissions: vec![id(PERMISSION, 7)],
        }),
        Change::NodePut(NodeFact {
            id: id(NODE, 1),
            parent: Some(id(NODE, 0)),
            node_type: NodeType::parse("unit").unwrap(),
            slug: Slug::parse("n1").unwrap(),
            is_active: false,
        }),
        Change::SubjectPut(SubjectFact {
            id: id(SUBJECT, 1),
            is_active: true,
            membership: MembershipStatus::Active,
        }),
        grant(1, 4, Some(5)),
        grant(2, 5, None),
        grant(3, 5, None),
        Change::SubjectRemoved(id(SUBJECT, 1)),
        Change::GrantRemoved(id(GRANT, 1)),
        Change::KeyPut(KeyFact {
            id: id(6, 1),
            access: KeyAccess::Full,
            expires_at: None,
        }),
        Change::KeyPut(KeyFact {
            id: id(6, 2),
            access: KeyAccess::Scoped(KeyScopes::new([PermissionKey::parse("role.read").unwrap()])),
            expires_at: Some(at(5)),
        }),
        Change::KeyRemoved(id(6, 1)),
    ];
    let id = |kind: u8, number: u8| [vec![0; 7], vec![kind], vec![0; 7], vec![number]].concat();
    let expected = [
        vec![1, 12, 0, 0, 0],
        [&[1][..], &id(1, 7), &[6, 0], b"app.p7"].concat(),
        [&[3][..], &id(2, 1), &[1, 6, 0], b"role 1", &[1, 0, 0, 0], &id(1, 7)].concat(),
        [
            &[5][..],
            &id(3, 1),
            &[0, 1],
            &id(3, 0),
            &[4, 0],
            b"unit",
            &[2, 0],
            b"n1",
        ]
        .concat(),
        [&[7][..], &id(4, 1), &[1, 1]].concat(),
        [
            &[9, 31][..],
            &id(5, 1),
            &id(4, 2),
            &id(2, 3),
            &id(3, 4),
            &(-1_000_i64).to_le_bytes(),
            &5_000_i64.to_le_bytes(),
        ]
        .concat(),
        [&[9, 4 | 16 | 32][..], &id(5, 2), &id(3, 5)].concat(),
        [&[9, 0][..], &id(5, 3)].concat(),
        [&[8][..], &id(4, 1)].concat(),
        [&[10][..], &id(5, 1)].concat(),
        [&[11][..], &id(6, 1), &[0, 1, 0, 0, 0, 0]].concat(),
        [
            &[11][..],
            &id(6, 2),
            &[1],
            &5_000_i64.to_le_bytes(),
            &[0, 1, 0, 0, 0, 9, 0],
            b"role.read",
        ]
        .concat(),
        [&[12][..], &id(6, 1)].concat(),
    ]
    .concat();
    assert_eq!(encode(&changes), expected);
    assert_eq!(decode(&expected).unwrap(), changes);
}

#[test]
fn each_kind_of_damage_has_its_error() {
    let one = |body: &[u8]| decode(&[&[1, 1, 0, 0, 0][..], body].concat());
    let id = [0; 16];
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap(), 0][..], text.as_bytes()].concat();
    let grant_from_to = |from: i64, to: i64| [&[9, 31][..], &[0; 64], &from.to_le_bytes(), &to.to_le_bytes()].concat();
    for (result, expected) in [
        (decode(&[]), CodecError::CutOff),
        (decode(&[2, 0, 0, 0, 0]), CodecError::Version(2)),
        (decode(&[1, 0, 0, 0, 0, 0]), CodecError::Trailing),
        (decode(&[1, 255, 255, 255, 255]), CodecError::CutOff),
        (one(&[&[13][..], &id].concat()), CodecError::Unknown(13)),
        (one(&[&[0][..], &id].concat()), CodecError::Unknown(0)),
        (
            one(&[&[1][..], &id, &text("nodot")].concat()),
            CodecError::Value("permission key"),
        ),
        (
            one(&[&[1][..], &id, &[2, 0, 0xff, 0xff]].concat()),
            CodecError::Value("text"),
        ),
        (one(&[&[3][..], &id, &[2]].concat()), CodecError::Unknown(2)),
        (
            one(&[&[3][..], &id, &[1], &text(" a"), &[0; 4]].concat()),
            CodecError::Value("role name"),
        ),
        (
            one(&[&[3][..], &id, &[1], &text("a"), &[1, 0, 0, 1]].concat()),
            CodecError::CutOff,
        ),
        (
            one(&[&[5][..], &id, &[1, 0], &text("?"), &text("a")].concat()),
            CodecError::Value("node type"),
        ),
        (
            one(&[&[5][..], &id, &[1, 0], &text("a"), &text("A")].concat()),
            CodecError::Value("slug"),
        ),
        (one(&[&[7][..], &id, &[1, 4]].concat()), CodecError::Unknown(4)),
        (one(&[&[9, 0][..], &id].concat()), CodecError::Unknown(0)),
        (one(&[&[9, 64 | 31][..], &id].concat()), CodecError::Unknown(95)),
        (one(&[&[9, 32][..], &id].concat()), CodecError::Unknown(32)),
        (one(&[&[11][..], &id, &[0, 2]].concat()), CodecError::Unknown(2)),
        (
            one(&[&[11][..], &id, &[0, 0, 0, 0, 0, 0]].concat()),
            CodecError::Value("mode of a key"),
        ),
        (
            one(&[&[11][..], &id, &[0, 1, 1, 0, 0, 0], &text("a.b")].concat()),
            CodecError::Value("mode of a key"),
        ),
        (
            one(&[&[11][..], &id, &[0, 0, 1, 0, 0, 0], &text("ab")].concat()),
            CodecError::Value("permission key"),
        ),
        (
            one(&[&[11][..], &id, &[0, 0, 255, 255, 255, 255]].concat()),
            CodecError::CutOff,
        ),
        (one(&grant_from_to(i64::MIN, 0)), CodecError::Value("instant")),
        (one(&grant_from_to(2_000, 1_000)), CodecError::Value("window")),
    ] {
        assert_eq!(result, Err(expected));
    }
}
