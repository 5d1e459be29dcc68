//! Random changes by names beside a model that keeps names alone: both refuse the same changes, and the oracle answers
//! every question as the index does.

use crate::facts::{at, window};
use crate::oracle;
use canopy_domain::access::named::{NameError, NamedIndex};
use canopy_domain::access::{
    AccessIndex, GrantFact, NodeFact, PermissionFact, Question, RoleFact, Snapshot, SubjectFact, Target,
};
use canopy_domain::uuid::Uuid;
use canopy_domain::{AssignmentKey, MembershipStatus, NodeType, PermissionKey, Revision, RoleName, Slug, Window};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const KEYS: [&str; 3] = ["note.read", "note.write", "bad"];
const ROLES: [&str; 3] = ["Editor", "editor", "Viewer"];
const IDENTITIES: [&str; 3] = ["ada", "bob", ""];
const PATHS: [&str; 8] = ["a", "a/x", "a/y", "a/x/y", "a/y/x", "a/x/x/y", "b", "a//x"];

/// A model of the index, by names only.
#[derive(Debug, Clone, Default)]
struct Model {
    keys: BTreeSet<String>,
    roles: BTreeMap<String, BTreeSet<String>>,
    nodes: BTreeMap<String, bool>,
    identities: BTreeMap<String, bool>,
    grants: BTreeMap<(String, String, String), Window>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    AddPermission(&'static str),
    SetRole(&'static str, &'static str, &'static str),
    RemoveRole(&'static str),
    AddNode(&'static str),
    MoveNode(&'static str, &'static str),
    RemoveNode(&'static str),
    SwitchNode(&'static str, bool),
    AddIdentity(&'static str),
    RemoveIdentity(&'static str),
    SwitchIdentity(&'static str, bool),
    Grant(&'static str, &'static str, &'static str, bool),
    Revoke(&'static str, &'static str, &'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let of = |words: &'static [&'static str]| prop::sample::select(words);
    let (key, role, who, path) = (of(&KEYS), of(&ROLES), of(&IDENTITIES), of(&PATHS));
    prop_oneof![
        1 => key.clone().prop_map(Step::AddPermission),
        2 => (role.clone(), key.clone(), key).prop_map(|(role, one, two)| Step::SetRole(role, one, two)),
        1 => role.clone().prop_map(Step::RemoveRole),
        3 => path.clone().prop_map(Step::AddNode),
        3 => (path.clone(), path.clone()).prop_map(|(node, parent)| Step::MoveNode(node, parent)),
        1 => path.clone().prop_map(Step::RemoveNode),
        1 => (path.clone(), any::<bool>()).prop_map(|(node, on)| Step::SwitchNode(node, on)),
        1 => who.clone().prop_map(Step::AddIdentity),
        1 => who.clone().prop_map(Step::RemoveIdentity),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, on)| Step::SwitchIdentity(who, on)),
        6 => (who.clone(), role.clone(), path.clone(), any::<bool>())
            .prop_map(|(who, role, node, ends)| Step::Grant(who, role, node, ends)),
        2 => (who, role, path).prop_map(|(who, role, node)| Step::Revoke(who, role, node)),
    ]
}

fn term(ends: bool) -> Window {
    if ends { window(10, Some(20)) } else { Window::ALWAYS }
}

fn take(index: &mut NamedIndex, step: Step) -> Result<(), NameError> {
    match step {
        Step::AddPermission(key) => index.add_permission(key),
        Step::SetRole(role, one, two) => index.set_role(role, [one, two]),
        Step::RemoveRole(role) => index.remove_role(role),
        Step::AddNode(path) => index.add_node(path),
        Step::MoveNode(node, parent) => index.move_node(node, parent),
        Step::RemoveNode(path) => index.remove_node(path),
        Step::SwitchNode(path, on) => index.set_node_active(path, on),
        Step::AddIdentity(who) => index.add_identity(who),
        Step::RemoveIdentity(who) => index.remove_identity(who),
        Step::SwitchIdentity(who, on) => index.set_identity_active(who, on),
        Step::Grant(who, role, node, ends) => index.grant_during(who, role, node, term(ends)),
        Step::Revoke(who, role, node) => index.revoke(who, role, node),
    }
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    path == top || path.starts_with(&format!("{top}/"))
}

impl Model {
    /// Takes a step where it breaks no rule.
    fn take(&mut self, step: Step) -> Option<()> {
        let check = |holds: bool| holds.then_some(());
        match step {
            Step::AddPermission(key) => {
                check(key.contains('.'))?;
                self.keys.insert(key.to_owned());
            }
            Step::SetRole(role, one, two) => {
                check(self.keys.contains(one) && self.keys.contains(two))?;
                self.roles
                    .insert(role.to_lowercase(), [one.to_owned(), two.to_owned()].into());
            }
            Step::RemoveRole(role) => {
                let role = role.to_lowercase();
                check(self.roles.contains_key(&role) && self.grants.keys().all(|(_, held, _)| *held != role))?;
                self.roles.remove(&role);
            }
            Step::AddNode(path) => {
                let slugs: Vec<&str> = path.split('/').collect();
                check(slugs.iter().all(|slug| !slug.is_empty()))?;
                check(self.nodes.is_empty() || self.nodes.contains_key(slugs[0]))?;
                for depth in 1..=slugs.len() {
                    self.nodes.entry(slugs[..depth].join("/")).or_insert(true);
                }
            }
            Step::MoveNode(node, parent) => {
                check(self.nodes.contains_key(node) && self.nodes.contains_key(parent))?;
                check(!is_at_or_below(parent, node))?;
                let moved_to = format!("{parent}/{}", node.rsplit('/').next()?);
                check(moved_to == node || !self.nodes.contains_key(&moved_to))?;
                let rename = |path: String| match path.strip_prefix(node) {
                    Some(rest) if is_at_or_below(&path, node) => format!("{moved_to}{rest}"),
                    _ => path,
                };
                self.nodes = std::mem::take(&mut self.nodes)
                    .into_iter()
                    .map(|(path, on)| (rename(path), on))
                    .collect();
                self.grants = std::mem::take(&mut self.grants)
                    .into_iter()
                    .map(|((who, role, path), term)| ((who, role, rename(path)), term))
                    .collect();
            }
            Step::RemoveNode(path) => {
                check(self.nodes.contains_key(path))?;
                check(
                    self.nodes
                        .keys()
                        .all(|other| other == path || !is_at_or_below(other, path)),
                )?;
                check(self.grants.keys().all(|(_, _, node)| node != path))?;
                self.nodes.remove(path);
            }
            Step::SwitchNode(path, on) => *self.nodes.get_mut(path)? = on,
            Step::AddIdentity(who) => {
                check(!who.is_empty())?;
                self.identities.entry(who.to_owned()).or_insert(true);
            }
            Step::RemoveIdentity(who) => {
                self.identities.remove(who)?;
                self.grants.retain(|(other, _, _), _| other != who);
            }
            Step::SwitchIdentity(who, on) => *self.identities.get_mut(who)? = on,
            Step::Grant(who, role, node, ends) => {
                let role = role.to_lowercase();
                check(!who.is_empty() && self.roles.contains_key(&role) && self.nodes.contains_key(node))?;
                self.identities.entry(who.to_owned()).or_insert(true);
                self.grants.insert((who.to_owned(), role, node.to_owned()), term(ends));
            }
            Step::Revoke(who, role, node) => {
                self.grants
                    .remove(&(who.to_owned(), role.to_lowercase(), node.to_owned()))?;
            }
        }
        Some(())
    }

    /// The same as facts, with ids of its own.
    fn facts(&self) -> Snapshot {
        let grants = self
            .grants
            .iter()
            .enumerate()
            .map(|(number, ((who, role, node), window))| GrantFact {
                id: Uuid::from_u128(number as u128 + 1).into(),
                key: AssignmentKey {
                    identity: id(who).into(),
                    role: id(role).into(),
                    node: id(node).into(),
                },
                window: *window,
            });
        Snapshot {
            environment: Uuid::nil().into(),
            revision: Revision::new(1),
            permissions: self
                .keys
                .iter()
                .map(|key| PermissionFact {
                    id: id(key).into(),
                    key: PermissionKey::parse(key).unwrap(),
                })
                .collect(),
            roles: self
                .roles
                .iter()
                .map(|(name, keys)| RoleFact {
                    id: id(name).into(),
                    name: RoleName::parse(name).unwrap(),
                    is_active: true,
                    permissions: keys.iter().map(|key| id(key).into()).collect(),
                })
                .collect(),
            nodes: self
                .nodes
                .iter()
                .map(|(path, on)| NodeFact {
                    id: id(path).into(),
                    parent: path.rsplit_once('/').map(|(parent, _)| id(parent).into()),
                    node_type: NodeType::node(),
                    slug: Slug::parse(path.rsplit('/').next().unwrap()).unwrap(),
                    is_active: *on,
                })
                .collect(),
            subjects: self
                .identities
                .iter()
                .map(|(name, on)| SubjectFact {
                    id: id(name).into(),
                    is_active: *on,
                    membership: MembershipStatus::Active,
                })
                .collect(),
            grants: grants.collect(),
            keys: vec![],
        }
    }
}

/// The id of a name: its bytes, which are few, in a number.
fn id(name: &str) -> Uuid {
    let number = name.bytes().fold(1_u128, |number, byte| number << 8 | u128::from(byte));
    Uuid::from_u128(number)
}

fn compare(index: &NamedIndex, model: &Model) {
    let facts = model.facts();
    let paths: BTreeSet<&str> = model.nodes.keys().map(String::as_str).chain(PATHS).collect();
    for millis in [9, 10, 20] {
        for who in IDENTITIES {
            for permission in KEYS {
                for path in &paths {
                    let question = Question {
                        identity: id(who).into(),
                        permission,
                        target: Target::Node(id(path).into()),
                    };
                    let (reason, _) = oracle::decide(&facts, &question, at(millis));
                    let decision = index.decide(who, permission, path, at(millis));
                    assert_eq!(decision.denial_reason(), reason, "{who} {permission} {path} {model:?}");
                }
                let allowed = |path: &&&str| index.can(who, permission, path, at(millis));
                let expected: Vec<&str> = paths.iter().filter(allowed).copied().collect();
                assert_eq!(index.nodes_where(who, permission, at(millis)), expected);
            }
        }
        for path in &paths {
            let allowed = |who: &&str| index.can(who, KEYS[0], path, at(millis));
            let expected: Vec<&str> = IDENTITIES.into_iter().filter(allowed).collect();
            assert_eq!(index.who_can(KEYS[0], path, at(millis)), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn an_index_by_names_refuses_and_answers_as_the_model_says(steps in prop::collection::vec(step(), 1..80)) {
        let mut model = Model::default();
        let mut index = AccessIndex::builder().build().unwrap();
        for step in steps {
            let taken = take(&mut index, step);
            prop_assert_eq!(taken.is_ok(), model.take(step).is_some(), "{:?} {:?} {:?}", step, taken, &model);
            compare(&index, &model);
        }
    }
}
