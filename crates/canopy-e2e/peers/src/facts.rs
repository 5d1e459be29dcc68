//! The workload as the peers are given it, and the answers that they must give.

use crate::Outcome;
use canopy_domain::access::AccessIndex;
use canopy_domain::{AssignmentStatus, IdentityId, MembershipStatus, NodeId, PermissionId, RoleId};
use canopy_testkit::workload::{Asked, Size, Workload};
use std::collections::{HashMap, HashSet};

/// The number of different questions, which are asked in turn.
const QUESTIONS: usize = 5_000;

/// An active role.
#[derive(Debug, Clone)]
pub struct Role<'a> {
    /// A name that is a word in every policy language.
    pub label: String,
    /// The permissions it bundles.
    pub keys: Vec<&'a str>,
}

/// An assignment that counts at the instant of the questions.
#[derive(Debug, Clone)]
pub struct Live<'a> {
    /// The holders of the role.
    pub identity: IdentityId,
    /// The role.
    pub role: &'a str,
    /// At which node, and below it.
    pub node: NodeId,
}

/// A workload, seen as its peers see it.
///
/// Most engines cannot judge windows, standings and switches for every assignment as they go. All of them are therefore
/// spared that: what does not count at the instant of the questions is not loaded. Our own engine judges everything.
#[derive(Debug)]
pub struct Facts {
    /// All of it.
    pub workload: Workload,
    /// The right answer to each question.
    pub expected: Vec<bool>,
    labels: HashMap<RoleId, String>,
    parents: HashMap<NodeId, NodeId>,
    inactive: HashSet<NodeId>,
}

impl Facts {
    /// The workload of this size with its answers, which are those of [`AccessIndex`].
    pub fn new(size: Size) -> Outcome<Self> {
        let workload = Workload::new(size, QUESTIONS);
        let index = AccessIndex::build(&workload.snapshot)?;
        let answer = |asked: &Asked| index.decide(&asked.question(), workload.now).is_allowed();
        let expected = workload.questions.iter().map(answer).collect();
        let snapshot = &workload.snapshot;
        let active = snapshot.roles.iter().enumerate().filter(|(_, role)| role.is_active);
        let labels = active
            .map(|(number, role)| (role.id, format!("role_{number}")))
            .collect();
        let parents = snapshot
            .nodes
            .iter()
            .filter_map(|node| Some((node.id, node.parent?)))
            .collect();
        let inactive = snapshot
            .nodes
            .iter()
            .filter(|node| !node.is_active)
            .map(|node| node.id)
            .collect();
        Ok(Self {
            expected,
            labels,
            parents,
            inactive,
            workload,
        })
    }

    /// The questions.
    pub fn questions(&self) -> &[Asked] {
        &self.workload.questions
    }

    /// The keys of all permissions.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.workload.snapshot.permissions.iter().map(|fact| fact.key.as_str())
    }

    /// The active roles.
    pub fn roles(&self) -> Vec<Role<'_>> {
        let snapshot = &self.workload.snapshot;
        let keys: HashMap<PermissionId, &str> = snapshot
            .permissions
            .iter()
            .map(|fact| (fact.id, fact.key.as_str()))
            .collect();
        let role = |fact: &canopy_domain::access::RoleFact| {
            Some(Role {
                label: self.labels.get(&fact.id)?.clone(),
                keys: fact.permissions.iter().filter_map(|id| keys.get(id).copied()).collect(),
            })
        };
        snapshot.roles.iter().filter_map(role).collect()
    }

    /// The assignments that count.
    pub fn live(&self) -> Vec<Live<'_>> {
        let snapshot = &self.workload.snapshot;
        let subjects = snapshot.subjects.iter();
        let able: HashSet<IdentityId> = subjects
            .filter(|fact| fact.is_active && fact.membership == MembershipStatus::Active)
            .map(|fact| fact.id)
            .collect();
        let live = |fact: &canopy_domain::access::GrantFact| {
            let open = fact.window.status_at(self.workload.now) == AssignmentStatus::Active;
            (open && able.contains(&fact.key.identity) && !self.inactive.contains(&fact.key.node)).then_some(Live {
                identity: fact.key.identity,
                role: self.labels.get(&fact.key.role)?,
                node: fact.key.node,
            })
        };
        snapshot.grants.iter().filter_map(live).collect()
    }

    /// The nodes, each with its parent. An inactive one, which is always a leaf in this workload, has none, so that it
    /// inherits nothing.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, Option<NodeId>)> {
        let nodes = self.workload.snapshot.nodes.iter();
        nodes.map(|node| (node.id, node.parent.filter(|_| node.is_active)))
    }

    /// A node and all above it; nothing for an inactive one.
    pub fn path(&self, node: NodeId) -> Vec<NodeId> {
        let start = Some(node).filter(|node| !self.inactive.contains(node));
        std::iter::successors(start, |node| self.parents.get(node).copied()).collect()
    }
}
