//! What the names of a request mean.

use super::Entity;
use super::terms::{ResourceType, is_identity};
use crate::{App, AppError};
use canopy_domain::access::AccessIndex;
use canopy_domain::hierarchy::names::{NodeNames, NodesByName, as_id};
use canopy_domain::identity::names::{IdentitiesByName, IdentityNames};
use canopy_domain::{EnvironmentRef, IdentityId, NodeId, Resolution};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Names whose meaning only the store can tell.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    subjects: HashSet<Arc<str>>,
    nodes: NodeNames,
}

impl Wanted {
    /// What must be looked up to tell whom a subject means, besides what is remembered.
    pub(super) fn subject(&mut self, app: &App, place: &EnvironmentRef, subject: &Entity) {
        let is_known = || app.sessions().names().named(place.account, &subject.id).is_some();
        if is_identity(&subject.kind) && !is_known() {
            self.subjects.insert(Arc::clone(&subject.id));
        }
    }

    /// What must be looked up to tell which node a resource means, besides ids.
    pub(super) fn resource(&mut self, resource: &Entity) {
        if as_id(&resource.id).is_none() {
            self.any_resource(resource);
        }
    }

    /// The same, where a name that looks like an id is none.
    fn any_resource(&mut self, resource: &Entity) {
        if let Some(of) = ResourceType::parse(&resource.kind) {
            self.nodes.add(of.node_type(), &resource.id);
        }
    }

    fn is_empty(&self) -> bool {
        self.subjects.is_empty() && self.nodes.is_empty()
    }
}

/// What is known of names.
#[derive(Debug, Default)]
pub(super) struct Named {
    subjects: HashMap<Arc<str>, Resolution<IdentityId>>,
    asked_nodes: NodeNames,
    nodes: NodesByName,
}

impl Named {
    /// Looks names up, in one consistent state of the store.
    ///
    /// # Errors
    /// [`AppError::Store`].
    pub(super) async fn look_up(&mut self, app: &App, place: &EnvironmentRef, wanted: Wanted) -> Result<(), AppError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let before = app.sessions().names().before_read();
        let mut tx = app.read(place).await?;
        if !wanted.subjects.is_empty() {
            let mut names = IdentityNames::default();
            wanted.subjects.iter().for_each(|name| names.add(name));
            let found = if names.is_empty() {
                vec![]
            } else {
                tx.identities_named(place.account, &names).await?
            };
            let found = IdentitiesByName::new(found);
            let meanings = wanted.subjects.into_iter().map(|name| {
                let meaning = found.meaning(&name);
                (name, meaning)
            });
            self.subjects.extend(meanings);
            let found = self.subjects.iter().map(|(name, meaning)| (name.as_ref(), *meaning));
            app.sessions().names().insert_all(before, place.account, found);
        }
        if !wanted.nodes.is_empty() {
            let found = tx.nodes_named(place.environment, &wanted.nodes).await?;
            self.nodes.paths.extend(found.paths);
            self.nodes.slugs.extend(found.slugs);
            self.asked_nodes.paths.extend(wanted.nodes.paths);
            self.asked_nodes.slugs.extend(wanted.nodes.slugs);
        }
        Ok(())
    }

    /// Whom a subject means; `None` where that must be [looked up](Self::look_up) first.
    pub(super) fn subject(
        &self,
        app: &App,
        place: &EnvironmentRef,
        subject: &Entity,
        wanted: &mut Wanted,
    ) -> Option<Resolution<IdentityId>> {
        if !is_identity(&subject.kind) {
            return Some(Resolution::NotFound);
        }
        let looked_up = self.subjects.get(&subject.id).copied();
        let meaning = looked_up.or_else(|| app.sessions().names().named(place.account, &subject.id));
        if meaning.is_none() {
            wanted.subjects.insert(Arc::clone(&subject.id));
        }
        meaning
    }

    /// Which node a resource means; `None` where that must be [looked up](Self::look_up) first. An id goes before all other
    /// names.
    pub(super) fn resource(
        &self,
        index: &AccessIndex,
        resource: &Entity,
        wanted: &mut Wanted,
    ) -> Option<Resolution<NodeId>> {
        let Some(of) = ResourceType::parse(&resource.kind) else {
            return Some(Resolution::NotFound);
        };
        let is_such = |node: NodeId| index.node_type(node).is_some_and(|node_type| of.has(node_type));
        if let Some(node) = as_id(&resource.id).filter(|node| is_such(*node)) {
            return Some(Resolution::Unique(node));
        }
        let mut names = NodeNames::default();
        names.add(of.node_type(), &resource.id);
        if !names.is_subset(&self.asked_nodes) {
            wanted.any_resource(resource);
            return None;
        }
        Some(self.nodes.meaning(of.node_type(), &resource.id, is_such))
    }
}
