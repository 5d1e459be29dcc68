//! Reading change records takes memory by their length, whatever lengths they claim.

#![expect(clippy::unwrap_used, reason = "what tests share is a test too")]

use canopy_domain::access::{Change, GrantFact, KeyFact, PermissionFact, RoleFact};
use canopy_domain::api_key::{KeyAccess, KeyScopes};
use canopy_domain::{AssignmentKey, PermissionKey, RoleName, Timestamp, Window};
use canopy_store_kit::change_codec::{decode, encode};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A few changes of the kinds that hold lists, after which bytes are changed.
fn written(numbers: &[u128]) -> Vec<u8> {
    let id = |number: u128| Uuid::from_u128(number);
    let key = |number: u128| PermissionKey::parse(&format!("a.p{number}")).unwrap();
    let changes: Vec<Change> = numbers
        .iter()
        .map(|number| match number % 4 {
            0 => Change::PermissionPut(PermissionFact {
                id: id(*number).into(),
                key: key(*number),
            }),
            1 => Change::RolePut(RoleFact {
                id: id(*number).into(),
                name: RoleName::parse("role").unwrap(),
                is_active: true,
                permissions: (0..number % 9).map(|one| id(one).into()).collect(),
            }),
            2 => Change::KeyPut(KeyFact {
                id: id(*number).into(),
                access: KeyAccess::Scoped(KeyScopes::new((0..=number % 9).map(key))),
                expires_at: None,
            }),
            _ => Change::GrantPut(GrantFact {
                id: id(*number).into(),
                key: AssignmentKey {
                    identity: id(1).into(),
                    role: id(2).into(),
                    node: id(3).into(),
                },
                window: Window::new(Timestamp::MIN, None).unwrap(),
            }),
        })
        .collect();
    encode(&changes)
}

fn check(bytes: &[u8]) {
    let region = Region::new(ALLOCATOR);
    let decoded = decode(bytes);
    let change = region.change();
    let count = decoded.as_ref().map_or(0, Vec::len);
    drop(decoded);
    // A change is 120 bytes of memory for 17 of a record, a scope about 80 for 3.
    let limit = 64 * bytes.len() + 1_024;
    assert!(
        change.bytes_allocated <= limit,
        "{} bytes for a record of {}",
        change.bytes_allocated,
        bytes.len()
    );
    assert!(
        change.allocations <= bytes.len() + 8,
        "{} allocations for {}",
        change.allocations,
        bytes.len()
    );
    assert!(count <= bytes.len() / 17 + 1);
}

/// One test alone in this file: the counters are those of the whole process.
#[test]
fn a_record_takes_memory_by_its_length() {
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2_000)
    });
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let strategy = (
        prop::collection::vec(0_u128..1_000, 0..12),
        damage,
        prop::collection::vec(any::<u8>(), 0..60),
    );
    runner
        .run(&strategy, |(numbers, damage, tail)| {
            let mut bytes = written(&numbers);
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.extend(&tail);
            check(&bytes);
            check(&[&[1][..], &tail].concat());
            Ok(())
        })
        .unwrap();
    // Lengths that claim as much as they can: of changes, of the permissions of a role, of the scopes of a key.
    let most = [255_u8; 4];
    let id = [7_u8; 16];
    check(&[&[1][..], &most].concat());
    check(&[&[1, 1, 0, 0, 0, 3][..], &id, &[1, 1, 0, b'a'], &most, &[0; 99]].concat());
    check(&[&[1, 1, 0, 0, 0, 11][..], &id, &[0, 0], &most, &[0; 99]].concat());
    check(&[&[1][..], &100_000_u32.to_le_bytes(), &vec![2; 1_700_000]].concat());
}
