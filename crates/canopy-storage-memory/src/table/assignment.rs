//! Assignments.

use canopy_domain::{Assignment, AssignmentId, AssignmentKey, NodeId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The assignments of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assignments {
    pub(crate) by_id: BTreeMap<AssignmentId, Assignment>,
    pub(crate) by_key: HashMap<AssignmentKey, AssignmentId>,
}

impl Assignments {
    /// Returns the assignments at these nodes, by id.
    pub(crate) fn at(&self, nodes: &HashSet<NodeId>) -> Vec<&Assignment> {
        let there = |one: &&Assignment| nodes.contains(&one.key.node);
        self.by_id.values().filter(there).collect()
    }
}
