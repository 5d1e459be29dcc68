//! Import and export: whatever the document and whatever the environment.

#![cfg(test)]
use canopy_domain::access::*;
use canopy_domain::changeset::AccessFacts;
use canopy_domain::provision::ProvisionedEnvironment;
use canopy_domain::transfer::plan::{Plan, RowChanges, plan};
use canopy_domain::transfer::{Contents, Document, NodeEntry, PermissionEntry, RoleContents, RoleDraft, SlugPath};
use canopy_domain::*;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

const KEYS: [&str; 5] = ["a.a", "a.b", "b.a", "b.b", "c.c"];
const ROLES: [[&str; 2]; 3] = [["One", "ONE"], ["Two", "two"], ["Ärzte", "ärzte"]];

fn key(text: &str) -> PermissionKey {
    PermissionKey::parse(text).unwrap()
}

fn kind(text: &str) -> NodeType {
    NodeType::parse(text).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn schema(root: &str, max_depth: u8) -> HierarchySchema {
    let below = [(root, "team"), ("team", "team")].map(|(above, below)| (kind(above), [kind(below)].into()));
    HierarchySchema::new(vec![kind(root), kind("team")], below.into(), max_depth, kind(root)).unwrap()
}

fn any_permissions() -> impl Strategy<Value = BTreeMap<usize, (bool, bool)>> {
    proptest::collection::btree_map(0..KEYS.len(), any::<(bool, bool)>(), 0..5)
}

type RoleChoice = (usize, bool, bool, BTreeSet<usize>, bool);

fn any_roles() -> impl Strategy<Value = BTreeMap<usize, RoleChoice>> {
    let role = (
        0..2_usize,
        any::<bool>(),
        any::<bool>(),
        btree_set(0..KEYS.len(), 0..4),
        any::<bool>(),
    );
    proptest::collection::btree_map(0..ROLES.len(), role, 0..4)
}

/// Paths below the root with what stands there.
fn any_nodes() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    vec((vec(0..3_u8, 1..4), any::<bool>()), 0..8)
}

fn any_document() -> impl Strategy<Value = Document> {
    let tree = (any::<bool>(), prop_oneof![Just("acme"), Just("zeta")], any_nodes());
    let shape = (prop_oneof![Just("company"), Just("holding")], 4..6_u8);
    (any_permissions(), any_roles(), shape, tree).prop_map(
        |(permissions, roles, (root, depth), (flat, slug, nodes))| {
            let model = if flat {
                AccessModel::Flat
            } else {
                AccessModel::Hierarchy
            };
            let catalog = permissions.iter().map(|(number, (described, grouped))| {
                let entry = PermissionEntry {
                    description: described.then(|| Description::parse("D").unwrap()),
                    category: grouped.then(|| Category::parse("C").unwrap()),
                };
                (key(KEYS[*number]), entry)
            });
            let bundles = roles
                .iter()
                .map(|(number, (case, described, is_active, held, system))| {
                    let held = held.iter().filter(|number| permissions.contains_key(*number));
                    RoleDraft {
                        name: RoleName::parse(ROLES[*number][*case]).unwrap(),
                        description: described.then(|| Description::parse("D").unwrap()),
                        is_active: *is_active,
                        permission_keys: held
                            .map(|number| key(KEYS[*number]))
                            .chain(system.then(|| key("role.read")))
                            .collect(),
                    }
                });
            let entry = |node_type: &str, odd: bool| NodeEntry {
                node_type: kind(node_type),
                name: DisplayName::parse(if odd { "Odd" } else { "Even" }).unwrap(),
                status: if odd { NodeStatus::Inactive } else { NodeStatus::Active },
                metadata: JsonObject::default(),
            };
            let mut tree = BTreeMap::from([(slug.to_owned(), entry(root, flat))]);
            for (path, odd) in nodes.iter().filter(|_| !flat) {
                let mut above = slug.to_owned();
                for step in path {
                    above = format!("{above}/{}", ["a", "b", "a-b"][usize::from(*step)]);
                    tree.entry(above.clone()).or_insert_with(|| entry("team", *odd));
                }
            }
            let nodes = tree
                .into_iter()
                .map(|(path, entry)| (SlugPath::parse(&path).unwrap(), entry));
            Document::new(
                model,
                schema(root, depth),
                catalog.collect(),
                bundles.collect(),
                nodes.collect(),
            )
            .unwrap()
        },
    )
}

/// Gives ids that it never gave before.
fn minting(from: u128) -> impl FnMut() -> Uuid {
    let mut last = from;
    move || {
        last += 1;
        Uuid::from_u128(last)
    }
}

/// An environment as it is made.
fn fresh() -> ProvisionedEnvironment {
    let account = Account {
        id: AccountId::new(Uuid::from_u128(1)),
        name: DisplayName::parse("Fresh").unwrap(),
        slug: Slug::parse("fresh").unwrap(),
        settings: JsonObject::default(),
        version: Version::FIRST,
        created_at: at(1),
        updated_at: at(1),
    };
    let application = ApplicationId::new(Uuid::from_u128(2));
    let (name, slug) = (account.name.clone(), account.slug.clone());
    ProvisionedEnvironment::new(&account, application, name, slug, at(1), &mut minting(100))
}

/// Returns the rows after a plan, by id.
fn after<T: Clone, Id: Ord>(before: &[T], part: &RowChanges<T>, id: impl Fn(&T) -> Id) -> Vec<T> {
    let mut there: BTreeMap<Id, T> = before.iter().map(|one| (id(one), one.clone())).collect();
    for gone in &part.removed {
        assert!(there.remove(&id(gone)).is_some(), "what goes was there");
    }
    for changed in &part.changed {
        assert!(
            there.insert(id(changed), changed.clone()).is_some(),
            "what changes was there"
        );
    }
    for added in &part.added {
        assert!(there.insert(id(added), added.clone()).is_none(), "what is made is new");
    }
    there.into_values().collect()
}

/// Does what a plan says, as a store does it.
fn apply(before: &Contents, plan: &Plan) -> Contents {
    let permissions = after(&before.permissions, &plan.permissions, |one| one.id);
    let known: BTreeSet<PermissionId> = permissions.iter().map(|one| one.id).collect();
    // Bundles by the pairs that are bound and unbound, not by what the plan says of them.
    let mut bundles: HashMap<RoleId, BTreeSet<PermissionId>> = HashMap::new();
    for one in &before.roles {
        bundles.insert(one.role.id, one.permissions.intersection(&known).copied().collect());
    }
    for (role, permission) in &plan.unbound {
        assert!(
            bundles.get_mut(role).unwrap().remove(permission),
            "what is unbound was bound"
        );
    }
    for (role, permission) in &plan.bound {
        assert!(
            bundles.entry(*role).or_default().insert(*permission),
            "what is bound was not"
        );
    }
    let mut roles = after(&before.roles, &plan.roles, |one| one.role.id);
    for one in &mut roles {
        let keys = bundles.remove(&one.role.id).unwrap_or_default();
        assert_eq!(keys, one.permissions);
    }
    let nodes = after(&before.nodes, &plan.nodes, |one| one.id);
    Contents {
        environment: plan.environment.clone().unwrap_or_else(|| before.environment.clone()),
        schema: plan.schema.clone(),
        permissions,
        roles,
        nodes: parents_first(nodes),
    }
}

fn parents_first(mut nodes: Vec<Node>) -> Vec<Node> {
    let mut ordered: Vec<Node> = Vec::new();
    while !nodes.is_empty() {
        let stands = |node: &Node| {
            node.parent
                .is_none_or(|parent| ordered.iter().any(|one| one.id == parent))
        };
        let (now, later): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(stands);
        assert!(!now.is_empty(), "every node stands below another");
        ordered.extend(now);
        nodes = later;
    }
    ordered
}

/// An environment that holds what the document says.
fn filled(document: &Document) -> Contents {
    let empty = Contents::from(&fresh());
    apply(&empty, &plan(document, &empty, at(2), &mut minting(1_000)))
}

/// Returns the name of an entity, and its id.
fn names(contents: &Contents) -> BTreeMap<String, Uuid> {
    let mut paths: HashMap<NodeId, String> = HashMap::new();
    let mut names = BTreeMap::new();
    for node in &contents.nodes {
        // The root is the root, whatever its slug.
        let path = node
            .parent
            .map_or(String::new(), |parent| format!("{}/{}", paths[&parent], node.slug));
        names.insert(format!("node {path}"), node.id.as_uuid());
        paths.insert(node.id, path);
    }
    let roles = contents.roles.iter().map(|one| &one.role);
    names.extend(roles.map(|role| (format!("role {}", role.name.folded()), role.id.as_uuid())));
    let keys = contents.permissions.iter();
    names.extend(keys.map(|one| (format!("key {}", one.key), one.id.as_uuid())));
    names
}

fn snapshot(contents: &Contents, grants: Vec<GrantFact>) -> Snapshot {
    Snapshot {
        keys: vec![],
        environment: contents.environment.id,
        revision: Revision::new(1),
        permissions: contents
            .permissions
            .iter()
            .map(|one| PermissionFact {
                id: one.id,
                key: one.key.clone(),
            })
            .collect(),
        roles: contents
            .roles
            .iter()
            .map(|one| RoleFact {
                id: one.role.id,
                name: one.role.name.clone(),
                is_active: one.role.is_active,
                permissions: one.permissions.iter().copied().collect(),
            })
            .collect(),
        nodes: contents.nodes.iter().map(NodeFact::from).collect(),
        subjects: vec![SubjectFact {
            id: IdentityId::new(Uuid::from_u128(7)),
            is_active: true,
            membership: MembershipStatus::Active,
        }],
        grants,
    }
}

/// One identity holds every role at every node.
fn grants(contents: &Contents) -> Vec<GrantFact> {
    let mut mint = minting(1 << 40);
    let custom = contents.roles.iter().filter(|one| !one.role.kind.is_system());
    let places = custom.flat_map(|one| contents.nodes.iter().map(|node| (one.role.id, node.id)));
    places
        .map(|(role, node)| GrantFact {
            id: AssignmentId::new(mint()),
            key: AssignmentKey {
                identity: IdentityId::new(Uuid::from_u128(7)),
                role,
                node,
            },
            window: Window::new(at(0), None).unwrap(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_empty_environment_takes_a_document_as_it_is(document in any_document()) {
        prop_assert_eq!(filled(&document).document(), document.clone());
        let made = fresh().like(&document);
        let copy = Contents::from(&made);
        let plan = plan(&document, &copy, at(2), &mut minting(1_000));
        prop_assert_eq!((&plan.environment, plan.nodes.changed.len()), (&None, 0), "a copy is made so");
        prop_assert_eq!(apply(&copy, &plan).document(), document);
    }

    #[test]
    fn the_document_of_an_environment_changes_nothing_in_it(document in any_document()) {
        let contents = filled(&document);
        let again = plan(&contents.document(), &contents, at(3), &mut minting(1 << 20));
        prop_assert!(again.is_empty() && again.bound.is_empty() && again.unbound.is_empty(), "{again:?}");
        prop_assert!(again.change_set(&contents, vec![]).is_empty());
        prop_assert_eq!(apply(&contents, &again), contents.clone());
    }

    #[test]
    fn any_environment_becomes_what_a_document_says(first in any_document(), second in any_document()) {
        let before = filled(&first);
        let plan = plan(&second, &before, at(3), &mut minting(1 << 20));
        let after = apply(&before, &plan);
        prop_assert_eq!(after.document(), second);
        // What has the same name is the same thing.
        let (old, new) = (names(&before), names(&after));
        for (name, id) in &old {
            prop_assert_eq!(new.get(name).is_none_or(|other| other == id), true, "{}", name);
        }
        let custom = |contents: &Contents| contents.permissions.len() - SYSTEM_PERMISSION_KEYS.len();
        let counted = |kept: usize, parts: [usize; 3]| (kept + parts[0] + parts[1], kept + parts[0] + parts[2]);
        let part = &plan.permissions;
        prop_assert_eq!(counted(part.kept, [part.changed.len(), part.removed.len(), part.added.len()]), (custom(&before), custom(&after)));
        let part = &plan.roles;
        prop_assert_eq!(counted(part.kept, [part.changed.len(), part.removed.len(), part.added.len()]), (before.roles.len() - 1, after.roles.len() - 1));
        let part = &plan.nodes;
        prop_assert_eq!(counted(part.kept, [part.changed.len(), part.removed.len(), part.added.len()]), (before.nodes.len(), after.nodes.len()));
        let versions = |one: &RoleContents| (one.role.id, one.role.version);
        let old: HashMap<_, _> = before.roles.iter().map(versions).collect();
        for one in &plan.roles.changed {
            prop_assert_eq!(one.role.version, old[&one.role.id].next());
        }
    }

    #[test]
    fn an_index_that_follows_answers_as_one_that_is_built_anew(first in any_document(), second in any_document()) {
        let before = filled(&first);
        let plan = plan(&second, &before, at(3), &mut minting(1 << 20));
        let after = apply(&before, &plan);
        let (roles, nodes): (BTreeSet<RoleId>, BTreeSet<NodeId>) = (
            plan.roles.removed.iter().map(|one| one.role.id).collect(),
            plan.nodes.removed.iter().map(|node| node.id).collect(),
        );
        let (lost, kept): (Vec<GrantFact>, Vec<GrantFact>) = grants(&before).into_iter()
            .partition(|grant| roles.contains(&grant.key.role) || nodes.contains(&grant.key.node));
        let lost: Vec<Assignment> = lost.iter().map(|grant| Assignment {
            id: grant.id,
            environment_id: before.environment.id,
            key: grant.key,
            window: grant.window,
            created_at: at(0),
            updated_at: at(0),
        }).collect();
        let changes = plan.change_set(&before, lost).access_changes(&AccessFacts::default()).unwrap();
        let mut index = AccessIndex::build(&snapshot(&before, grants(&before))).unwrap();
        for one in &changes {
            index.apply(Revision::new(2), &one.changes).unwrap();
        }
        let anew = AccessIndex::build(&snapshot(&after, kept)).unwrap();
        for permission in KEYS.iter().copied().chain(["role.read"]) {
            let places = after.nodes.iter().map(|node| Target::Node(node.id)).chain([Target::AppWide]);
            for target in places {
                let question = Question { identity: IdentityId::new(Uuid::from_u128(7)), permission, target };
                let (mut one, mut other) = (vec![], vec![]);
                prop_assert_eq!(
                    index.decide_with_roles(&question, at(9), &mut one),
                    anew.decide_with_roles(&question, at(9), &mut other)
                );
                prop_assert_eq!(one, other);
            }
        }
    }
}
