//! Creating assignments, one or many, by the same rules.

use super::{AssignmentError, AssignmentKey, ExistingAssignment, Window};
use crate::bulk::Verdict;
use crate::{IdentityId, MembershipStatus, NodeId, RoleId, RoleKind, Timestamp};
use std::collections::{HashMap, HashSet};

/// A requested assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAssignment {
    /// The identity, role and node.
    pub key: AssignmentKey,
    /// The begin of its window. Default: now.
    pub from: Option<Timestamp>,
    /// The end of its window. Default: never.
    pub to: Option<Timestamp>,
}

/// The facts of a role that these rules need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignableRole {
    /// The kind; system roles cannot be assigned.
    pub kind: RoleKind,
    /// True if active; inactive roles cannot be assigned.
    pub is_active: bool,
}

/// The existing rows among those named by the items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssignmentFacts {
    /// The identities of the account, with their membership in the application.
    pub identities: HashMap<IdentityId, Option<MembershipStatus>>,
    /// The nodes of the environment.
    pub nodes: HashSet<NodeId>,
    /// The roles of the environment.
    pub roles: HashMap<RoleId, AssignableRole>,
    /// The triples that are already assigned.
    pub existing: HashMap<AssignmentKey, ExistingAssignment>,
}

/// Judges a batch. Each accepted item gets its window; [`settle`](crate::bulk::settle) turns the verdicts into
/// outcomes.
///
/// The rules are checked in the order of [`AssignmentError`]. The second of two items with the same key is refused even
/// if the first is refused.
///
/// ```
/// # use canopy_domain::assignment::bulk_create::{plan, AssignmentFacts, NewAssignment};
/// # use canopy_domain::bulk::Verdict;
/// # use canopy_domain::{AssignmentError, AssignmentKey, IdentityId, NodeId, RoleId, Timestamp};
/// # use uuid::Uuid;
/// # let (ada, editor, berlin) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
/// # let now = Timestamp::parse("2026-04-20T12:00:00Z")?;
/// let key = AssignmentKey { identity: IdentityId::new(ada), role: RoleId::new(editor), node: NodeId::new(berlin) };
/// let item = NewAssignment { key, from: None, to: None };
/// let verdicts = plan(&[item], &AssignmentFacts::default(), now);
/// assert_eq!(verdicts, [Verdict::Refused(AssignmentError::IdentityNotFound)]);
/// # Ok::<(), canopy_domain::TimestampError>(())
/// ```
pub fn plan(items: &[NewAssignment], facts: &AssignmentFacts, now: Timestamp) -> Vec<Verdict<Window, AssignmentError>> {
    let mut first_with = HashMap::with_capacity(items.len());
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let first = *first_with.entry(item.key).or_insert(index);
            match judge(item, facts, now) {
                Ok(_) | Err(AssignmentError::Conflict { .. }) if first != index => {
                    Verdict::Refused(AssignmentError::DuplicateInBatch { first })
                }
                Ok(window) => Verdict::Accepted(window),
                Err(error) => Verdict::Refused(error),
            }
        })
        .collect()
}

fn judge(item: &NewAssignment, facts: &AssignmentFacts, now: Timestamp) -> Result<Window, AssignmentError> {
    if !facts.identities.contains_key(&item.key.identity) {
        return Err(AssignmentError::IdentityNotFound);
    }
    if !facts.nodes.contains(&item.key.node) {
        return Err(AssignmentError::NodeNotFound);
    }
    check_role(facts.roles.get(&item.key.role))?;
    if !is_active_member(facts, item.key.identity) {
        return Err(AssignmentError::MembershipNotActive);
    }
    let window = Window::new(item.from.unwrap_or(now), item.to).map_err(|_| AssignmentError::InvalidWindow)?;
    match facts.existing.get(&item.key) {
        Some(existing) => Err(AssignmentError::Conflict {
            existing: existing.conflicting_at(now),
        }),
        None => Ok(window),
    }
}

/// Returns whether an identity is an active member of the application.
pub(super) fn is_active_member(facts: &AssignmentFacts, identity: IdentityId) -> bool {
    facts.identities.get(&identity).copied().flatten() == Some(MembershipStatus::Active)
}

/// Checks whether a role may be assigned.
///
/// # Errors
/// [`AssignmentError::RoleNotFound`], [`AssignmentError::SystemRoleNotAssignable`] or
/// [`AssignmentError::RoleInactive`], the first that applies.
pub(super) fn check_role(role: Option<&AssignableRole>) -> Result<(), AssignmentError> {
    let role = role.ok_or(AssignmentError::RoleNotFound)?;
    if role.kind.is_system() {
        return Err(AssignmentError::SystemRoleNotAssignable);
    }
    if !role.is_active {
        return Err(AssignmentError::RoleInactive);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AssignmentId;
    use crate::assignment::{AssignmentStatus, Conflicting};
    use proptest::prelude::*;
    use uuid::Uuid;

    const TAKEN: AssignmentId = AssignmentId::new(Uuid::from_u128(77));

    fn key(identity: u128, role: u128, node: u128) -> AssignmentKey {
        AssignmentKey {
            identity: IdentityId::new(Uuid::from_u128(identity)),
            role: RoleId::new(Uuid::from_u128(role)),
            node: NodeId::new(Uuid::from_u128(node)),
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn item(key: AssignmentKey) -> NewAssignment {
        NewAssignment {
            key,
            from: None,
            to: None,
        }
    }

    /// Identity 1 is an active member, 2 suspended, 3 no member. Role 1 active, 2 inactive, 3 system, 4 system and
    /// inactive. Node 1 exists. (1, 1, 1) exists if `taken`.
    fn facts(taken: bool) -> AssignmentFacts {
        let role = |kind, is_active| AssignableRole { kind, is_active };
        let id = |n| IdentityId::new(Uuid::from_u128(n));
        let mut facts = AssignmentFacts {
            identities: [
                (id(1), Some(MembershipStatus::Active)),
                (id(2), Some(MembershipStatus::Suspended)),
                (id(3), None),
            ]
            .into(),
            nodes: [NodeId::new(Uuid::from_u128(1))].into(),
            roles: [
                (1, role(RoleKind::Custom, true)),
                (2, role(RoleKind::Custom, false)),
                (3, role(RoleKind::EnvironmentAdmin, true)),
                (4, role(RoleKind::EnvironmentAdmin, false)),
            ]
            .map(|(n, role)| (RoleId::new(Uuid::from_u128(n)), role))
            .into(),
            existing: HashMap::new(),
        };
        if taken {
            let window = Window::new(at(-5), Some(at(20))).unwrap();
            facts
                .existing
                .insert(key(1, 1, 1), ExistingAssignment { id: TAKEN, window });
        }
        facts
    }

    #[test]
    fn rules_are_checked_in_the_documented_order() {
        use AssignmentError as E;
        let bad = (Some(at(5)), Some(at(5)));
        let none = (None, None);
        let taken = E::Conflict {
            existing: Conflicting {
                id: TAKEN,
                status: AssignmentStatus::Active,
                effective_to: Some(at(20)),
            },
        };
        for (key, (from, to), expected) in [
            (key(9, 9, 9), bad, E::IdentityNotFound),
            (key(3, 9, 9), bad, E::NodeNotFound),
            (key(3, 9, 1), bad, E::RoleNotFound),
            (key(3, 4, 1), bad, E::SystemRoleNotAssignable),
            (key(3, 2, 1), bad, E::RoleInactive),
            (key(3, 1, 1), bad, E::MembershipNotActive),
            (key(2, 1, 1), bad, E::MembershipNotActive),
            (key(1, 1, 1), bad, E::InvalidWindow),
            (key(1, 1, 1), none, taken),
        ] {
            let item = NewAssignment { key, from, to };
            assert_eq!(
                plan(&[item], &facts(true), at(0)),
                [Verdict::Refused(expected)],
                "{key:?}"
            );
        }
    }

    #[test]
    fn a_conflict_tells_where_the_other_window_lies() {
        let facts = facts(true);
        for (now, status, word) in [
            (-6, AssignmentStatus::Scheduled, "starts later"),
            (-5, AssignmentStatus::Active, "already has this role"),
            (19, AssignmentStatus::Active, "already has this role"),
            (20, AssignmentStatus::Expired, "has ended"),
        ] {
            let verdicts = plan(&[item(key(1, 1, 1))], &facts, at(now));
            let [Verdict::Refused(error @ AssignmentError::Conflict { existing })] = verdicts.as_slice() else {
                panic!("{verdicts:?}");
            };
            assert_eq!(
                (existing.id, existing.status, existing.effective_to),
                (TAKEN, status, Some(at(20)))
            );
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_window_starts_now_where_no_start_is_given() {
        let verdicts = plan(&[item(key(1, 1, 1))], &facts(false), at(42));
        assert_eq!(verdicts, [Verdict::Accepted(Window::new(at(42), None).unwrap())]);
        let ends_before_now = NewAssignment {
            to: Some(at(42)),
            ..item(key(1, 1, 1))
        };
        let verdicts = plan(&[ends_before_now], &facts(false), at(42));
        assert_eq!(verdicts, [Verdict::Refused(AssignmentError::InvalidWindow)]);
    }

    #[test]
    fn the_second_of_two_equal_items_names_the_first() {
        let good = item(key(1, 1, 1));
        let duplicate = Verdict::Refused(AssignmentError::DuplicateInBatch { first: 0 });
        let verdicts = plan(&[good, good, good], &facts(false), at(0));
        assert!(
            matches!(verdicts.as_slice(), [Verdict::Accepted(_), second, third] if *second == duplicate && *third == duplicate)
        );
        let other_window = NewAssignment {
            from: Some(at(9)),
            ..good
        };
        assert_eq!(
            plan(&[good, other_window], &facts(true), at(0))[1],
            duplicate,
            "also when the first is taken"
        );
    }

    proptest! {
        /// Tests that no two accepted items of any batch share a key, and none takes an existing one.
        #[test]
        fn accepted_items_never_collide(keys in proptest::collection::vec((1u128..4, 1u128..4, 1u128..3), 0..30), taken: bool) {
            let items: Vec<_> = keys.iter().map(|(i, r, n)| item(key(*i, *r, *n))).collect();
            let facts = facts(taken);
            let verdicts = plan(&items, &facts, at(0));
            prop_assert_eq!(verdicts.len(), items.len());
            let accepted: Vec<_> = items.iter().zip(&verdicts)
                .filter(|(_, v)| matches!(v, Verdict::Accepted(_))).map(|(i, _)| i.key).collect();
            let distinct: HashSet<_> = accepted.iter().copied().collect();
            prop_assert_eq!(distinct.len(), accepted.len());
            prop_assert!(accepted.iter().all(|k| !facts.existing.contains_key(k)));
        }
    }
}
