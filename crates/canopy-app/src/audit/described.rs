//! Details of audit events: granted and revoked assignments, and keys that roles gained or lost.

use crate::AppError;
use crate::audit_entry::AuditEntry;
use canopy_domain::assignment::listing::AssignmentView;
use canopy_domain::audit::{Detail, details};
use canopy_domain::port::ReadTx;
use canopy_domain::{Assignment, EnvironmentId, EnvironmentRef, Identity, IdentityId, Node, NodeId, RoleId, RoleName};
use core::fmt::Display;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Maximum number of entries, and of ids in a list, in the metadata of an event. Further ones are stored in parts.
const INLINE: usize = 100;

/// A change to one assignment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    Granted(&'a Assignment),
    Revoked(&'a Assignment),
    /// Before, then after.
    Changed(&'a Assignment, &'a Assignment),
}

/// A change to the keys of a role or of the catalog, to nodes or to identities.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ListChange {
    Added,
    Removed,
}

impl ListChange {
    const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// The details of one event.
#[derive(Debug)]
pub(crate) struct Details {
    is_wanted: bool,
    entries: Vec<Detail>,
    /// The number of changes in each entry.
    sizes: Vec<usize>,
}

impl Details {
    /// Creates empty details. If they are not wanted, additions are ignored.
    pub(crate) const fn wanted(is_wanted: bool) -> Self {
        Self {
            is_wanted,
            entries: Vec::new(),
            sizes: Vec::new(),
        }
    }

    fn push(&mut self, entry: Detail, size: usize) {
        self.entries.push(entry);
        self.sizes.push(size);
    }

    /// Adds keys that a role gained or lost; without a role, keys that the catalog gained or lost. Each entry has at
    /// most 100 keys, so that parts stay bounded.
    pub(crate) fn keys<K: Display>(
        &mut self,
        role: Option<(RoleId, &RoleName)>,
        change: ListChange,
        keys: impl IntoIterator<Item = K>,
    ) {
        if !self.is_wanted {
            return;
        }
        let change = change.word();
        let role = role.map_or(Detail::Null, |(id, name)| named(id, "name", Some(name)));
        let mut keys = keys.into_iter();
        loop {
            let some: Vec<Detail> = keys.by_ref().take(INLINE).map(Detail::text).collect();
            if some.is_empty() {
                return;
            }
            let size = some.len();
            let entry = vec![
                ("role", role.clone()),
                ("keys", Detail::List(some)),
                ("change", Detail::text(change)),
            ];
            self.push(Detail::Map(entry), size);
        }
    }

    /// Adds changes to assignments of one environment, in order. Takes three statements, whatever their number.
    ///
    /// # Errors
    /// [`AppError::Store`].
    pub(crate) async fn assignments(
        &mut self,
        tx: &mut dyn ReadTx,
        place: &EnvironmentRef,
        steps: &[Step<'_>],
    ) -> Result<(), AppError> {
        self.assignments_of(tx, place, steps, &[]).await
    }

    /// Like [`assignments`](Self::assignments), with identities that are new and not stored yet.
    pub(crate) async fn assignments_of(
        &mut self,
        tx: &mut dyn ReadTx,
        place: &EnvironmentRef,
        steps: &[Step<'_>],
        new: &[Identity],
    ) -> Result<(), AppError> {
        if steps.is_empty() || !self.is_wanted {
            return Ok(());
        }
        let mut identities: BTreeSet<IdentityId> = BTreeSet::new();
        let mut roles: BTreeSet<RoleId> = BTreeSet::new();
        let mut nodes: BTreeSet<NodeId> = BTreeSet::new();
        for step in steps {
            let (one, before) = match step {
                Step::Granted(one) | Step::Revoked(one) => (one, None),
                Step::Changed(before, after) => (after, Some(before)),
            };
            for one in before.into_iter().chain([one]) {
                identities.insert(one.key.identity);
                roles.insert(one.key.role);
                nodes.insert(one.key.node);
            }
        }
        let identities: Vec<IdentityId> = identities.into_iter().collect();
        let roles: Vec<RoleId> = roles.into_iter().collect();
        let mut identities = tx.identity_labels(place.account, &identities).await?;
        identities.extend(new.iter().map(|one| (one.id, one.name())));
        let roles = tx.role_names(place.environment, &roles).await?;
        let paths = paths(tx, place.environment, nodes).await?;
        let held = |one: &Assignment| {
            let mut entry = vec![
                ("role", named(one.key.role, "name", roles.get(&one.key.role))),
                ("node", named(one.key.node, "path", paths.get(&one.key.node))),
            ];
            entry.extend(window(one));
            entry
        };
        for step in steps {
            let (one, before, change) = match step {
                Step::Granted(one) => (one, None, "granted"),
                Step::Revoked(one) => (one, None, "revoked"),
                Step::Changed(before, after) => (after, Some(before), "changed"),
            };
            let identity = named(one.key.identity, "name", identities.get(&one.key.identity));
            let mut entry = vec![("assignment_id", Detail::text(one.id)), ("identity", identity)];
            entry.extend(held(one));
            entry.push(("change", Detail::text(change)));
            if let Some(before) = before {
                entry.push(("before", Detail::Map(held(before))));
            }
            self.push(Detail::Map(entry), 1);
        }
        Ok(())
    }

    /// Adds deleted nodes, if there are more than the metadata lists. Takes one statement.
    ///
    /// # Errors
    /// [`AppError::Store`].
    pub(crate) async fn removed_nodes(
        &mut self,
        tx: &mut dyn ReadTx,
        environment: EnvironmentId,
        nodes: &[NodeId],
    ) -> Result<(), AppError> {
        if self.is_wanted && nodes.len() > INLINE {
            let paths = paths(tx, environment, nodes.iter().copied().collect()).await?;
            self.nodes(ListChange::Removed, nodes, &paths);
        }
        Ok(())
    }

    /// Adds created nodes, parents before their children, if there are more than the metadata lists. Takes one
    /// statement.
    ///
    /// # Errors
    /// [`AppError::Store`].
    pub(crate) async fn created_nodes(&mut self, tx: &mut dyn ReadTx, created: &[Node]) -> Result<(), AppError> {
        if let (true, Some(first)) = (self.is_wanted && created.len() > INLINE, created.first()) {
            let nodes: Vec<NodeId> = created.iter().map(|node| node.id).collect();
            let parents = created.iter().filter_map(|node| node.parent).collect();
            let mut paths = paths(tx, first.environment_id, parents).await?;
            for node in created {
                let parent = node.parent.and_then(|parent| paths.get(&parent));
                if let Some(parent) = parent {
                    let path = format!("{parent}/{}", node.slug);
                    paths.insert(node.id, path);
                }
            }
            self.nodes(ListChange::Added, &nodes, &paths);
        }
        Ok(())
    }

    fn nodes(&mut self, change: ListChange, nodes: &[NodeId], paths: &HashMap<NodeId, String>) {
        for id in nodes {
            let node = named(id, "path", paths.get(id));
            let entry = vec![("node", node), ("change", Detail::text(change.word()))];
            self.push(Detail::Map(entry), 1);
        }
    }

    /// Adds created or attached identities, if there are more than the metadata lists.
    pub(crate) fn identities<N: Display>(
        &mut self,
        identities: impl ExactSizeIterator<Item = (IdentityId, Option<N>)>,
    ) {
        if self.is_wanted && identities.len() > INLINE {
            for (id, name) in identities {
                let identity = named(id, "name", name);
                let entry = vec![
                    ("identity", identity),
                    ("change", Detail::text(ListChange::Added.word())),
                ];
                self.push(Detail::Map(entry), 1);
            }
        }
    }

    /// Adds assignments of one identity that are deleted with it or with its membership. Takes a statement for each
    /// environment with such assignments.
    ///
    /// # Errors
    /// [`AppError::Store`].
    pub(crate) async fn revoked(&mut self, tx: &mut dyn ReadTx, held: &[AssignmentView]) -> Result<(), AppError> {
        if !self.is_wanted {
            return Ok(());
        }
        let mut nodes: BTreeMap<EnvironmentId, BTreeSet<NodeId>> = BTreeMap::new();
        for one in held.iter().map(|view| &view.assignment) {
            nodes.entry(one.environment_id).or_default().insert(one.key.node);
        }
        let mut known = HashMap::new();
        for (environment, nodes) in nodes {
            known.extend(paths(tx, environment, nodes).await?);
        }
        for view in held {
            let one = &view.assignment;
            let name = format!("{} {}", view.identity.first_name, view.identity.last_name);
            let mut entry = vec![
                ("assignment_id", Detail::text(one.id)),
                ("environment_id", Detail::text(one.environment_id)),
                ("identity", named(one.key.identity, "name", Some(name))),
                ("role", named(one.key.role, "name", Some(&view.role_name))),
                ("node", named(one.key.node, "path", known.get(&one.key.node))),
            ];
            entry.extend(window(one));
            entry.push(("change", Detail::text("revoked")));
            self.push(Detail::Map(entry), 1);
        }
        Ok(())
    }

    /// Adds the first 100 to the metadata of an event, and returns the parts that are stored beside it.
    pub(crate) fn split(self, metadata: &mut Detail) -> Vec<String> {
        let count: usize = self.sizes.iter().sum();
        let mut taken = 0;
        let inline = self.sizes.iter().take_while(|size| {
            taken += **size;
            taken <= INLINE
        });
        let inline = inline.count();
        let mut entries = self.entries;
        let rest = entries.split_off(inline.min(entries.len()));
        let more = [
            ("details_count", Detail::count(count)),
            ("details_complete", Detail::Flag(rest.is_empty())),
            ("details", Detail::List(entries)),
        ];
        match metadata {
            Detail::Map(metadata) => metadata.extend(more),
            _ => *metadata = Detail::Map(more.into()),
        }
        details::parts(&rest)
    }
}

impl AuditEntry {
    /// Adds the details, if there are any, of an event whose metadata lists all of them.
    pub(crate) fn detailing_all(self, all: Details) -> Self {
        if all.entries.is_empty() {
            self
        } else {
            self.detailing(all)
        }
    }

    /// Adds the details: the first 100 to the metadata, all others as parts beside the event.
    pub(crate) fn detailing(mut self, all: Details) -> Self {
        self.details = all.split(&mut self.metadata);
        self
    }
}

/// Returns the first 100 ids or keys of a list. The details of the event have the others.
pub(crate) fn first<T: Display>(values: impl IntoIterator<Item = T>) -> Detail {
    Detail::texts(values.into_iter().take(INLINE))
}

/// Returns the first 100 entries of a list. If there are more, the details of the event have all.
pub(crate) fn first_entries(entries: impl IntoIterator<Item = Detail>) -> Detail {
    Detail::List(entries.into_iter().take(INLINE).collect())
}

fn named(id: impl Display, field: &'static str, name: Option<impl Display>) -> Detail {
    Detail::Map(vec![("id", Detail::text(id)), (field, Detail::optional(name))])
}

fn window(one: &Assignment) -> [(&'static str, Detail); 2] {
    [
        ("effective_from", Detail::text(one.window.from())),
        ("effective_to", Detail::optional(one.window.to())),
    ]
}

/// Returns the slug paths of nodes.
async fn paths(
    tx: &mut dyn ReadTx,
    environment: EnvironmentId,
    nodes: BTreeSet<NodeId>,
) -> Result<HashMap<NodeId, String>, AppError> {
    let nodes: Vec<NodeId> = nodes.into_iter().collect();
    let found = tx.named_nodes(environment, &nodes).await?;
    Ok(found.into_iter().map(|node| (node.id, node.path.to_string())).collect())
}
