//! The change records of a change set.

use super::{Bundle, ChangeSet, EnvironmentRow, LastingRows, Rows, Updated};
use crate::access::{Change, EnvironmentChanges, GrantFact, KeyFact, NodeFact, PermissionFact, RoleFact, SubjectFact};
use crate::{
    ApplicationId, Assignment, EnvironmentId, Identity, IdentityId, Membership, MembershipStatus, Node, NodeId,
    PermissionId, Role, RoleId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Facts that the change records of a set depend on and the set lacks, read in the same transaction.
///
/// A set needs only some of them, as each field describes.
#[derive(Debug, Clone, Default)]
pub struct AccessFacts {
    /// All permissions of each role whose name or state changes, unless the set has its bundle.
    pub bundles: HashMap<RoleId, BTreeSet<PermissionId>>,
    /// All environments, before the write, of each application whose memberships change.
    pub environments: HashMap<ApplicationId, Vec<EnvironmentId>>,
    /// The account-wide state of each identity whose membership changes, unless the set has the identity.
    pub switches: HashMap<IdentityId, bool>,
    /// The environments of each identity that is removed or switched, with its membership there.
    pub standings: HashMap<IdentityId, Vec<(EnvironmentId, MembershipStatus)>>,
    /// The members of each existing application that gets a new environment.
    pub members: HashMap<ApplicationId, Vec<SubjectFact>>,
}

/// A fact that a change set needs is missing. Always a bug in Canopy; nothing may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a change set lacks a fact: {0}")]
pub struct MissingFact(pub &'static str);

/// The changes of one environment.
#[derive(Default)]
struct Steps {
    /// Changes before those of subjects.
    first: Vec<Change>,
    /// Changes of subjects, shared with other environments.
    subjects: Vec<Arc<[Change]>>,
    /// Changes after those of subjects.
    last: Vec<Change>,
}

impl Steps {
    /// Returns all changes, shared if another environment has the same.
    fn all(self) -> Arc<[Change]> {
        let Self {
            mut first,
            mut subjects,
            last,
        } = self;
        if first.is_empty() && last.is_empty() && subjects.len() <= 1 {
            return subjects.pop().unwrap_or_else(|| Arc::new([]));
        }
        for some in subjects {
            first.extend_from_slice(&some);
        }
        first.extend(last);
        first.into()
    }
}

type Touched = BTreeMap<EnvironmentId, Steps>;

impl ChangeSet {
    /// Returns the changes of each environment that the set touches. They form the change records of the commit; each
    /// creates the next revision of its environment. Removed environments have none.
    ///
    /// # Errors
    /// [`MissingFact`] if the facts lack one that the set needs.
    pub fn access_changes(&self, facts: &AccessFacts) -> Result<Vec<EnvironmentChanges>, MissingFact> {
        // Without `..`: a new field does not compile until it is handled here.
        let Self {
            accounts: _,
            applications: _,
            environments,
            permissions,
            roles,
            bundles,
            nodes,
            identities,
            memberships,
            assignments,
            api_keys,
        } = self;
        let mut touched = Touched::new();
        for row in &environments.updated {
            touched.entry(row.after.environment.id).or_default();
        }
        for row in &environments.added {
            touched.entry(row.environment.id).or_default();
        }
        self.remove_grants(assignments, &mut touched);
        for Updated { after, .. } in &assignments.updated {
            let steps = touched.entry(after.environment_id).or_default();
            steps.first.push(Change::GrantPut(GrantFact::from(after)));
        }
        for (environment, node) in leaves_first(&nodes.removed) {
            touched
                .entry(environment)
                .or_default()
                .first
                .push(Change::NodeRemoved(node));
        }
        for role in &roles.removed {
            let steps = touched.entry(role.environment_id).or_default();
            steps.first.push(Change::RoleRemoved(role.id));
        }
        for permission in &permissions.removed {
            let steps = touched.entry(permission.environment_id).or_default();
            steps.first.push(Change::PermissionRemoved(permission.id));
        }
        // The key of a permission never changes, and decisions depend on nothing else of it.
        for Updated { after, .. } in &permissions.updated {
            touched.entry(after.environment_id).or_default();
        }
        for permission in &permissions.added {
            let steps = touched.entry(permission.environment_id).or_default();
            steps.first.push(Change::PermissionPut(PermissionFact {
                id: permission.id,
                key: permission.key.clone(),
            }));
        }
        put_roles(roles, bundles, (&permissions.removed, facts), &mut touched)?;
        put_nodes(nodes, &mut touched);
        self.put_subjects((identities, memberships, &environments.added), facts, &mut touched)?;
        for assignment in &assignments.added {
            let steps = touched.entry(assignment.environment_id).or_default();
            steps.last.push(Change::GrantPut(GrantFact::from(assignment)));
        }
        for key in &api_keys.removed {
            let steps = touched.entry(key.environment_id).or_default();
            steps.last.push(Change::KeyRemoved(key.id));
        }
        let ended = api_keys.updated.iter().map(|row| &row.after);
        for key in ended.chain(api_keys.added.iter().map(|new| &new.key)) {
            let steps = touched.entry(key.environment_id).or_default();
            steps.last.push(Change::KeyPut(KeyFact::from(key)));
        }
        for environment in self.removed_environments() {
            touched.remove(&environment);
        }
        let changes = touched.into_iter().map(|(environment, steps)| EnvironmentChanges {
            environment,
            changes: steps.all(),
        });
        Ok(changes.collect())
    }

    /// Removes assignments. Those of a removed identity go with its own change, unless their role or node is removed
    /// before that.
    fn remove_grants(&self, assignments: &Rows<Assignment>, touched: &mut Touched) {
        let holders: HashSet<IdentityId> = self.identities.removed.iter().map(|one| one.id).collect();
        let roles: HashSet<RoleId> = self.roles.removed.iter().map(|one| one.id).collect();
        let nodes: HashSet<NodeId> = self.nodes.removed.iter().map(|one| one.id).collect();
        for assignment in &assignments.removed {
            let key = assignment.key;
            let steps = touched.entry(assignment.environment_id).or_default();
            if !holders.contains(&key.identity) || roles.contains(&key.role) || nodes.contains(&key.node) {
                steps.first.push(Change::GrantRemoved(assignment.id));
            }
        }
    }

    /// Adds, changes and removes subjects in every environment of theirs.
    fn put_subjects(
        &self,
        (identities, memberships, environments): (&Rows<Identity>, &LastingRows<Membership>, &[EnvironmentRow]),
        facts: &AccessFacts,
        touched: &mut Touched,
    ) -> Result<(), MissingFact> {
        let standings = |id: IdentityId| {
            let found = facts.standings.get(&id);
            found.ok_or(MissingFact("the environments to which an identity matters"))
        };
        for identity in &identities.removed {
            let removed: Arc<[Change]> = Arc::new([Change::SubjectRemoved(identity.id)]);
            for (environment, _) in standings(identity.id)? {
                share(touched, *environment, &removed);
            }
        }
        let mut switches: HashMap<IdentityId, bool> = HashMap::new();
        switches.extend(identities.added.iter().map(|one| (one.id, one.is_active)));
        for Updated { before, after } in &identities.updated {
            switches.insert(after.id, after.is_active);
            if before.is_active == after.is_active {
                continue;
            }
            // All environments of an application share these changes.
            let mut shared: HashMap<MembershipStatus, Arc<[Change]>> = HashMap::new();
            for (environment, membership) in standings(after.id)? {
                let step = || subject(after.id, after.is_active, *membership);
                let steps = shared.entry(*membership).or_insert_with(|| Arc::new([step()]));
                share(touched, *environment, steps);
            }
        }
        self.put_existing_members(environments, facts, touched)?;
        let changed = memberships
            .updated
            .iter()
            .filter(|row| row.before.status != row.after.status);
        let members = memberships.added.iter().chain(changed.map(|row| &row.after));
        let mut by_application: BTreeMap<ApplicationId, Vec<Change>> = BTreeMap::new();
        for one in members {
            let id = one.identity_id;
            let is_active = switches.get(&id).or_else(|| facts.switches.get(&id));
            let is_active = *is_active.ok_or(MissingFact("the switch of an identity"))?;
            let steps = by_application.entry(one.application_id).or_default();
            steps.push(subject(id, is_active, one.status));
        }
        for (application, steps) in by_application {
            let steps: Arc<[Change]> = steps.into();
            for environment in self.environments_of(application, facts)? {
                share(touched, environment, &steps);
            }
        }
        Ok(())
    }

    /// Adds the members of an application as subjects of its new environments.
    fn put_existing_members(
        &self,
        environments: &[EnvironmentRow],
        facts: &AccessFacts,
        touched: &mut Touched,
    ) -> Result<(), MissingFact> {
        for EnvironmentRow { environment, .. } in environments {
            if self.adds_application(environment.application_id) {
                continue;
            }
            let members = facts.members.get(&environment.application_id);
            let members = members.ok_or(MissingFact("the members of an application"))?;
            let steps: Arc<[Change]> = members.iter().map(|member| Change::SubjectPut(*member)).collect();
            share(touched, environment.id, &steps);
        }
        Ok(())
    }

    /// Returns all environments of an application after the write.
    fn environments_of(
        &self,
        application: ApplicationId,
        facts: &AccessFacts,
    ) -> Result<Vec<EnvironmentId>, MissingFact> {
        let mut all = match facts.environments.get(&application) {
            Some(existing) => existing.clone(),
            None if self.adds_application(application) => Vec::new(),
            None => return Err(MissingFact("the environments of an application")),
        };
        let added = self.environments.added.iter().map(|row| &row.environment);
        all.extend(added.filter(|one| one.application_id == application).map(|one| one.id));
        Ok(all)
    }

    fn adds_application(&self, id: ApplicationId) -> bool {
        self.applications.added.iter().any(|one| one.id == id)
    }
}

const fn subject(id: IdentityId, is_active: bool, membership: MembershipStatus) -> Change {
    Change::SubjectPut(SubjectFact {
        id,
        is_active,
        membership,
    })
}

fn share(touched: &mut Touched, environment: EnvironmentId, steps: &Arc<[Change]>) {
    let of_environment = touched.entry(environment).or_default();
    if !steps.is_empty() {
        of_environment.subjects.push(Arc::clone(steps));
    }
}

fn put_roles(
    roles: &Rows<Role>,
    bundles: &[Bundle],
    (gone, facts): (&[crate::Permission], &AccessFacts),
    touched: &mut Touched,
) -> Result<(), MissingFact> {
    let gone: HashSet<(EnvironmentId, PermissionId)> = gone.iter().map(|one| (one.environment_id, one.id)).collect();
    let mut changed: HashMap<(EnvironmentId, RoleId), &Bundle> =
        bundles.iter().map(|one| ((one.environment, one.role), one)).collect();
    let mut put = |role: &Role, permissions: Option<&BTreeSet<PermissionId>>| {
        let environment = role.environment_id;
        let kept = permissions.into_iter().flatten().copied();
        let steps = touched.entry(environment).or_default();
        steps.first.push(Change::RolePut(RoleFact {
            id: role.id,
            name: role.name.clone(),
            is_active: role.is_active,
            permissions: kept.filter(|one| !gone.contains(&(environment, *one))).collect(),
        }));
    };
    let mut untouched = Vec::new();
    for Updated { before, after } in &roles.updated {
        let bundle = changed.remove(&(after.environment_id, after.id));
        let is_bundled_anew = bundle.is_some_and(|one| one.before != one.after);
        if is_bundled_anew || before.name != after.name || before.is_active != after.is_active {
            let whole = bundle.map(|one| &one.after).or_else(|| facts.bundles.get(&after.id));
            put(after, Some(whole.ok_or(MissingFact("the permissions of a role"))?));
        } else {
            untouched.push(after.environment_id);
        }
    }
    for role in &roles.added {
        let bundle = changed.remove(&(role.environment_id, role.id));
        put(role, bundle.map(|one| &one.after));
    }
    for environment in untouched {
        touched.entry(environment).or_default();
    }
    if changed.is_empty() {
        Ok(())
    } else {
        Err(MissingFact("the role of a bundle"))
    }
}

fn put_nodes(nodes: &Rows<Node>, touched: &mut Touched) {
    let updated = nodes.updated.iter().map(|row| {
        let (before, after) = (NodeFact::from(&row.before), NodeFact::from(&row.after));
        (row.after.environment_id, (before != after).then_some(after))
    });
    let added = nodes
        .added
        .iter()
        .map(|node| (node.environment_id, Some(NodeFact::from(node))));
    for (environment, fact) in updated.chain(added) {
        let steps = touched.entry(environment).or_default();
        steps.first.extend(fact.map(Change::NodePut));
    }
}

/// Returns the nodes, each before its parent.
fn leaves_first(nodes: &[Node]) -> Vec<(EnvironmentId, NodeId)> {
    let mut below: HashMap<(EnvironmentId, NodeId), Vec<&Node>> = HashMap::new();
    let there: HashSet<(EnvironmentId, NodeId)> = nodes.iter().map(|node| (node.environment_id, node.id)).collect();
    let mut ready: VecDeque<&Node> = VecDeque::new();
    for node in nodes {
        let above = node.parent.map(|parent| (node.environment_id, parent));
        match above.filter(|above| there.contains(above)) {
            Some(above) => below.entry(above).or_default().push(node),
            None => ready.push_back(node),
        }
    }
    let mut ordered = Vec::with_capacity(nodes.len());
    while let Some(node) = ready.pop_front() {
        let place = (node.environment_id, node.id);
        ready.extend(below.remove(&place).unwrap_or_default());
        ordered.push(place);
    }
    ordered.reverse();
    ordered
}
