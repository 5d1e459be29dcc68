//! The tree of nodes.

use crate::rule::{ensure, one_environment, unique};
use crate::tenancy::first_slug;
use crate::unit::{Unit, Writing};
use async_trait::async_trait;
use canopy_domain::hierarchy::create::{NodeFacts, ParentFact};
use canopy_domain::hierarchy::names::{NamedNode, NodeNames, NodesByName, SlugAmong};
use canopy_domain::hierarchy::remove::NodeUses;
use canopy_domain::hierarchy::schema_change::{ShapeEdge, TreeShape};
use canopy_domain::port::reader::NodeReader;
use canopy_domain::port::writer::NodeWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::transfer::SlugPath;
use canopy_domain::{
    AccessModel, Assignment, EnvironmentId, HierarchySchema, JsonObject, Node, NodeId, NodeType, Resolution, Slug,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The nodes of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub by_id: BTreeMap<NodeId, Node>,
    /// The children of each node by slug; the root has no parent.
    by_place: BTreeMap<(Option<NodeId>, Slug), NodeId>,
}

impl Tree {
    fn root(&self) -> Option<&Node> {
        self.children(None).next()
    }

    /// Returns the children of a node, by slug.
    fn children(&self, parent: Option<NodeId>) -> impl Iterator<Item = &Node> {
        self.places_from(parent, first_slug())
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// Returns the child positions whose slug is this one or sorts after it.
    fn places_from(&self, parent: Option<NodeId>, from: Slug) -> impl Iterator<Item = (&Slug, &NodeId)> {
        self.by_place
            .range((parent, from)..)
            .take_while(move |((above, _), _)| *above == parent)
            .map(|((_, slug), id)| (slug, id))
    }

    /// Returns a node and its descendants, parents first, siblings by slug, with their level from the first on.
    fn depth_first<'a>(&'a self, top: Option<&'a Node>) -> Vec<(usize, &'a Node)> {
        let mut waiting: Vec<(usize, &Node)> = top.map(|top| (1, top)).into_iter().collect();
        let mut ordered = vec![];
        while let Some((depth, node)) = waiting.pop() {
            ordered.push((depth, node));
            let first_below = waiting.len();
            waiting.extend(self.children(Some(node.id)).map(|child| (depth + 1, child)));
            if let Some(below) = waiting.get_mut(first_below..) {
                below.reverse();
            }
        }
        ordered
    }

    /// Returns a node and its ancestors, the root last.
    pub fn way_up(&self, id: NodeId) -> impl Iterator<Item = &Node> {
        let above = |node: &&Node| node.parent.and_then(|id| self.by_id.get(&id));
        // No path is longer than the number of nodes, unless a caller created a cycle.
        core::iter::successors(self.by_id.get(&id), above).take(self.by_id.len())
    }

    /// Returns child slugs that equal this one or begin with it and a `-`.
    fn taken_like<'a>(&'a self, parent: NodeId, slug: &'a Slug) -> impl Iterator<Item = &'a Slug> {
        // `-` sorts before all other characters of a slug, so the matching ones are adjacent.
        self.places_from(Some(parent), slug.clone())
            .map(|(taken, _)| taken)
            .take_while(|taken| match taken.as_str().strip_prefix(slug.as_str()) {
                Some(rest) => rest.is_empty() || rest.starts_with('-'),
                None => false,
            })
    }

    fn check_parents(&self, nodes: &[Node]) -> Result<(), StoreError> {
        let mut made: HashSet<NodeId> = HashSet::new();
        for node in nodes {
            let parent = node.parent;
            let known = parent.is_none_or(|id| self.by_id.contains_key(&id) || made.contains(&id));
            ensure(known, "a node's parent is not there")?;
            made.insert(node.id);
        }
        Ok(())
    }

    /// Checks that an environment has one root, whatever the slug of a second one.
    fn check_root(&self, nodes: &[Node]) -> Result<(), StoreError> {
        let mut roots: HashSet<NodeId> = self.root().map(|root| root.id).into_iter().collect();
        for node in nodes {
            match node.parent {
                None => roots.insert(node.id),
                Some(_) => roots.remove(&node.id),
            };
        }
        ensure(roots.len() <= 1, "an environment has one root")
    }
}

fn place(node: &Node) -> (Option<NodeId>, Slug) {
    (node.parent, node.slug.clone())
}

#[async_trait]
impl<Kind: Send> NodeReader for Unit<Kind> {
    async fn hierarchy(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Option<(AccessModel, HierarchySchema)>, StoreError> {
        let found = self.state.tenancy.environments.get(&environment);
        Ok(found.map(|(environment, schema)| (environment.access_model, schema.clone())))
    }

    async fn root_node(&mut self, environment: EnvironmentId) -> Result<Option<Node>, StoreError> {
        let contents = self.state.contents(environment);
        Ok(contents.and_then(|c| c.tree.root()).cloned())
    }

    async fn node(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Option<Node>, StoreError> {
        let contents = self.state.contents(environment);
        Ok(contents.and_then(|c| c.tree.by_id.get(&id)).cloned())
    }

    async fn environments_with_node(
        &mut self,
        environments: &[EnvironmentId],
        id: NodeId,
    ) -> Result<Vec<EnvironmentId>, StoreError> {
        let has = |environment: &&EnvironmentId| {
            let contents = self.state.contents(**environment);
            contents.is_some_and(|contents| contents.tree.by_id.contains_key(&id))
        };
        let found: BTreeSet<EnvironmentId> = environments.iter().filter(has).copied().collect();
        Ok(found.into_iter().collect())
    }

    async fn node_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        let contents = self.state.contents(environment);
        let nodes = contents.into_iter().flat_map(|contents| contents.tree.by_id.values());
        let bytes = nodes.map(|node| {
            let metadata = Some(node.metadata.as_str().len()).filter(|bytes| *bytes > 2);
            node.name.as_str().len() + node.slug.as_str().len() + metadata.unwrap_or(0)
        });
        Ok(bytes.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX)).sum())
    }

    async fn nodes(&mut self, environment: EnvironmentId) -> Result<Vec<Node>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let ordered = contents.tree.depth_first(contents.tree.root());
        Ok(ordered.into_iter().map(|(_, node)| node.clone()).collect())
    }

    async fn children(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        let contents = self.state.contents(environment);
        let children = contents.map(|c| c.tree.children(Some(id)).cloned().collect());
        Ok(children.unwrap_or_default())
    }

    async fn ancestors(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        let contents = self.state.contents(environment);
        let mut above: Vec<Node> = contents.map_or(vec![], |c| c.tree.way_up(id).skip(1).cloned().collect());
        above.reverse();
        Ok(above)
    }

    async fn subtree(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let ordered = contents.tree.depth_first(contents.tree.by_id.get(&id));
        Ok(ordered.into_iter().map(|(_, node)| node.clone()).collect())
    }

    async fn bare_nodes(&mut self, environment: EnvironmentId, top: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
        let mut nodes = match top {
            None => self.nodes(environment).await?,
            Some(top) => self.subtree(environment, top).await?,
        };
        for node in &mut nodes {
            node.metadata = JsonObject::default();
        }
        Ok(nodes)
    }

    async fn children_size(&mut self, environment: EnvironmentId, id: NodeId) -> Result<(u64, u64), StoreError> {
        let children = self.children(environment, id).await?;
        let bytes: usize = children.iter().map(|node| node.metadata.as_str().len()).sum();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok((count(children.len()), count(bytes)))
    }

    async fn subtree_height(&mut self, environment: EnvironmentId, id: NodeId) -> Result<usize, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(0);
        };
        let ordered = contents.tree.depth_first(contents.tree.by_id.get(&id));
        Ok(ordered.into_iter().map(|(level, _)| level).max().unwrap_or_default())
    }

    async fn node_uses(&mut self, environment: EnvironmentId, id: NodeId) -> Result<NodeUses, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(NodeUses::default());
        };
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(NodeUses {
            children: count(contents.tree.children(Some(id)).count()),
            assignments: count(contents.assignments.at(&HashSet::from([id])).len()),
        })
    }

    async fn node_facts(
        &mut self,
        environment: EnvironmentId,
        parents: &[NodeId],
        slugs: &[(NodeId, Slug)],
    ) -> Result<NodeFacts, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(NodeFacts::default());
        };
        let tree = &contents.tree;
        let parents = parents.iter().filter_map(|id| tree.by_id.get(id)).map(|node| {
            let fact = ParentFact {
                node_type: node.node_type.clone(),
                depth: tree.way_up(node.id).count(),
            };
            (node.id, fact)
        });
        let taken = slugs
            .iter()
            .flat_map(|(parent, slug)| tree.taken_like(*parent, slug).map(|taken| (*parent, taken.clone())));
        Ok(NodeFacts {
            parents: parents.collect(),
            taken: taken.collect(),
        })
    }

    async fn tree_shape(&mut self, environment: EnvironmentId) -> Result<TreeShape, StoreError> {
        let no_root = || StoreError::Corrupt(format!("environment {environment} has no root"));
        let contents = self.state.contents(environment).ok_or_else(no_root)?;
        let root = contents.tree.root().ok_or_else(no_root)?;
        let mut edges: BTreeMap<(Option<&NodeType>, &NodeType), NodeId> = BTreeMap::new();
        let mut deepest = (1, root.id);
        for (depth, node) in contents.tree.depth_first(contents.tree.root()) {
            if depth > deepest.0 {
                deepest = (depth, node.id);
            }
            if let Some(parent) = node.parent.and_then(|id| contents.tree.by_id.get(&id)) {
                let above = parent.parent.is_some().then_some(&parent.node_type);
                edges.entry((above, &node.node_type)).or_insert(node.id);
            }
        }
        let edges = edges.into_iter().map(|((parent, child), example)| ShapeEdge {
            parent: parent.cloned(),
            child: child.clone(),
            example,
        });
        Ok(TreeShape {
            root: root.id,
            root_type: root.node_type.clone(),
            edges: edges.collect(),
            deepest,
        })
    }

    async fn nodes_named(&mut self, environment: EnvironmentId, asked: &NodeNames) -> Result<NodesByName, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(NodesByName::default());
        };
        let tree = &contents.tree;
        let at = |path: &SlugPath| {
            let step =
                |above: Option<NodeId>, slug: &str| tree.by_place.get(&(above, Slug::parse(slug).ok()?)).copied();
            let node = path.slugs().try_fold(None, |above, slug| step(above, slug).map(Some));
            Some((path.clone(), node??))
        };
        let mut slugs: HashMap<SlugAmong, Resolution<NodeId>> = HashMap::new();
        let mut by_slug: HashMap<&Slug, Vec<&Node>> = asked.slugs.iter().map(|(_, slug)| (slug, vec![])).collect();
        for node in tree.by_id.values() {
            if let Some(nodes) = by_slug.get_mut(&node.slug) {
                nodes.push(node);
            }
        }
        for (of_type, slug) in &asked.slugs {
            let nodes = by_slug.get(slug).into_iter().flatten();
            let nodes = nodes.filter(|node| of_type.as_ref().is_none_or(|wanted| *wanted == node.node_type));
            match Resolution::of(nodes.map(|node| node.id)) {
                Resolution::NotFound => {}
                meaning => {
                    slugs.insert((of_type.clone(), slug.clone()), meaning);
                }
            }
        }
        Ok(NodesByName {
            paths: asked.paths.iter().filter_map(at).collect(),
            slugs,
        })
    }

    async fn named_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<Vec<NamedNode>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let tree = &contents.tree;
        let ids: BTreeSet<&NodeId> = ids.iter().collect();
        let asked: Vec<&Node> = ids.into_iter().filter_map(|id| tree.by_id.get(id)).collect();
        let mut like: HashMap<&Slug, Vec<&Node>> = asked.iter().map(|node| (&node.slug, vec![])).collect();
        for node in tree.by_id.values() {
            if let Some(nodes) = like.get_mut(&node.slug) {
                nodes.push(node);
            }
        }
        let named = |node: &Node| {
            let mut slugs: Vec<&Slug> = tree.way_up(node.id).map(|node| &node.slug).collect();
            slugs.reverse();
            let like = like.get(&node.slug).map(Vec::as_slice).unwrap_or_default();
            Some(NamedNode {
                id: node.id,
                node_type: node.node_type.clone(),
                path: SlugPath::new(slugs)?,
                is_only_of_type: like.iter().filter(|other| other.node_type == node.node_type).count() == 1,
                is_only: like.len() == 1,
            })
        };
        Ok(asked.into_iter().filter_map(named).collect())
    }
}

#[async_trait]
impl NodeWriter for Unit<Writing> {
    async fn insert_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(nodes.iter().map(|n| n.environment_id))? else {
            return Ok(());
        };
        let tree = &mut self.state.contents_mut(environment)?.tree;
        unique(
            nodes.iter().map(place),
            |place| tree.by_place.contains_key(place),
            Unique::NodeSlug,
        )?;
        let ids = nodes.iter().map(|node| node.id);
        unique(ids, |id| tree.by_id.contains_key(id), Unique::Id)?;
        tree.check_parents(nodes)?;
        tree.check_root(nodes)?;
        let tree = Arc::make_mut(tree);
        for node in nodes {
            tree.by_place.insert(place(node), node.id);
            tree.by_id.insert(node.id, node.clone());
        }
        Ok(())
    }

    async fn update_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(nodes.iter().map(|n| n.environment_id))? else {
            return Ok(());
        };
        let tree = &mut self.state.contents_mut(environment)?.tree;
        let changing: HashMap<NodeId, &Node> = nodes.iter().map(|node| (node.id, node)).collect();
        ensure(changing.len() == nodes.len(), "a call changes each node once")?;
        let stays = |place: &(Option<NodeId>, Slug)| {
            let holder = tree.by_place.get(place);
            holder.is_some_and(|holder| !changing.contains_key(holder))
        };
        unique(nodes.iter().map(place), stays, Unique::NodeSlug)?;
        let known = nodes.iter().all(|node| tree.by_id.contains_key(&node.id));
        ensure(known, "a changed node is not there")?;
        tree.check_parents(nodes)?;
        tree.check_root(nodes)?;
        let tree = Arc::make_mut(tree);
        for id in changing.keys() {
            if let Some(old) = tree.by_id.get(id) {
                tree.by_place.remove(&place(old));
            }
        }
        for node in nodes {
            tree.by_place.insert(place(node), node.id);
            tree.by_id.insert(node.id, node.clone());
        }
        Ok(())
    }

    async fn delete_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<(), StoreError> {
        if ids.is_empty() || self.state.contents(environment).is_none() {
            return Ok(());
        }
        let contents = self.state.contents_mut(environment)?;
        let gone: HashSet<NodeId> = ids.iter().copied().collect();
        let stays_below = |node: &Node| !gone.contains(&node.id) && node.parent.is_some_and(|id| gone.contains(&id));
        let named = |assignment: &Assignment| gone.contains(&assignment.key.node);
        ensure(
            !contents.tree.by_id.values().any(stays_below),
            "nodes stand below a deleted node",
        )?;
        ensure(
            !contents.assignments.by_id.values().any(named),
            "assignments name a deleted node",
        )?;
        let tree = Arc::make_mut(&mut contents.tree);
        for id in &gone {
            if let Some(old) = tree.by_id.remove(id) {
                tree.by_place.remove(&place(&old));
            }
        }
        Ok(())
    }
}
