//! Assignments.

use crate::identity::page_of;
use crate::rule::{bug, ensure, one_environment, unique};
use crate::state::{Contents, State};
use crate::unit::{Unit, Writing};
use async_trait::async_trait;
use canopy_domain::assignment::bulk_create::{AssignableRole, AssignmentFacts};
use canopy_domain::assignment::listing::{
    AssignmentQuery, AssignmentSort, AssignmentSummary, AssignmentView, HeldAt, IdentitySummary, NodeAssignmentSummary,
    RECENT_IDENTITIES,
};
use canopy_domain::port::reader::AssignmentReader;
use canopy_domain::port::writer::AssignmentWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    AccessType, Assignment, AssignmentId, AssignmentKey, AssignmentStatus, EnvironmentId, EnvironmentRef, Identity,
    IdentityId, Node, NodeId, Page, Role, RoleId, SearchWords, Timestamp, fold_case,
};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// The assignments among which a query looks: all, or those that hold at a node.
fn held(contents: &Contents, at: Option<HeldAt>) -> Vec<&Assignment> {
    let Some(at) = at else {
        return contents.assignments.by_id.values().collect();
    };
    let way: HashSet<NodeId> = contents.tree.way_up(at.node).map(|node| node.id).collect();
    let mut held = contents.assignments.at(&way);
    if let Some(asked) = at.access_type {
        held.retain(|one| at.access_type_from(one.key.node) == asked);
    }
    held
}

fn summarize(assignments: &[&Assignment], now: Timestamp) -> AssignmentSummary {
    let mut summary = AssignmentSummary::default();
    let mut roles = HashSet::new();
    for assignment in assignments {
        match assignment.window.status_at(now) {
            AssignmentStatus::Active => summary.active += 1,
            AssignmentStatus::Scheduled => summary.scheduled += 1,
            AssignmentStatus::Expired => summary.expired += 1,
        }
        summary.expiring_soon += u64::from(assignment.window.is_expiring_soon(now));
        summary.distinct_roles += u64::from(roles.insert(assignment.key.role));
    }
    summary
}

fn identity_summary(identity: &Identity) -> IdentitySummary {
    IdentitySummary {
        id: identity.id,
        first_name: identity.first_name.clone(),
        last_name: identity.last_name.clone(),
        email: identity.email.clone(),
        avatar_url: identity.avatar_url.clone(),
    }
}

/// An assignment with its identity, role and node.
#[derive(Clone, Copy)]
struct Joined<'a> {
    assignment: &'a Assignment,
    identity: &'a Identity,
    role: &'a Role,
    node: &'a Node,
}

impl<'a> Joined<'a> {
    fn of(state: &'a State, contents: &'a Contents, assignment: &'a Assignment) -> Option<Self> {
        Some(Self {
            assignment,
            identity: state.directory.by_id.get(&assignment.key.identity)?,
            role: &contents.roles.by_id.get(&assignment.key.role)?.role,
            node: contents.tree.by_id.get(&assignment.key.node)?,
        })
    }

    fn fits(&self, query: &AssignmentQuery, now: Timestamp) -> bool {
        let key = &self.assignment.key;
        query.role.is_none_or(|role| role == key.role)
            && query.source_node.is_none_or(|node| node == key.node)
            && query
                .status
                .is_none_or(|status| status == self.assignment.window.status_at(now))
            && query.search.as_ref().is_none_or(|search| self.contains(search))
    }

    fn contains(&self, search: &SearchWords) -> bool {
        let texts = [
            self.identity.searched_text(),
            self.role.name.folded(),
            self.node.name.folded(),
        ];
        search.matches(texts.iter().map(String::as_str))
    }

    fn access_type(&self, held_at: Option<HeldAt>) -> AccessType {
        held_at.map_or(AccessType::Direct, |at| at.access_type_from(self.node.id))
    }

    fn view(self, held_at: Option<HeldAt>) -> AssignmentView {
        AssignmentView {
            assignment: self.assignment.clone(),
            identity: identity_summary(self.identity),
            role_name: self.role.name.clone(),
            node_name: self.node.name.clone(),
            access_type: self.access_type(held_at),
        }
    }
}

#[async_trait]
impl<Kind: Send> AssignmentReader for Unit<Kind> {
    async fn assignment_facts(
        &mut self,
        place: &EnvironmentRef,
        asked: &[AssignmentKey],
    ) -> Result<AssignmentFacts, StoreError> {
        let directory = &self.state.directory;
        let mut facts = AssignmentFacts::default();
        for id in asked.iter().map(|key| key.identity).collect::<HashSet<IdentityId>>() {
            if directory.of_account(place.account, id).is_some() {
                let membership = directory.membership(id, place.application);
                facts
                    .identities
                    .insert(id, membership.map(|membership| membership.status));
            }
        }
        let Some(contents) = self.state.contents(place.environment) else {
            return Ok(facts);
        };
        for id in asked.iter().map(|key| key.node).collect::<HashSet<NodeId>>() {
            if contents.tree.by_id.contains_key(&id) {
                facts.nodes.insert(id);
            }
        }
        for id in asked.iter().map(|key| key.role).collect::<HashSet<RoleId>>() {
            if let Some(row) = contents.roles.by_id.get(&id) {
                let role = AssignableRole {
                    kind: row.role.kind,
                    is_active: row.role.is_active,
                };
                facts.roles.insert(id, role);
            }
        }
        for key in asked {
            let id = contents.assignments.by_key.get(key);
            if let Some(existing) = id.and_then(|id| contents.assignments.by_id.get(id)) {
                facts.existing.insert(*key, existing.into());
            }
        }
        Ok(facts)
    }

    async fn assignments(
        &mut self,
        environment: EnvironmentId,
        ids: &[AssignmentId],
    ) -> Result<Vec<Assignment>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let ids: BTreeSet<&AssignmentId> = ids.iter().collect();
        let known = ids.into_iter().filter_map(|id| contents.assignments.by_id.get(id));
        Ok(known.cloned().collect())
    }

    async fn assignments_at(
        &mut self,
        environment: EnvironmentId,
        nodes: &[NodeId],
    ) -> Result<Vec<Assignment>, StoreError> {
        let nodes: HashSet<NodeId> = nodes.iter().copied().collect();
        let contents = self.state.contents(environment);
        Ok(contents.map_or(vec![], |c| c.assignments.at(&nodes).into_iter().cloned().collect()))
    }

    async fn assignments_naming(
        &mut self,
        environment: EnvironmentId,
        roles: &[RoleId],
        nodes: &[NodeId],
    ) -> Result<Vec<AssignmentId>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let roles: HashSet<&RoleId> = roles.iter().collect();
        let nodes: HashSet<&NodeId> = nodes.iter().collect();
        let all = contents.assignments.by_id.values();
        let naming = all.filter(|one| roles.contains(&one.key.role) || nodes.contains(&one.key.node));
        Ok(naming.map(|one| one.id).collect())
    }

    async fn assignment_views(
        &mut self,
        environment: EnvironmentId,
        query: &AssignmentQuery,
        now: Timestamp,
    ) -> Result<Page<AssignmentView>, StoreError> {
        let mut rows: Vec<Joined<'_>> = vec![];
        if let Some(contents) = self.state.contents(environment) {
            let held = held(contents, query.held_at).into_iter();
            let joined = held.filter_map(|assignment| Joined::of(&self.state, contents, assignment));
            rows.extend(joined.filter(|row| row.fits(query, now)));
        }
        match query.sort {
            AssignmentSort::Name => {
                rows.sort_by_cached_key(|row| (fold_case(&row.identity.name()), row.assignment.id));
            }
            AssignmentSort::Role => rows.sort_by_cached_key(|row| (row.role.name.folded(), row.assignment.id)),
            AssignmentSort::AccessType => rows.sort_by_key(|row| (row.access_type(query.held_at), row.assignment.id)),
            AssignmentSort::CreatedAt => rows.sort_by_key(|row| (row.assignment.created_at, row.assignment.id)),
        }
        Ok(page_of(rows, query.order, query.page).map(|row| row.view(query.held_at)))
    }

    async fn held(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<AssignmentView>, StoreError> {
        let mut rows: Vec<Joined<'_>> = vec![];
        for environment in environments.iter().collect::<BTreeSet<_>>() {
            if let Some(contents) = self.state.contents(*environment) {
                let all = contents.assignments.by_id.values();
                let held = all.filter(|assignment| assignment.key.identity == identity);
                rows.extend(held.filter_map(|assignment| Joined::of(&self.state, contents, assignment)));
            }
        }
        rows.sort_by_cached_key(|row| {
            let assignment = row.assignment;
            (row.role.name.folded(), assignment.id, assignment.environment_id)
        });
        Ok(rows.into_iter().map(|row| row.view(None)).collect())
    }

    async fn assignment_summary(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
    ) -> Result<AssignmentSummary, StoreError> {
        let contents = self.state.contents(environment);
        Ok(contents.map_or_else(AssignmentSummary::default, |c| summarize(&held(c, None), now)))
    }

    async fn node_assignment_summary(
        &mut self,
        environment: EnvironmentId,
        node: NodeId,
        now: Timestamp,
    ) -> Result<NodeAssignmentSummary, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(NodeAssignmentSummary::default());
        };
        let at = |access_type| Some(HeldAt { node, access_type });
        let all = held(contents, at(None));
        let count = |access_type| u64::try_from(held(contents, at(Some(access_type))).len()).unwrap_or(u64::MAX);
        let mut newest: BTreeMap<IdentityId, Timestamp> = BTreeMap::new();
        for one in &all {
            let newest = newest.entry(one.key.identity).or_insert(one.created_at);
            *newest = one.created_at.max(*newest);
        }
        let mut newest: Vec<(Reverse<Timestamp>, IdentityId)> =
            newest.into_iter().map(|(id, at)| (Reverse(at), id)).collect();
        newest.sort_unstable();
        let identities = newest.iter().take(RECENT_IDENTITIES);
        let identities = identities.filter_map(|(_, id)| self.state.directory.by_id.get(id));
        Ok(NodeAssignmentSummary {
            counts: summarize(&all, now),
            direct: count(AccessType::Direct),
            inherited: count(AccessType::Inherited),
            recent: identities.map(identity_summary).collect(),
        })
    }
}

/// Checks the rules that databases enforce by foreign keys, and for identities in the statement itself.
fn check_references(state: &State, environment: EnvironmentId, assignments: &[Assignment]) -> Result<(), StoreError> {
    let place = state.tenancy.place(environment);
    let place = place.ok_or_else(|| bug("the assignments' environment is not there"))?;
    let contents = state.contents(environment);
    let contents = contents.ok_or_else(|| bug("the assignments' environment is not there"))?;
    for AssignmentKey { identity, role, node } in assignments.iter().map(|assignment| assignment.key) {
        ensure(
            contents.roles.by_id.contains_key(&role),
            "an assigned role is not there",
        )?;
        ensure(
            contents.tree.by_id.contains_key(&node),
            "an assignment's node is not there",
        )?;
        let directory = &state.directory;
        let known = directory.of_account(place.account, identity).is_some()
            && directory.membership(identity, place.application).is_some();
        ensure(known, "an assigned identity is not a member of the application")?;
    }
    Ok(())
}

#[async_trait]
impl AssignmentWriter for Unit<Writing> {
    async fn insert_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(assignments.iter().map(|a| a.environment_id))? else {
            return Ok(());
        };
        check_references(&self.state, environment, assignments)?;
        let table = &mut self.state.contents_mut(environment)?.assignments;
        let keys = assignments.iter().map(|assignment| assignment.key);
        unique(keys, |key| table.by_key.contains_key(key), Unique::AssignmentKey)?;
        let ids = assignments.iter().map(|assignment| assignment.id);
        unique(ids, |id| table.by_id.contains_key(id), Unique::Id)?;
        let table = Arc::make_mut(table);
        for assignment in assignments {
            table.by_key.insert(assignment.key, assignment.id);
            table.by_id.insert(assignment.id, assignment.clone());
        }
        Ok(())
    }

    async fn update_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(assignments.iter().map(|a| a.environment_id))? else {
            return Ok(());
        };
        check_references(&self.state, environment, assignments)?;
        let table = &mut self.state.contents_mut(environment)?.assignments;
        let changing: HashSet<AssignmentId> = assignments.iter().map(|assignment| assignment.id).collect();
        ensure(
            changing.len() == assignments.len(),
            "a call changes each assignment once",
        )?;
        let known = changing.iter().all(|id| table.by_id.contains_key(id));
        ensure(known, "a changed assignment is not there")?;
        let stays = |key: &AssignmentKey| {
            let holder = table.by_key.get(key);
            holder.is_some_and(|holder| !changing.contains(holder))
        };
        let keys = assignments.iter().map(|assignment| assignment.key);
        unique(keys, stays, Unique::AssignmentKey)?;
        let table = Arc::make_mut(table);
        for id in &changing {
            if let Some(old) = table.by_id.get(id) {
                table.by_key.remove(&old.key);
            }
        }
        for assignment in assignments {
            table.by_key.insert(assignment.key, assignment.id);
            table.by_id.insert(assignment.id, assignment.clone());
        }
        Ok(())
    }

    async fn delete_assignments(&mut self, environment: EnvironmentId, ids: &[AssignmentId]) -> Result<(), StoreError> {
        if ids.is_empty() || self.state.contents(environment).is_none() {
            return Ok(());
        }
        let table = Arc::make_mut(&mut self.state.contents_mut(environment)?.assignments);
        for id in ids {
            if let Some(old) = table.by_id.remove(id) {
                table.by_key.remove(&old.key);
            }
        }
        Ok(())
    }

    async fn revoke_all(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<(EnvironmentId, AssignmentId)>, StoreError> {
        let mut gone = vec![];
        for environment in environments.iter().collect::<BTreeSet<_>>() {
            let Some(contents) = self.state.contents(*environment) else {
                continue;
            };
            let all = contents.assignments.by_id.values();
            let held = all.filter(|assignment| assignment.key.identity == identity);
            let ids: Vec<AssignmentId> = held.map(|assignment| assignment.id).collect();
            self.delete_assignments(*environment, &ids).await?;
            gone.extend(ids.into_iter().map(|id| (*environment, id)));
        }
        Ok(gone)
    }
}
