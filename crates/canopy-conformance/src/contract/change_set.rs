//! Clauses on change sets: the derived change records always lead to the stored facts.

use super::support::{TestStore, acme, reading, writing};
use canopy_domain::access::{AccessIndex, Change, GrantFact, Snapshot};
use canopy_domain::changeset::{AccessFacts, Bundle, ChangeSet, LastingRows, NewApiKey, Rows, Updated};
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::{
    Assignment, AssignmentKey, EnvironmentId, Identity, IdentityId, MembershipStatus, Node, NodeStatus, Permission,
    PermissionId, Role,
};
use canopy_testkit::fixture::{World, assignment_key, key_digest, key_scopes, role_name};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Number of change sets in one run.
const STEPS: u64 = 60;

/// Pseudo-random numbers, the same in every run.
struct Dice(u64);

impl Dice {
    /// Returns a number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    /// Returns true once in `times` calls on average.
    fn once_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() {
            None
        } else {
            of.get(self.roll(of.len()))
        }
    }
}

/// The rows of one environment before a write.
struct Before {
    environment: EnvironmentId,
    permissions: Vec<Permission>,
    roles: Vec<Role>,
    bundles: BTreeMap<canopy_domain::RoleId, BTreeSet<PermissionId>>,
    nodes: Vec<Node>,
    assignments: Vec<Assignment>,
}

impl Before {
    async fn read(tx: &mut dyn ReadTx, environment: EnvironmentId) -> Self {
        let everything = RoleQuery {
            include_inactive: true,
            kind: None,
        };
        let permissions = tx.permissions(environment, &PermissionQuery::default()).await.unwrap();
        let roles = tx.roles(environment, &everything).await.unwrap();
        let catalog = tx.catalog(environment).await.unwrap();
        let nodes = tx.nodes(environment).await.unwrap();
        let ids: Vec<_> = nodes.iter().map(|node| node.id).collect();
        Self {
            environment,
            permissions,
            roles: roles.into_iter().map(|view| view.role).collect(),
            bundles: catalog
                .roles
                .into_iter()
                .map(|(id, held)| (id, held.permissions))
                .collect(),
            assignments: tx.assignments_at(environment, &ids).await.unwrap(),
            nodes,
        }
    }

    fn custom_permissions(&self) -> Vec<&Permission> {
        let custom = self
            .permissions
            .iter()
            .filter(|one| one.key.as_str().starts_with("note."));
        custom.collect()
    }
}

/// Builds a random change set, with the facts that its change records depend on.
struct Draft<'a> {
    dice: &'a mut Dice,
    world: &'a World,
    set: ChangeSet,
    facts: AccessFacts,
    step: u64,
}

impl Draft<'_> {
    fn permissions(&mut self, before: &Before) {
        if self.dice.once_in(2) {
            let key = format!("note.p{}x{}", self.step, self.dice.roll(1 << 20));
            let made = self.world.maker.permission(before.environment, &key);
            self.set.permissions.added.push(made);
        }
        if self.dice.once_in(4)
            && let Some(gone) = self.dice.pick(&before.custom_permissions())
        {
            self.set.permissions.removed.push((*gone).clone());
        }
    }

    fn roles(&mut self, before: &Before) {
        let environment = before.environment;
        let gone: HashSet<PermissionId> = self.set.permissions.removed.iter().map(|one| one.id).collect();
        let kept = before
            .custom_permissions()
            .into_iter()
            .filter(|one| !gone.contains(&one.id));
        let added = self
            .set
            .permissions
            .added
            .iter()
            .filter(|one| one.environment_id == environment);
        let choice: Vec<PermissionId> = kept.chain(added).map(|one| one.id).collect();
        let some = |dice: &mut Dice| {
            choice
                .iter()
                .copied()
                .filter(|_| dice.once_in(2))
                .collect::<BTreeSet<_>>()
        };
        if self.dice.once_in(3) {
            let name = format!("Role {} {}", self.step, self.dice.roll(1 << 20));
            let role = self.world.maker.role(environment, &name);
            let after = some(self.dice);
            self.set.bundles.push(Bundle {
                environment,
                role: role.id,
                before: BTreeSet::new(),
                after,
            });
            self.set.roles.added.push(role);
        }
        let custom: Vec<&Role> = before.roles.iter().filter(|role| !role.kind.is_system()).collect();
        if self.dice.once_in(4)
            && let Some(gone) = self.dice.pick(&custom)
        {
            self.set.roles.removed.push((*gone).clone());
            return;
        }
        let Some(old) = self.dice.pick(&custom) else { return };
        let mut new = (*old).clone().next(self.world.maker.now());
        let bundle = before.bundles.get(&old.id).cloned().unwrap_or_default();
        match self.dice.roll(4) {
            0 => new.is_active = !new.is_active,
            1 => new.name = role_name(&format!("Renamed {} {}", self.step, self.dice.roll(1 << 20))),
            2 => {
                let after = some(self.dice);
                self.set.bundles.push(Bundle {
                    environment,
                    role: old.id,
                    before: bundle.clone(),
                    after,
                });
            }
            _ => {}
        }
        self.facts.bundles.insert(old.id, bundle);
        self.set.roles.updated.push(Updated {
            before: (*old).clone(),
            after: new,
        });
    }

    fn nodes(&mut self, before: &Before) {
        let mut gone: HashSet<_> = HashSet::new();
        if self.dice.once_in(4)
            && let Some(top) = self.dice.pick(&before.nodes)
            && top.parent.is_some()
        {
            for node in &before.nodes {
                if node.id == top.id || node.parent.is_some_and(|parent| gone.contains(&parent)) {
                    gone.insert(node.id);
                    self.set.nodes.removed.push(node.clone());
                }
            }
        }
        let left: Vec<&Node> = before.nodes.iter().filter(|node| !gone.contains(&node.id)).collect();
        if self.dice.once_in(2)
            && let Some(above) = self.dice.pick(&left)
        {
            let slug = format!("n{}x{}", self.step, self.dice.roll(1 << 20));
            let made = self.world.maker.node(before.environment, above.id, "team", &slug);
            let below = self.world.maker.node(before.environment, made.id, "team", "below");
            self.set.nodes.added.extend([made, below]);
        }
        if self.dice.once_in(2)
            && let Some(old) = self.dice.pick(&left)
        {
            let mut new = (*old).clone();
            new.status = if old.status == NodeStatus::Active {
                NodeStatus::Inactive
            } else {
                NodeStatus::Active
            };
            self.set.nodes.updated.push(Updated {
                before: (*old).clone(),
                after: new,
            });
        }
    }

    /// Returns the assignments that the set must remove, and others that it may change.
    fn assignments(&mut self, before: &Before, losing: &HashSet<IdentityId>, people: &[Identity]) {
        let roles: HashSet<_> = self.set.roles.removed.iter().map(|one| one.id).collect();
        let nodes: HashSet<_> = self.set.nodes.removed.iter().map(|one| one.id).collect();
        let must_go = |key: AssignmentKey| {
            roles.contains(&key.role) || nodes.contains(&key.node) || losing.contains(&key.identity)
        };
        let mut taken: HashSet<AssignmentKey> = HashSet::new();
        for one in &before.assignments {
            if must_go(one.key) || self.dice.once_in(8) {
                self.set.assignments.removed.push(one.clone());
                continue;
            }
            taken.insert(one.key);
            if self.dice.once_in(6) {
                let mut after = one.clone();
                after.window = canopy_domain::Window::new(one.window.from().plus_seconds(60), None).unwrap();
                self.set.assignments.updated.push(Updated {
                    before: one.clone(),
                    after,
                });
            }
        }
        let environment = before.environment;
        let added_roles = self
            .set
            .roles
            .added
            .iter()
            .filter(|one| one.environment_id == environment);
        let choice: Vec<_> = before.roles.iter().chain(added_roles).map(|role| role.id).collect();
        let added_nodes = self
            .set
            .nodes
            .added
            .iter()
            .filter(|one| one.environment_id == environment);
        let places: Vec<_> = before.nodes.iter().chain(added_nodes).map(|node| node.id).collect();
        for _ in 0..self.dice.roll(4) {
            let person = self.dice.pick(people).map(|one| one.id);
            let (role, node) = (self.dice.pick(&choice), self.dice.pick(&places));
            let (Some(person), Some(role), Some(node)) = (person, role, node) else {
                continue;
            };
            let key = assignment_key(person, *role, *node);
            if !must_go(key) && taken.insert(key) {
                let made = self.world.maker.assignment(environment, key);
                self.set.assignments.added.push(made);
            }
        }
    }

    /// Changes people, and returns those who lose all their assignments.
    async fn people(&mut self, tx: &mut dyn ReadTx, people: &mut Vec<Identity>) -> HashSet<IdentityId> {
        let (account, application) = (self.world.account.id, self.world.application.id);
        let mut losing = HashSet::new();
        if self.dice.once_in(3) {
            let made = self.world.maker.identity(account, &format!("Person{} Made", self.step));
            let status = MembershipStatus::Active;
            let member = self.world.maker.membership(made.id, application, status);
            self.set.identities.added.push(made);
            self.set.memberships.added.push(member);
        }
        let Some(one) = self.dice.pick(people).cloned() else {
            return losing;
        };
        self.facts.switches.insert(one.id, one.is_active);
        let standings = tx.standings(account, one.id).await.unwrap();
        self.facts.standings.insert(one.id, standings);
        let member = tx.memberships(one.id).await.unwrap().remove(0);
        match self.dice.roll(5) {
            0 => {
                losing.insert(one.id);
                people.retain(|other| other.id != one.id);
                self.set.identities.removed.push(one);
            }
            1 => {
                let after = Identity {
                    is_active: !one.is_active,
                    ..one.clone()
                };
                people.retain(|other| other.id != one.id);
                people.push(after.clone());
                self.set.identities.updated.push(Updated { before: one, after });
            }
            choice => {
                let status = [
                    MembershipStatus::Active,
                    MembershipStatus::Suspended,
                    MembershipStatus::Deactivated,
                ][choice - 2];
                if status == MembershipStatus::Deactivated {
                    losing.insert(one.id);
                }
                let mut after = member.clone();
                after.status = status;
                self.set.memberships = LastingRows {
                    updated: vec![Updated { before: member, after }],
                    added: self.set.memberships.added.clone(),
                };
            }
        }
        losing
    }

    async fn keys(&mut self, tx: &mut dyn ReadTx, environment: EnvironmentId) {
        let keys = tx.api_keys(environment).await.unwrap();
        if self.dice.once_in(3) {
            let key = self.world.maker.api_key(environment, key_scopes(&["note.read"]));
            let digest = key_digest(u8::try_from(self.step).unwrap());
            self.set.api_keys.added.push(NewApiKey { key, digest });
        }
        let Some(old) = self.dice.pick(&keys).cloned() else {
            return;
        };
        match self.dice.roll(4) {
            0 => self.set.api_keys.removed.push(old),
            1 => {
                let mut after = old.clone();
                after.expires_at = Some(self.world.maker.now().plus_seconds(60));
                self.set.api_keys.updated.push(Updated { before: old, after });
            }
            _ => {}
        }
    }
}

/// Applies a change to facts.
fn follow(facts: &mut Snapshot, change: &Change) {
    match change {
        Change::PermissionPut(fact) => {
            facts.permissions.retain(|one| one.id != fact.id);
            facts.permissions.push(fact.clone());
        }
        Change::PermissionRemoved(id) => {
            facts.permissions.retain(|one| one.id != *id);
            for role in &mut facts.roles {
                role.permissions.retain(|one| one != id);
            }
        }
        Change::RolePut(fact) => {
            facts.roles.retain(|one| one.id != fact.id);
            facts.roles.push(fact.clone());
        }
        Change::RoleRemoved(id) => facts.roles.retain(|one| one.id != *id),
        Change::NodePut(fact) => {
            facts.nodes.retain(|one| one.id != fact.id);
            facts.nodes.push(fact.clone());
        }
        Change::NodeRemoved(id) => facts.nodes.retain(|one| one.id != *id),
        Change::SubjectPut(fact) => {
            facts.subjects.retain(|one| one.id != fact.id);
            facts.subjects.push(*fact);
        }
        Change::SubjectRemoved(id) => {
            facts.subjects.retain(|one| one.id != *id);
            facts.grants.retain(|one| one.key.identity != *id);
        }
        Change::GrantPut(fact) => {
            facts.grants.retain(|one| one.id != fact.id);
            facts.grants.push(fact.clone());
        }
        Change::GrantRemoved(id) => facts.grants.retain(|one: &GrantFact| one.id != *id),
        Change::KeyPut(fact) => {
            facts.keys.retain(|one| one.id != fact.id);
            facts.keys.push(fact.clone());
        }
        Change::KeyRemoved(id) => facts.keys.retain(|one| one.id != *id),
    }
}

/// Returns the facts in one order.
fn ordered(mut facts: Snapshot) -> Snapshot {
    facts.permissions.sort_by_key(|one| one.id);
    facts.roles.sort_by_key(|one| one.id);
    for role in &mut facts.roles {
        role.permissions.sort_unstable();
    }
    facts.nodes.sort_by_key(|one| one.id);
    facts.subjects.sort_by_key(|one| one.id);
    facts.grants.sort_by_key(|one| one.id);
    facts.keys.sort_by_key(|one| one.id);
    facts
}

async fn draw(store: &TestStore, world: &World, dice: &mut Dice, people: &mut Vec<Identity>, step: u64) -> Drawn {
    let mut tx = reading(store).await;
    let environments = [world.development.id(), world.production.id()];
    let mut draft = Draft {
        dice,
        world,
        set: ChangeSet::default(),
        facts: AccessFacts::default(),
        step,
    };
    draft
        .facts
        .environments
        .insert(world.application.id, environments.to_vec());
    let losing = draft.people(tx.as_mut(), people).await;
    for environment in environments {
        let before = Before::read(tx.as_mut(), environment).await;
        draft.permissions(&before);
        draft.roles(&before);
        draft.nodes(&before);
        draft.assignments(&before, &losing, people);
    }
    draft.keys(tx.as_mut(), world.development.id()).await;
    let added = draft.set.identities.added.clone();
    let drawn = Drawn {
        set: draft.set,
        facts: draft.facts,
    };
    people.extend(added);
    drawn
}

/// A change set with its facts.
struct Drawn {
    set: ChangeSet,
    facts: AccessFacts,
}

pub async fn the_changes_of_any_change_sets_lead_to_what_is_stored(store: TestStore) {
    let world = acme(&store).await;
    let environments = [world.development.id(), world.production.id()];
    let mut followed = Vec::new();
    for environment in environments {
        let facts = reading(&store).await.snapshot(environment).await.unwrap().unwrap();
        followed.push((AccessIndex::build(&facts).unwrap(), facts));
    }
    let (mut dice, mut people) = (Dice(7), world.identities.clone());
    for step in 0..STEPS {
        let Drawn { set, facts } = draw(&store, &world, &mut dice, &mut people, step).await;
        let changes = set.access_changes(&facts).unwrap();
        let scope = LockScope::WholeApplication(world.application_ref());
        let mut tx = writing(&store, scope).await;
        tx.apply(&set).await.unwrap();
        let mut record = world.maker.record(world.account.id, &[]);
        record.changes = changes.clone();
        let revisions = tx.commit(record).await.unwrap();
        let mut tx = reading(&store).await;
        for (index, facts) in &mut followed {
            let here = facts.environment;
            let own = changes.iter().filter(|one| one.environment == here);
            for change in own.flat_map(|one| one.changes.iter()) {
                follow(facts, change);
            }
            if let Some((_, revision)) = revisions.iter().find(|(environment, _)| *environment == here) {
                facts.revision = *revision;
                let own = changes.iter().find(|one| one.environment == here).unwrap();
                index.apply(*revision, &own.changes).unwrap();
            }
            let stored = tx.snapshot(here).await.unwrap().unwrap();
            assert_eq!(
                ordered(facts.clone()),
                ordered(stored),
                "after change set {step}: {set:?}"
            );
        }
    }
}

pub async fn a_change_set_frees_names_before_it_takes_them(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let same = world.maker.role(here.id(), here.reader.name.as_str());
    let renamed = Role {
        name: here.editor.name.clone(),
        ..here.admin_role.clone()
    };
    let set = ChangeSet {
        roles: Rows {
            removed: vec![here.reader.clone(), here.editor.clone()],
            updated: vec![Updated {
                before: here.admin_role.clone(),
                after: renamed.clone(),
            }],
            added: vec![same.clone()],
        },
        ..ChangeSet::default()
    };
    let mut tx = writing(&store, LockScope::Environment(here.place)).await;
    tx.apply(&set).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.role(here.id(), same.id).await.unwrap(), Some(same));
    assert_eq!(tx.role(here.id(), renamed.id).await.unwrap(), Some(renamed));
    assert_eq!(tx.role(here.id(), here.reader.id).await.unwrap(), None);
}
