//! The workload of every benchmark: environments of three sizes and checks in them.
//!
//! Deterministic, so that runs and peers can be compared: each size has the same facts and the same checks everywhere.
//! Figures and shape are those of `docs/benchmarks.md`: a tree of fan-out about 10 and depth up to 6, 5 to 50 keys per
//! role, assignments skewed so that some identities have over 200, windows of every kind, about half of the checks
//! allowed.

use canopy_domain::access::{GrantFact, NodeFact, PermissionFact, Question, RoleFact, Snapshot, SubjectFact, Target};
use canopy_domain::{
    AssignmentKey, IdentityId, MembershipStatus, NodeId, NodeType, PermissionKey, Revision, RoleName, Slug, Timestamp,
    Window,
};
use std::collections::HashSet;
use uuid::Uuid;

/// The size of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its letter.
    pub name: &'static str,
    /// Nodes of the tree.
    pub nodes: usize,
    /// Roles.
    pub roles: usize,
    /// Permissions of the catalog.
    pub permissions: usize,
    /// Members.
    pub identities: usize,
    /// Assignments.
    pub assignments: usize,
}

impl Size {
    /// A small customer.
    pub const S: Self = Self::new("S", 1_000, 20, 200, 1_000, 5_000);
    /// A large one.
    pub const M: Self = Self::new("M", 10_000, 50, 500, 10_000, 100_000);
    /// The largest one.
    pub const L: Self = Self::new("L", 100_000, 100, 1_000, 100_000, 1_000_000);
    /// All sizes.
    pub const ALL: [Self; 3] = [Self::S, Self::M, Self::L];

    const fn new(
        name: &'static str,
        nodes: usize,
        roles: usize,
        permissions: usize,
        identities: usize,
        assignments: usize,
    ) -> Self {
        Self {
            name,
            nodes,
            roles,
            permissions,
            identities,
            assignments,
        }
    }
}

/// A check with its texts; [`Asked::question`] borrows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The subject.
    pub identity: IdentityId,
    /// The permission.
    pub permission: String,
    /// The node.
    pub node: NodeId,
}

impl Asked {
    /// Returns the check at its node.
    pub fn question(&self) -> Question<'_> {
        Question {
            identity: self.identity,
            permission: &self.permission,
            target: Target::Node(self.node),
        }
    }
}

/// An environment and checks in it.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The facts.
    pub snapshot: Snapshot,
    /// The checks, unordered.
    pub questions: Vec<Asked>,
    /// The instant of the checks: some windows have ended by then and some have not begun.
    pub now: Timestamp,
}

impl Workload {
    /// Generates the environment of this size and `questions` checks in it.
    pub fn new(size: Size, questions: usize) -> Self {
        let mut dice = Dice(0x00c0_ffee);
        let tree = Tree::grow(&mut dice, size.nodes);
        let permissions = permissions(&mut dice, size.permissions);
        let roles = roles(&mut dice, size.roles, &permissions);
        let subjects = subjects(&mut dice, size.identities);
        let (grants, places) = grants(&mut dice, size.assignments, &subjects, &roles, &tree);
        let snapshot = Snapshot {
            environment: dice.id().into(),
            revision: Revision::new(1),
            permissions,
            roles,
            nodes: tree.facts(&mut dice),
            subjects,
            grants,
            keys: vec![],
        };
        let mut questions: Vec<Asked> = (0..questions)
            .map(|number| ask(&mut dice, number, &snapshot, &places, &tree))
            .collect();
        dice.shuffle(&mut questions);
        Self {
            snapshot,
            // Cloned in order, so that running the checks one after the other reads memory from front to back, like a
            // server reads a request that has just arrived.
            questions: questions.clone(),
            now: instant(0),
        }
    }
}

const DAY: i64 = 86_400;

/// Returns the instant some seconds after that of the checks.
fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_776_686_400_000_000)
        .expect("a good instant")
        .plus_seconds(seconds)
}

/// Splitmix64: small, good enough, and the same everywhere.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()) * (end as u128);
        usize::try_from(wide >> 64).expect("below end")
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// Returns a number below `end`, small ones far more often than large ones.
    fn skewed(&mut self, end: usize) -> usize {
        self.below(end) * self.below(end) / end.max(1)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        from.get(self.below(from.len()))
            .expect("there is something to pick from")
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for place in (1..things.len()).rev() {
            things.swap(place, self.below(place + 1));
        }
    }

    /// Returns an id in the form of a version 7 UUID: a clock that moves a little with each id, then random bits.
    fn id(&mut self) -> Uuid {
        let clock = (0x019d_b000_0000_u64 + (self.0 >> 40)) & 0xffff_ffff_ffff;
        let (high, low) = (self.next(), self.next());
        let bits =
            u128::from(clock) << 80 | 0x7 << 76 | u128::from(high & 0xfff) << 64 | 0b10 << 62 | u128::from(low >> 2);
        Uuid::from_u128(bits)
    }
}

/// The tree during its generation: nodes by number, level after level.
struct Tree {
    ids: Vec<NodeId>,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl Tree {
    fn grow(dice: &mut Dice, nodes: usize) -> Self {
        let mut tree = Self {
            ids: vec![dice.id().into()],
            parents: vec![None],
            children: vec![vec![]; nodes],
        };
        let mut above = 0..1;
        while tree.ids.len() < nodes {
            let start = tree.ids.len();
            let level = (above.len() * 10).min(nodes - start);
            for number in start..start + level {
                let parent = above.start + dice.below(above.len());
                tree.ids.push(dice.id().into());
                tree.parents.push(Some(parent));
                tree.children.get_mut(parent).expect("a node").push(number);
            }
            above = start..start + level;
        }
        tree
    }

    fn parent(&self, node: usize) -> Option<usize> {
        self.parents.get(node).copied().flatten()
    }

    /// Returns a node at any height: a random one, then up with even odds at each step.
    fn somewhere(&self, dice: &mut Dice) -> usize {
        let mut node = dice.below(self.ids.len());
        while dice.one_in(2)
            && let Some(parent) = self.parent(node)
        {
            node = parent;
        }
        node
    }

    /// Returns a node at or below another one: down by even odds at each step.
    fn below(&self, dice: &mut Dice, mut node: usize) -> usize {
        while let Some(children) = self.children.get(node).filter(|c| !c.is_empty())
            && !dice.one_in(5)
        {
            node = *dice.pick(children);
        }
        node
    }

    /// Returns the nodes unordered, as a store does. A few leaves are inactive.
    fn facts(&self, dice: &mut Dice) -> Vec<NodeFact> {
        let node_type = NodeType::parse("unit").expect("a good type");
        let mut facts: Vec<NodeFact> = (0..self.ids.len())
            .zip(&self.ids)
            .map(|(number, id)| NodeFact {
                id: *id,
                parent: self.parent(number).and_then(|parent| self.ids.get(parent)).copied(),
                node_type: node_type.clone(),
                slug: Slug::parse(&format!("unit-{number}")).expect("a good slug"),
                is_active: !(self.children.get(number).is_some_and(Vec::is_empty) && dice.one_in(200)),
            })
            .collect();
        dice.shuffle(&mut facts);
        facts
    }
}

fn permissions(dice: &mut Dice, count: usize) -> Vec<PermissionFact> {
    let actions = [
        "read", "create", "update", "delete", "approve", "export", "assign", "manage",
    ];
    let areas = [
        "invoice",
        "customer",
        "ticket",
        "report",
        "warehouse_order",
        "employee",
        "contract",
        "asset",
    ];
    (0..count)
        .map(|number| {
            let (group, action) = (number / actions.len(), number % actions.len());
            let area = areas.get(group % areas.len()).expect("an area");
            let action = actions.get(action).expect("an action");
            let key = format!("{area}.part{}.{action}", group / areas.len());
            PermissionFact {
                id: dice.id().into(),
                key: PermissionKey::parse(&key).expect("a good key"),
            }
        })
        .collect()
}

fn roles(dice: &mut Dice, count: usize, permissions: &[PermissionFact]) -> Vec<RoleFact> {
    (0..count)
        .map(|number| {
            let keys = 5 + dice.below(46);
            let mut bundled: Vec<_> = (0..keys).map(|_| dice.pick(permissions).id).collect();
            bundled.sort_unstable();
            bundled.dedup();
            RoleFact {
                id: dice.id().into(),
                name: RoleName::parse(&format!("Role {number}")).expect("a good name"),
                is_active: number % 20 != 19,
                permissions: bundled,
            }
        })
        .collect()
}

fn subjects(dice: &mut Dice, count: usize) -> Vec<SubjectFact> {
    (0..count)
        .map(|_| SubjectFact {
            id: dice.id().into(),
            is_active: !dice.one_in(100),
            membership: if dice.one_in(100) {
                MembershipStatus::Suspended
            } else {
                MembershipStatus::Active
            },
        })
        .collect()
}

/// The numbers of the role and the node of an assignment.
#[derive(Debug, Clone, Copy)]
struct Place {
    role: usize,
    node: usize,
}

fn grants(
    dice: &mut Dice,
    count: usize,
    subjects: &[SubjectFact],
    roles: &[RoleFact],
    tree: &Tree,
) -> (Vec<GrantFact>, Vec<Place>) {
    let mut seen = HashSet::with_capacity(count);
    let mut grants = Vec::with_capacity(count);
    let mut places = Vec::with_capacity(count);
    // Each identity has an assignment.
    let mut everybody = 0..subjects.len();
    while grants.len() < count {
        let subject = everybody.next().unwrap_or_else(|| holder(dice, subjects.len()));
        let (role, node) = (dice.skewed(roles.len()), tree.somewhere(dice));
        if seen.insert((subject, role, node)) {
            let key = AssignmentKey {
                identity: subjects.get(subject).expect("a subject").id,
                role: roles.get(role).expect("a role").id,
                node: *tree.ids.get(node).expect("a node"),
            };
            grants.push(GrantFact {
                id: dice.id().into(),
                key,
                window: window(dice),
            });
            places.push(Place { role, node });
        }
    }
    (grants, places)
}

/// Returns a holder: one member in a hundred gets a quarter of all assignments, and among those the first ones get
/// most.
fn holder(dice: &mut Dice, subjects: usize) -> usize {
    if dice.one_in(4) {
        dice.skewed(subjects.div_ceil(100))
    } else {
        dice.below(subjects)
    }
}

/// Returns a window: four in five are open without an end, the others end later, have ended, or begin later.
fn window(dice: &mut Dice) -> Window {
    let days = |dice: &mut Dice| instant(-DAY * i64::try_from(1 + dice.below(400)).expect("few days"));
    let later = |from: Timestamp, dice: &mut Dice| {
        Some(from.plus_seconds(DAY * i64::try_from(1 + dice.below(400)).expect("few days")))
    };
    let (from, to) = match dice.below(25) {
        0..=19 => (days(dice), None),
        20..=22 => (days(dice), later(instant(0), dice)),
        23 => {
            let from = instant(-DAY * 800).plus_seconds(i64::try_from(dice.below(400)).expect("few"));
            (from, later(from, dice))
        }
        _ => (later(instant(0), dice).expect("later"), None),
    };
    Window::new(from, to).expect("the end lies after the start")
}

/// Generates a check: half of them from an assignment (its identity, a key of its role, a node below its node), half
/// with any identity, key and node.
fn ask(dice: &mut Dice, number: usize, snapshot: &Snapshot, places: &[Place], tree: &Tree) -> Asked {
    let (identity, permission, node) = if number.is_multiple_of(2) {
        let chosen = dice.below(places.len());
        let place = places.get(chosen).expect("an assignment");
        let identity = snapshot.grants.get(chosen).expect("an assignment").key.identity;
        let role = snapshot.roles.get(place.role).expect("a role");
        let wanted = *dice.pick(&role.permissions);
        let known = snapshot.permissions.iter().find(|fact| fact.id == wanted);
        (identity, known.expect("a permission"), tree.below(dice, place.node))
    } else {
        let node = dice.below(tree.ids.len());
        (dice.pick(&snapshot.subjects).id, dice.pick(&snapshot.permissions), node)
    };
    Asked {
        identity,
        permission: permission.key.as_str().to_owned(),
        node: *tree.ids.get(node).expect("a node"),
    }
}
