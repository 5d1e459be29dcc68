//! A model of the environment that executes one call after the other.

use super::{Answer, Call, ItemAnswer, Request};
use canopy_domain::{AssignmentId, AssignmentKey, IdentityId, NodeId, RoleId};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// One environment at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The number of writes that changed it.
    pub revision: u64,
    /// Each node with its parent.
    pub nodes: BTreeMap<NodeId, Option<NodeId>>,
    /// The roles.
    pub roles: BTreeMap<RoleId, RoleState>,
    /// The assignments; their ids may be unknown.
    pub held: BTreeMap<AssignmentKey, Option<AssignmentId>>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleState {
    /// Its name.
    pub name: String,
    /// The permission keys.
    pub keys: BTreeSet<String>,
}

/// The effect of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// No effect, and no new revision.
    Nothing,
    Give(Vec<(AssignmentKey, Option<AssignmentId>)>),
    Take(Vec<(AssignmentKey, Option<AssignmentId>)>),
    Bundle {
        role: RoleId,
        before: BTreeSet<String>,
        after: BTreeSet<String>,
    },
    /// A node with its parent; `None` for a node that no response names.
    Grow(Option<(NodeId, NodeId)>),
}

impl Effect {
    /// Returns true if it creates a revision.
    pub(super) fn moves(&self) -> bool {
        *self != Self::Nothing
    }

    /// Returns the bits that executing or undoing it flips in the fingerprint of the state.
    pub(super) fn flips(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Give(rows) | Self::Take(rows) => rows.iter().map(print).fold(0, |all, one| all ^ one),
            Self::Bundle { role, before, after } => print(&(role, before)) ^ print(&(role, after)),
            Self::Grow(node) => print(node),
        }
    }
}

fn print(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Returns true if two ids of an assignment can be the same; an unknown one can be any.
fn agree(one: Option<AssignmentId>, other: Option<AssignmentId>) -> bool {
    one.is_none() || other.is_none() || one == other
}

impl State {
    /// Returns the effect of a call that is executed now; `None` if its response would then differ.
    pub(super) fn effect(&self, call: &Call) -> Option<Effect> {
        match &call.request {
            Request::Create { items, atomic } => self.create(items, *atomic, &call.answer),
            Request::Remove { rows } => self.remove(rows, &call.answer),
            Request::SetPermissions { role, keys } => {
                let before = &self.roles.get(role)?.keys;
                match &call.answer {
                    Answer::Open | Answer::Done if before == keys => Some(Effect::Nothing),
                    Answer::Open | Answer::Done => Some(Effect::Bundle {
                        role: *role,
                        before: before.clone(),
                        after: keys.clone(),
                    }),
                    _ => None,
                }
            }
            Request::CreateNode { parent } => match (&call.answer, self.nodes.contains_key(parent)) {
                (Answer::NodeCreated(id), true) if !self.nodes.contains_key(id) => {
                    Some(Effect::Grow(Some((*id, *parent))))
                }
                (Answer::Open, true) => Some(Effect::Grow(None)),
                (Answer::Open | Answer::NoSuchParent, false) => Some(Effect::Nothing),
                _ => None,
            },
            Request::List => match &call.answer {
                Answer::Open => Some(Effect::Nothing),
                Answer::Held(held) => {
                    let same = |((key, id), (other, known)): ((_, &AssignmentId), (_, &Option<AssignmentId>))| {
                        key == other && agree(*known, Some(*id))
                    };
                    (held.len() == self.held.len() && held.iter().zip(&self.held).all(same)).then_some(Effect::Nothing)
                }
                _ => None,
            },
            // Checks are not ordered by their effects; see `Checks`.
            Request::Evaluate { .. } => None,
        }
    }

    fn create(&self, items: &[AssignmentKey], atomic: bool, answer: &Answer) -> Option<Effect> {
        let fits = |item: &AssignmentKey| !self.held.contains_key(item) && self.nodes.contains_key(&item.node);
        let rolled_back = atomic && !items.iter().all(fits);
        let is_stored = |item: &AssignmentKey| fits(item) && !rolled_back;
        let given: Vec<_> = match answer {
            Answer::Open => items
                .iter()
                .filter(|item| is_stored(item))
                .map(|item| (*item, None))
                .collect(),
            Answer::Created(answers) => {
                let mut given = Vec::new();
                for (item, answer) in items.iter().zip(answers) {
                    let held = self.held.get(item);
                    let right = match answer {
                        ItemAnswer::Stored(_) => is_stored(item),
                        ItemAnswer::Taken(told) => held.is_some_and(|known| agree(*known, *told)),
                        ItemAnswer::NoSuchNode => !self.nodes.contains_key(&item.node),
                        ItemAnswer::RolledBack => fits(item) && rolled_back,
                    };
                    if let (ItemAnswer::Stored(id), true) = (answer, right) {
                        given.push((*item, Some(*id)));
                    } else if !right {
                        return None;
                    }
                }
                if answers.len() != items.len() {
                    return None;
                }
                given
            }
            _ => return None,
        };
        Some(if given.is_empty() {
            Effect::Nothing
        } else {
            Effect::Give(given)
        })
    }

    fn remove(&self, rows: &[(AssignmentId, AssignmentKey)], answer: &Answer) -> Option<Effect> {
        let there: Vec<_> = rows
            .iter()
            .filter_map(|(id, key)| {
                let known = self.held.get(key)?;
                agree(*known, Some(*id)).then_some((*key, *known))
            })
            .collect();
        match answer {
            Answer::Open | Answer::Removed if there.len() == rows.len() => Some(Effect::Take(there)),
            Answer::Open => Some(Effect::Nothing),
            Answer::NotThere(told) => {
                // An assignment with an unknown id may be this one or another one.
                let right = |(id, key): &(AssignmentId, AssignmentKey)| match self.held.get(key) {
                    Some(Some(known)) => (known == id) != told.contains(id),
                    Some(None) => true,
                    None => told.contains(id),
                };
                (!told.is_empty() && rows.iter().all(right)).then_some(Effect::Nothing)
            }
            _ => None,
        }
    }

    /// Returns the names of the granting roles.
    pub(super) fn granting_roles(&self, identity: IdentityId, permission: &str, node: NodeId) -> BTreeSet<String> {
        let mut granting = BTreeSet::new();
        let mut next = self.nodes.contains_key(&node).then_some(node);
        while let Some(node) = next {
            for (id, role) in &self.roles {
                let key = AssignmentKey {
                    identity,
                    role: *id,
                    node,
                };
                if role.keys.contains(permission) && self.held.contains_key(&key) {
                    granting.insert(role.name.clone());
                }
            }
            next = self.nodes.get(&node).copied().flatten();
        }
        granting
    }

    /// Executes an effect.
    pub(super) fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Nothing => return,
            Effect::Give(rows) => self.held.extend(rows.iter().copied()),
            Effect::Take(rows) => self.take(rows),
            Effect::Bundle { role, after, .. } => self.bundle(*role, after),
            Effect::Grow(node) => self.nodes.extend(node.map(|(id, parent)| (id, Some(parent)))),
        }
        self.revision += 1;
    }

    /// Undoes an effect.
    pub(super) fn undo(&mut self, effect: &Effect) {
        match effect {
            Effect::Nothing => return,
            Effect::Give(rows) => self.take(rows),
            Effect::Take(rows) => self.held.extend(rows.iter().copied()),
            Effect::Bundle { role, before, .. } => self.bundle(*role, before),
            Effect::Grow(node) => {
                if let Some((id, _)) = node {
                    self.nodes.remove(id);
                }
            }
        }
        self.revision -= 1;
    }

    fn take(&mut self, rows: &[(AssignmentKey, Option<AssignmentId>)]) {
        for (key, _) in rows {
            self.held.remove(key);
        }
    }

    fn bundle(&mut self, role: RoleId, keys: &BTreeSet<String>) {
        if let Some(role) = self.roles.get_mut(&role) {
            role.keys.clone_from(keys);
        }
    }
}
