//! The tree of nodes.

use crate::schema_text;
use crate::statement::{Row, Statement};
use crate::unit_of_work::{UnitOfWork, one_environment};
use crate::value::{column, distinct, instants};
use async_trait::async_trait;
use canopy_domain::hierarchy::create::{NodeFacts, ParentFact};
use canopy_domain::hierarchy::names::{NamedNode, NodeNames, NodesByName};
use canopy_domain::hierarchy::remove::NodeUses;
use canopy_domain::hierarchy::schema_change::{ShapeEdge, TreeShape};
use canopy_domain::port::reader::NodeReader;
use canopy_domain::port::writer::NodeWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    AccessModel, DisplayName, EnvironmentId, HierarchySchema, JsonObject, Node, NodeId, NodeStatus, NodeType, Slug,
};
use futures_util::future;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

mod names;

fn node(row: &Row) -> Result<Node, StoreError> {
    Ok(Node {
        id: row.id(0)?,
        environment_id: row.id(1)?,
        parent: row.optional_id(2)?,
        node_type: row.text(3, NodeType::parse)?,
        name: row.text(4, DisplayName::restored)?,
        slug: row.text(5, Slug::parse)?,
        status: row.word(6, NodeStatus::parse)?,
        metadata: row.text(7, JsonObject::parse)?,
        version: row.version(8)?,
        created_at: row.at(9)?,
        updated_at: row.at(10)?,
    })
}

/// `SELECT` with the columns that [`node`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, environment_id, parent_id, node_type, name, slug, status, metadata, version, created_at, \
             updated_at FROM nodes WHERE environment_id = $1 ",
            $rest
        )
    };
}

/// As [`select`], without metadata.
macro_rules! select_bare {
    ($rest:literal) => {
        concat!(
            "SELECT id, environment_id, parent_id, node_type, name, slug, status, '{}'::text AS metadata, version, \
             created_at, updated_at FROM nodes WHERE environment_id = $1 ",
            $rest
        )
    };
}

/// An element of a tree.
trait Standing {
    fn id(&self) -> NodeId;
    fn parent(&self) -> Option<NodeId>;
}

impl Standing for Node {
    fn id(&self) -> NodeId {
        self.id
    }

    fn parent(&self) -> Option<NodeId> {
        self.parent
    }
}

/// A node as far as a schema looks at it.
struct Shape {
    id: NodeId,
    parent: Option<NodeId>,
    node_type: NodeType,
}

impl Standing for Shape {
    fn id(&self) -> NodeId {
        self.id
    }

    fn parent(&self) -> Option<NodeId> {
        self.parent
    }
}

/// Each node before those below it, with its depth; siblings keep the order in which they come. Those below `above` come
/// first.
fn depth_first<T: Standing>(nodes: Vec<T>, above: Option<NodeId>) -> Vec<(usize, T)> {
    let mut below: HashMap<Option<NodeId>, Vec<T>> = HashMap::new();
    let mut ordered = Vec::with_capacity(nodes.len());
    for node in nodes {
        below.entry(node.parent()).or_default().push(node);
    }
    let mut waiting: Vec<(usize, T)> = Vec::new();
    let push = |depth, children: Option<Vec<T>>, waiting: &mut Vec<(usize, T)>| {
        waiting.extend(children.into_iter().flatten().rev().map(|child| (depth, child)));
    };
    push(1, below.remove(&above), &mut waiting);
    while let Some((depth, node)) = waiting.pop() {
        push(depth + 1, below.remove(&Some(node.id())), &mut waiting);
        ordered.push((depth, node));
    }
    ordered
}

/// A statement about one node: its first two parameters are given here.
fn about(sql: &'static str, environment: EnvironmentId, id: NodeId) -> Statement<'static> {
    Statement::new(sql).bind(environment.as_uuid()).bind(id.as_uuid())
}

#[async_trait]
impl NodeReader for UnitOfWork {
    async fn hierarchy(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Option<(AccessModel, HierarchySchema)>, StoreError> {
        const SELECT: &str = "SELECT id, access_model, hierarchy_schema FROM environments WHERE id = $1";
        Statement::new(SELECT)
            .bind(environment.as_uuid())
            .first(self.connection()?, "environments", |row| {
                Ok((row.word(1, AccessModel::parse)?, row.word(2, schema_text::read)?))
            })
            .await
    }

    async fn root_node(&mut self, environment: EnvironmentId) -> Result<Option<Node>, StoreError> {
        let select = Statement::new(select!("AND parent_id IS NULL")).bind(environment.as_uuid());
        select.first(self.connection()?, "nodes", node).await
    }

    async fn node(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Option<Node>, StoreError> {
        let select = about(select!("AND id = $2"), environment, id);
        select.first(self.connection()?, "nodes", node).await
    }

    async fn environments_with_node(
        &mut self,
        environments: &[EnvironmentId],
        id: NodeId,
    ) -> Result<Vec<EnvironmentId>, StoreError> {
        const SELECT: &str =
            "SELECT environment_id FROM nodes WHERE environment_id = ANY ($1) AND id = $2 ORDER BY environment_id";
        if environments.is_empty() {
            return Ok(vec![]);
        }
        let select = Statement::new(SELECT)
            .bind(distinct(environments.iter().map(EnvironmentId::as_uuid)))
            .bind(id.as_uuid());
        select
            .all::<EnvironmentId, _>(self.connection()?, "nodes", |row| row.id(0))
            .await
    }

    async fn node_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        // The length of a text is known without reading what is stored apart. An export leaves empty metadata out.
        const SELECT: &str = "SELECT coalesce(sum(octet_length(name) + octet_length(slug) + \
             CASE octet_length(metadata) WHEN 2 THEN 0 ELSE octet_length(metadata) END), 0)::bigint FROM nodes WHERE environment_id = $1";
        let statement = Statement::new(SELECT).bind(environment.as_uuid());
        let bytes = statement.first(self.connection()?, "nodes", |row| row.count(0)).await?;
        Ok(bytes.unwrap_or(0))
    }

    async fn nodes(&mut self, environment: EnvironmentId) -> Result<Vec<Node>, StoreError> {
        let select = Statement::new(select!("ORDER BY slug")).bind(environment.as_uuid());
        let nodes: Vec<Node> = select.all(self.connection()?, "nodes", node).await?;
        Ok(depth_first(nodes, None).into_iter().map(|(_, node)| node).collect())
    }

    async fn children(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        let select = about(select!("AND parent_id = $2 ORDER BY slug"), environment, id);
        select.all(self.connection()?, "nodes", node).await
    }

    async fn ancestors(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        const SELECT: &str = concat!(
            "WITH RECURSIVE way (id, step) AS ( \
                 SELECT o.parent_id, 1 FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION ALL \
                 SELECT above.parent_id, way.step + 1 FROM way CROSS JOIN LATERAL (SELECT o.parent_id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.id = way.id OFFSET 0) AS above WHERE way.step < 1000) \
             SELECT n.* FROM way CROSS JOIN LATERAL (",
            select!("AND id = way.id OFFSET 0"),
            ") AS n ORDER BY way.step DESC"
        );
        about(SELECT, environment, id)
            .all(self.connection()?, "nodes", node)
            .await
    }

    async fn subtree(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        // `OFFSET 0` has the nodes below each node, and each node itself, looked up by key. `UNION` takes each once, so that
        // a circle ends too.
        const SELECT: &str = concat!(
            "WITH RECURSIVE tree (id) AS ( \
                 SELECT o.id FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION \
                 SELECT below.id FROM tree CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.parent_id = tree.id OFFSET 0) AS below) \
             SELECT n.* FROM tree CROSS JOIN LATERAL (",
            select!("AND id = tree.id OFFSET 0"),
            ") AS n ORDER BY n.slug"
        );
        let select = about(SELECT, environment, id);
        let nodes: Vec<Node> = select.all(self.connection()?, "nodes", node).await?;
        let above = nodes.iter().find(|node| node.id == id).and_then(|node| node.parent);
        Ok(depth_first(nodes, above).into_iter().map(|(_, node)| node).collect())
    }

    async fn bare_nodes(&mut self, environment: EnvironmentId, top: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
        const SUBTREE: &str = concat!(
            "WITH RECURSIVE tree (id) AS ( \
                 SELECT o.id FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION \
                 SELECT below.id FROM tree CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.parent_id = tree.id OFFSET 0) AS below) \
             SELECT n.* FROM tree CROSS JOIN LATERAL (",
            select_bare!("AND id = tree.id OFFSET 0"),
            ") AS n ORDER BY n.slug"
        );
        let select = match top {
            None => Statement::new(select_bare!("ORDER BY slug")).bind(environment.as_uuid()),
            Some(top) => about(SUBTREE, environment, top),
        };
        let nodes: Vec<Node> = select.all(self.connection()?, "nodes", node).await?;
        let top = nodes.iter().find(|node| Some(node.id) == top);
        let above = top.and_then(|node| node.parent);
        Ok(depth_first(nodes, above).into_iter().map(|(_, node)| node).collect())
    }

    async fn children_size(&mut self, environment: EnvironmentId, id: NodeId) -> Result<(u64, u64), StoreError> {
        const SELECT: &str = "SELECT count(*), coalesce(sum(octet_length(metadata)), 0) FROM nodes \
             WHERE environment_id = $1 AND parent_id = $2";
        about(SELECT, environment, id)
            .one(self.connection()?, "nodes", |row| Ok((row.count(0)?, row.count(1)?)))
            .await
    }

    async fn subtree_height(&mut self, environment: EnvironmentId, id: NodeId) -> Result<usize, StoreError> {
        const SELECT: &str = "WITH RECURSIVE tree (id, level) AS ( \
                 SELECT o.id, 1::bigint FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION ALL \
                 SELECT below.id, tree.level + 1 FROM tree CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.parent_id = tree.id OFFSET 0) AS below WHERE tree.level < 1000) \
             SELECT coalesce(max(level), 0) FROM tree";
        about(SELECT, environment, id)
            .one(self.connection()?, "nodes", |row| row.count(0))
            .await
    }

    async fn node_uses(&mut self, environment: EnvironmentId, id: NodeId) -> Result<NodeUses, StoreError> {
        const SELECT: &str = "SELECT (SELECT count(*) FROM nodes WHERE environment_id = $1 AND parent_id = $2), \
             (SELECT count(*) FROM assignments WHERE environment_id = $1 AND node_id = $2)";
        about(SELECT, environment, id)
            .one(self.connection()?, "nodes", |row| {
                Ok(NodeUses {
                    children: row.count(0)?,
                    assignments: row.count(1)?,
                })
            })
            .await
    }

    async fn node_facts(
        &mut self,
        environment: EnvironmentId,
        parents: &[NodeId],
        slugs: &[(NodeId, Slug)],
    ) -> Result<NodeFacts, StoreError> {
        // From each parent up to the root: the number of steps is its depth. A tree is no deeper than a schema allows,
        // so a circle, which only damage can make, ends too.
        const PARENTS: &str = "WITH RECURSIVE up (id, node_type, parent_id, depth) AS ( \
                 SELECT n.id, n.node_type, n.parent_id, 1::bigint FROM unnest($1) AS asked (id) CROSS JOIN LATERAL ( \
                     SELECT o.id, o.node_type, o.parent_id FROM nodes AS o \
                     WHERE o.environment_id = $2 AND o.id = asked.id OFFSET 0) AS n \
               UNION ALL \
                 SELECT up.id, up.node_type, above.parent_id, up.depth + 1 FROM up CROSS JOIN LATERAL ( \
                     SELECT o.parent_id FROM nodes AS o \
                     WHERE o.environment_id = $2 AND o.id = up.parent_id OFFSET 0) AS above WHERE up.depth < 1000) \
             SELECT id, node_type, max(depth) FROM up GROUP BY id, node_type";
        // `-` sorts before all that a slug may go on with and `.` right behind it, so those that count stand together.
        // `OFFSET 0` has each pair looked up by itself; many pairs have the same parent. The end of the range is
        // compared as a row, so that the planner takes the range for a wide one and looks for the parent first: many nodes may
        // have the slug.
        const TAKEN: &str = "SELECT n.parent_id, n.slug FROM unnest($1, $2) AS asked (parent_id, slug) \
             CROSS JOIN LATERAL (SELECT o.parent_id, o.slug FROM nodes AS o WHERE o.environment_id = $3 \
             AND o.parent_id = asked.parent_id AND o.slug >= asked.slug \
             AND (o.slug, o.environment_id) < (asked.slug || '.', $3) OFFSET 0) AS n";
        let connection = self.connection()?;
        let parents = async {
            if parents.is_empty() {
                return Ok(HashMap::new());
            }
            let select = Statement::new(PARENTS)
                .bind(distinct(parents.iter().map(NodeId::as_uuid)))
                .bind(environment.as_uuid());
            let read = |row: &Row| {
                let fact = ParentFact {
                    node_type: row.text(1, NodeType::parse)?,
                    depth: row.count(2)?,
                };
                Ok((row.id(0)?, fact))
            };
            select.all(connection, "nodes", read).await
        };
        let taken = async {
            if slugs.is_empty() {
                return Ok(HashSet::new());
            }
            let select = Statement::new(TAKEN)
                .bind(column(slugs, |(parent, _)| parent.as_uuid()))
                .bind(column(slugs, |(_, slug)| slug.as_str()))
                .bind(environment.as_uuid());
            select
                .all(connection, "nodes", |row| Ok((row.id(0)?, row.text(1, Slug::parse)?)))
                .await
        };
        let (parents, taken) = future::try_join(parents, taken).await?;
        Ok(NodeFacts { parents, taken })
    }

    async fn tree_shape(&mut self, environment: EnvironmentId) -> Result<TreeShape, StoreError> {
        const SELECT: &str = "SELECT id, parent_id, node_type FROM nodes WHERE environment_id = $1 ORDER BY slug";
        let select = Statement::new(SELECT).bind(environment.as_uuid());
        let read = |row: &Row| {
            Ok(Shape {
                id: row.id(0)?,
                parent: row.optional_id(1)?,
                node_type: row.text(2, NodeType::parse)?,
            })
        };
        let nodes: Vec<Shape> = select.all(self.connection()?, "nodes", read).await?;
        let nodes = depth_first(nodes, None);
        let no_root = || StoreError::Corrupt(format!("environment {environment} has no root"));
        let (_, root) = nodes.first().ok_or_else(no_root)?;
        let types: HashMap<NodeId, &NodeType> = nodes.iter().map(|(_, node)| (node.id, &node.node_type)).collect();
        let mut edges: BTreeMap<(Option<&NodeType>, &NodeType), NodeId> = BTreeMap::new();
        let mut deepest = (1, root.id);
        for (depth, node) in &nodes {
            if *depth > deepest.0 {
                deepest = (*depth, node.id);
            }
            if let Some(parent) = node.parent {
                // The root counts as the root, whatever its type.
                let above = if parent == root.id {
                    None
                } else {
                    types.get(&parent).copied()
                };
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
        names::find(self.connection()?, environment, asked).await
    }

    async fn named_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<Vec<NamedNode>, StoreError> {
        names::of(self.connection()?, environment, ids).await
    }
}

/// The values of rows, from the environment on.
fn rows<'a>(sql: &'static str, environment: Uuid, ids: Vec<Uuid>, nodes: &'a [Node]) -> Statement<'a> {
    Statement::new(sql)
        .bind(environment)
        .bind(ids)
        .bind(column(nodes, |n| n.parent.map(|parent| parent.as_uuid())))
        .bind(column(nodes, |n| n.node_type.as_str()))
        .bind(column(nodes, |n| n.name.as_str()))
        .bind(column(nodes, |n| n.name.folded()))
        .bind(column(nodes, |n| n.slug.as_str()))
        .bind(column(nodes, |n| n.status.as_str()))
        .bind(column(nodes, |n| n.metadata.as_str()))
        .bind(column(nodes, |n| i64::from(n.version.get())))
        .bind(instants(nodes, |n| n.created_at))
        .bind(instants(nodes, |n| n.updated_at))
}

/// Whether two of these nodes want the same place, or one wants that of another node than `moving`. The root's place counts:
/// a second root with the root's slug has a taken slug, any other breaks the rule that there is one root.
fn is_taken(environment: Uuid, nodes: &[Node], moving: Vec<Uuid>) -> Statement<'_> {
    const SELECT: &str = "WITH n AS (SELECT * FROM unnest($1, $2) AS wanted (parent_id, slug)) \
         SELECT EXISTS (SELECT FROM n GROUP BY n.parent_id, n.slug HAVING count(*) > 1) \
         OR EXISTS (SELECT FROM n CROSS JOIN LATERAL ((SELECT o.id, o.parent_id, o.slug FROM nodes AS o \
                 WHERE o.environment_id = $3 AND (o.parent_id, o.slug) >= (n.parent_id, n.slug) \
                 ORDER BY o.parent_id, o.slug LIMIT 1) \
             UNION ALL (SELECT o.id, o.parent_id, o.slug FROM nodes AS o \
                 WHERE n.parent_id IS NULL AND o.environment_id = $3 AND o.parent_id IS NULL LIMIT 1)) AS o \
             WHERE o.parent_id IS NOT DISTINCT FROM n.parent_id AND o.slug = n.slug AND o.id <> ALL ($4))";
    Statement::new(SELECT)
        .bind(column(nodes, |n| n.parent.map(|parent| parent.as_uuid())))
        .bind(column(nodes, |n| n.slug.as_str()))
        .bind(environment)
        .bind(moving)
}

#[async_trait]
impl NodeWriter for UnitOfWork {
    async fn insert_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        // Foreign keys are looked at when the statement ends, so parents and children may come together.
        const INSERT: &str = "INSERT INTO nodes (environment_id, id, parent_id, node_type, name, name_folded, slug, \
             status, metadata, version, created_at, updated_at) \
             SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS n";
        let Some(environment) = one_environment(nodes.iter().map(|n| n.environment_id))? else {
            return Ok(());
        };
        let insert = |ids| rows(INSERT, environment, ids, nodes);
        let inserted = self.insert(column(nodes, |n| n.id.as_uuid()), insert).await;
        self.rather(inserted, Unique::NodeSlug, is_taken(environment, nodes, vec![]))
            .await
    }

    async fn update_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE nodes AS t SET parent_id = n.parent_id, node_type = n.node_type, name = n.name, \
             name_folded = n.name_folded, slug = n.slug, status = n.status, metadata = n.metadata, \
             version = n.version, created_at = n.created_at, updated_at = n.updated_at \
             FROM (SELECT old.*, new.* FROM (SELECT $1 AS id) AS scope CROSS JOIN unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS new (id, \
                 parent_id, node_type, name, name_folded, slug, status, metadata, version, created_at, updated_at) \
                 CROSS JOIN LATERAL (SELECT o.environment_id, o.ctid AS place FROM nodes AS o \
                 WHERE o.environment_id = scope.id AND o.id = new.id OFFSET 0) AS old) AS n \
             WHERE t.environment_id IS NOT DISTINCT FROM n.environment_id AND t.ctid = n.place";
        let Some(environment) = one_environment(nodes.iter().map(|n| n.environment_id))? else {
            return Ok(());
        };
        let ids = column(nodes, |n| n.id.as_uuid());
        let updated = self
            .update(nodes.len(), rows(UPDATE, environment, ids.clone(), nodes))
            .await;
        self.rather(updated, Unique::NodeSlug, is_taken(environment, nodes, ids))
            .await
    }

    async fn delete_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<(), StoreError> {
        // Foreign keys are looked at when the statement ends, so parents and children may go together.
        const DELETE: &str = "DELETE FROM nodes AS n USING (SELECT old.place FROM unnest($1) AS gone (id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place FROM nodes AS o \
             WHERE o.environment_id = $2 AND o.id = gone.id OFFSET 0) AS old) AS gone \
             WHERE n.environment_id IS NOT DISTINCT FROM $2 AND n.ctid = gone.place";
        let ids = distinct(ids.iter().map(NodeId::as_uuid));
        self.delete_within(environment, &ids, &[DELETE]).await
    }
}
