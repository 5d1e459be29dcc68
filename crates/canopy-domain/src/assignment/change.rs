//! Changes of existing assignments: role and window.

use super::bulk_create::{AssignmentFacts, check_role, is_active_member};
use super::{Assignment, AssignmentError, AssignmentId, AssignmentKey, Conflicting, ExistingAssignment, Window};
use crate::{Edit, RoleId, Timestamp};
use std::collections::HashMap;

/// A change to one assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignmentPatch {
    /// The new role; `None` keeps the role.
    pub role: Option<RoleId>,
    /// The start of its window. `Clear` resets it to the creation of the assignment.
    pub from: Edit<Timestamp>,
    /// The end of its window. `Clear` removes it.
    pub to: Edit<Timestamp>,
}

/// Returns the triple of an assignment with another role; the facts about it are needed to judge the change.
pub const fn key_with_role(assignment: &Assignment, role: RoleId) -> AssignmentKey {
    AssignmentKey { role, ..assignment.key }
}

/// Judges a change to one assignment and returns the changed assignment, or the same row if nothing changes. If the
/// role stays, neither the role nor the membership is judged again, so the window of an unusable assignment can still
/// be shortened.
///
/// # Errors
/// The rules on roles, memberships, windows and repeated triples, in the order of [`AssignmentError`].
pub fn patch(
    assignment: &Assignment,
    patch: &AssignmentPatch,
    facts: &AssignmentFacts,
    now: Timestamp,
) -> Result<Assignment, AssignmentError> {
    let role = patch.role.unwrap_or(assignment.key.role);
    if role != assignment.key.role {
        check_role(facts.roles.get(&role))?;
        if !is_active_member(facts, assignment.key.identity) {
            return Err(AssignmentError::MembershipNotActive);
        }
    }
    let from = match patch.from {
        Edit::Keep => assignment.window.from(),
        Edit::Clear => assignment.created_at,
        Edit::Set(from) => from,
    };
    let to = match patch.to {
        Edit::Keep => assignment.window.to(),
        Edit::Clear => None,
        Edit::Set(to) => Some(to),
    };
    let window = Window::new(from, to).map_err(|_| AssignmentError::InvalidWindow)?;
    let key = key_with_role(assignment, role);
    match facts.existing.get(&key) {
        Some(existing) if existing.id != assignment.id => Err(AssignmentError::Conflict {
            existing: existing.conflicting_at(now),
        }),
        _ => {
            let changed = Assignment {
                key,
                window,
                ..assignment.clone()
            };
            Ok(if changed == *assignment {
                changed
            } else {
                Assignment {
                    updated_at: now,
                    ..changed
                }
            })
        }
    }
}

/// An error of a change of role for many assignments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRoleError {
    /// The role cannot be assigned.
    #[error(transparent)]
    Role(AssignmentError),
    /// The identities of some assignments are no active members of the application.
    #[error("some identities are not active members of the application")]
    MembershipsNotActive {
        /// All such assignments.
        assignments: Vec<AssignmentId>,
    },
    /// Some assignments would get the same identity, role and node as another.
    #[error("some assignments would repeat an identity, role and node")]
    Clashes {
        /// All of them, each with the assignment that it would repeat.
        clashes: Vec<Clash>,
    },
}

/// Two assignments that would get the same triple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clash {
    /// The assignment to change.
    pub assignment: AssignmentId,
    /// The assignment that has the triple, or would get it first.
    pub with: Conflicting,
}

/// Judges a change of many assignments to one role. The plan contains only assignments that change, in their new state.
///
/// # Errors
/// [`ChangeRoleError`]; then no assignment may be changed.
pub fn change_role(
    assignments: &[Assignment],
    role: RoleId,
    facts: &AssignmentFacts,
    now: Timestamp,
) -> Result<Vec<Assignment>, ChangeRoleError> {
    check_role(facts.roles.get(&role)).map_err(ChangeRoleError::Role)?;
    let idle: Vec<AssignmentId> = assignments
        .iter()
        .filter(|one| one.key.role != role && !is_active_member(facts, one.key.identity))
        .map(|one| one.id)
        .collect();
    if !idle.is_empty() {
        return Err(ChangeRoleError::MembershipsNotActive { assignments: idle });
    }
    let mut clashes = Vec::new();
    let mut taken: HashMap<AssignmentKey, ExistingAssignment> = HashMap::new();
    let mut changed = Vec::new();
    for assignment in assignments {
        if assignment.key.role == role {
            continue;
        }
        let key = key_with_role(assignment, role);
        let holder = facts.existing.get(&key).or_else(|| taken.get(&key)).copied();
        if let Some(holder) = holder {
            clashes.push(Clash {
                assignment: assignment.id,
                with: holder.conflicting_at(now),
            });
        } else {
            taken.insert(key, assignment.into());
            changed.push(Assignment {
                key,
                updated_at: now,
                ..assignment.clone()
            });
        }
    }
    if clashes.is_empty() {
        Ok(changed)
    } else {
        Err(ChangeRoleError::Clashes { clashes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assignment::bulk_create::AssignableRole;
    use crate::{EnvironmentId, IdentityId, MembershipStatus, NodeId, RoleKind};
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn role(n: u128) -> RoleId {
        RoleId::new(Uuid::from_u128(n))
    }

    fn assignment(id: u128, identity: u128, role_id: u128) -> Assignment {
        Assignment {
            id: AssignmentId::new(Uuid::from_u128(id)),
            environment_id: EnvironmentId::new(Uuid::from_u128(1)),
            key: AssignmentKey {
                identity: IdentityId::new(Uuid::from_u128(identity)),
                role: role(role_id),
                node: NodeId::new(Uuid::from_u128(1)),
            },
            window: Window::new(at(10), Some(at(20))).unwrap(),
            created_at: at(5),
            updated_at: at(5),
        }
    }

    fn existing(id: AssignmentId) -> ExistingAssignment {
        ExistingAssignment {
            id,
            window: Window::new(at(1), Some(at(6))).unwrap(),
        }
    }

    /// Roles 1 and 2 can be assigned, 3 is inactive. Identities 1 to 3 are active members, 4 is suspended, 5 is none.
    fn facts() -> AssignmentFacts {
        let usable = AssignableRole {
            kind: RoleKind::Custom,
            is_active: true,
        };
        let mut facts = AssignmentFacts::default();
        let identity = |n| IdentityId::new(Uuid::from_u128(n));
        let active = Some(MembershipStatus::Active);
        facts.identities.extend([1, 2, 3].map(|n| (identity(n), active)));
        facts.identities.insert(identity(4), Some(MembershipStatus::Suspended));
        facts.identities.insert(identity(5), None);
        facts.roles.extend([
            (role(1), usable),
            (role(2), usable),
            (
                role(3),
                AssignableRole {
                    is_active: false,
                    ..usable
                },
            ),
        ]);
        facts
    }

    #[test]
    fn each_edge_of_the_window_stays_moves_or_is_cleared() {
        let old = assignment(1, 1, 1);
        for (from, to, expected) in [
            (Edit::Keep, Edit::Keep, Ok((10, Some(20)))),
            (Edit::Clear, Edit::Keep, Ok((5, Some(20)))),
            (Edit::Keep, Edit::Clear, Ok((10, None))),
            (Edit::Set(at(19)), Edit::Keep, Ok((19, Some(20)))),
            (Edit::Set(at(20)), Edit::Keep, Err(AssignmentError::InvalidWindow)),
            (Edit::Keep, Edit::Set(at(10)), Err(AssignmentError::InvalidWindow)),
            (Edit::Set(at(30)), Edit::Set(at(31)), Ok((30, Some(31)))),
        ] {
            let result = patch(&old, &AssignmentPatch { role: None, from, to }, &facts(), at(7));
            let window = result.map(|a| (a.window.from().as_millis(), a.window.to().map(Timestamp::as_millis)));
            assert_eq!(window, expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn a_new_role_is_judged_and_an_old_one_is_not() {
        let keep = |role| AssignmentPatch {
            role: Some(role),
            from: Edit::Keep,
            to: Edit::Keep,
        };
        let old = assignment(1, 1, 3);
        assert!(patch(&old, &keep(role(3)), &facts(), at(7)).is_ok());
        let old = assignment(1, 1, 1);
        assert_eq!(
            patch(&old, &keep(role(3)), &facts(), at(7)),
            Err(AssignmentError::RoleInactive)
        );
        assert_eq!(
            patch(&old, &keep(role(9)), &facts(), at(7)),
            Err(AssignmentError::RoleNotFound)
        );
        let changed = patch(&old, &keep(role(2)), &facts(), at(7)).unwrap();
        assert_eq!(
            (changed.key.role, changed.updated_at, changed.created_at),
            (role(2), at(7), at(5))
        );
    }

    #[test]
    fn nobody_but_an_active_member_gets_another_role() {
        let to = |role, edge| AssignmentPatch {
            role: Some(role),
            from: Edit::Keep,
            to: edge,
        };
        for identity in [4, 5] {
            let old = assignment(1, identity, 1);
            for (patched, expected) in [
                (to(role(1), Edit::Set(at(15))), None),
                (to(role(9), Edit::Keep), Some(AssignmentError::RoleNotFound)),
                (to(role(3), Edit::Keep), Some(AssignmentError::RoleInactive)),
                // Checked before the window, and before the triple of another assignment.
                (
                    to(role(2), Edit::Set(at(10))),
                    Some(AssignmentError::MembershipNotActive),
                ),
            ] {
                assert_eq!(patch(&old, &patched, &facts(), at(7)).err(), expected, "{patched:?}");
            }
        }

        let idle = [assignment(2, 4, 1), assignment(3, 5, 1)];
        let kept = assignment(4, 4, 2);
        let mut facts = facts();
        let taken = assignment(1, 1, 1);
        let holder = AssignmentId::new(Uuid::from_u128(9));
        facts.existing.insert(key_with_role(&taken, role(2)), existing(holder));
        let all = [taken, idle[0].clone(), kept.clone(), idle[1].clone()];
        assert_eq!(
            change_role(&all, role(2), &facts, at(7)),
            Err(ChangeRoleError::MembershipsNotActive {
                assignments: vec![idle[0].id, idle[1].id]
            })
        );
        assert_eq!(
            change_role(&all, role(3), &facts, at(7)),
            Err(ChangeRoleError::Role(AssignmentError::RoleInactive))
        );
        assert_eq!(change_role(&[kept], role(2), &facts, at(7)), Ok(Vec::new()));
    }

    #[test]
    fn a_patch_conflicts_with_another_row_but_not_with_itself() {
        let old = assignment(1, 1, 1);
        let mut facts = facts();
        facts.existing.insert(old.key, (&old).into());
        let other = AssignmentId::new(Uuid::from_u128(2));
        facts.existing.insert(key_with_role(&old, role(2)), existing(other));
        let keep = |role| AssignmentPatch {
            role: Some(role),
            from: Edit::Keep,
            to: Edit::Keep,
        };
        assert!(patch(&old, &keep(role(1)), &facts, at(7)).is_ok());
        assert_eq!(
            patch(&old, &keep(role(2)), &facts, at(7)),
            Err(AssignmentError::Conflict {
                existing: existing(other).conflicting_at(at(7))
            })
        );
    }

    #[test]
    fn changing_many_roles_names_every_clash() {
        let (a, b, c) = (assignment(1, 1, 1), assignment(2, 2, 1), assignment(3, 3, 2));
        let plan = change_role(&[a.clone(), b.clone(), c], role(2), &facts(), at(7)).unwrap();
        assert_eq!(
            plan.iter().map(|p| (p.id, p.key.role)).collect::<Vec<_>>(),
            [(a.id, role(2)), (b.id, role(2))]
        );

        let holder = AssignmentId::new(Uuid::from_u128(9));
        let mut facts = facts();
        facts.existing.insert(key_with_role(&b, role(2)), existing(holder));
        let twin = assignment(4, 1, 3);
        assert_eq!(
            change_role(&[a.clone(), b.clone(), twin.clone()], role(2), &facts, at(7)),
            Err(ChangeRoleError::Clashes {
                clashes: vec![
                    Clash {
                        assignment: b.id,
                        with: existing(holder).conflicting_at(at(7))
                    },
                    Clash {
                        assignment: twin.id,
                        with: ExistingAssignment::from(&a).conflicting_at(at(7))
                    }
                ]
            })
        );
        assert_eq!(
            change_role(&[a], role(3), &facts, at(7)),
            Err(ChangeRoleError::Role(AssignmentError::RoleInactive))
        );
    }
}
