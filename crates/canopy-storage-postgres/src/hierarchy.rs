//! The tree of nodes.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use crate::value::{column, distinct, instants};
use async_trait::async_trait;
use canopy_domain::hierarchy::create::NodeFacts;
use canopy_domain::hierarchy::names::{NamedNode, NodeNames, NodesByName};
use canopy_domain::hierarchy::remove::NodeUses;
use canopy_domain::hierarchy::schema_change::{ShapeEdge, TreeShape};
use canopy_domain::port::reader::NodeReader;
use canopy_domain::port::writer::NodeWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{AccessModel, EnvironmentId, HierarchySchema, Node, NodeId, NodeType, Slug};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::hierarchy::{
    ChildrenSizeRow, EnvironmentOfNodeRow, HeightRow, NodeRow, NodeUsesRow, ParentRow, SlugRow, TypedNode, TypedNodeRow,
};
use canopy_storage_sql::rows::tenancy::HierarchyRow;
use canopy_storage_sql::tree::depth_first;
use canopy_storage_sql::write::one_environment;
use canopy_storage_sql::{SqlText, sql};
use futures_util::future;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

mod names;

/// The columns of a node without its metadata.
fn bare_columns() -> String {
    NodeRow.to_string().replace("metadata", "'{}'::text AS metadata")
}

/// A statement about one node: its first two parameters are given here.
fn about(sql: &'static SqlText, environment: EnvironmentId, id: NodeId) -> Statement<'static> {
    Statement::new(sql).bind(environment.as_uuid()).bind(id.as_uuid())
}

#[async_trait]
impl NodeReader for UnitOfWork {
    async fn hierarchy(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Option<(AccessModel, HierarchySchema)>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {HierarchyRow} FROM environments WHERE id = $1");
        Statement::new(&SELECT)
            .bind(environment.as_uuid())
            .first(self.connection()?, HierarchyRow)
            .await
    }

    async fn root_node(&mut self, environment: EnvironmentId) -> Result<Option<Node>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = $1 AND parent_id IS NULL");
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        select.first(self.connection()?, NodeRow).await
    }

    async fn node(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Option<Node>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = $1 AND id = $2");
        let select = about(&SELECT, environment, id);
        select.first(self.connection()?, NodeRow).await
    }

    async fn environments_with_node(
        &mut self,
        environments: &[EnvironmentId],
        id: NodeId,
    ) -> Result<Vec<EnvironmentId>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT environment_id FROM nodes WHERE environment_id = ANY ($1) AND id = $2 ORDER BY environment_id"
        );
        if environments.is_empty() {
            return Ok(vec![]);
        }
        let select = Statement::new(&SELECT)
            .bind(distinct(environments.iter().map(EnvironmentId::as_uuid)))
            .bind(id.as_uuid());
        select.all(self.connection()?, EnvironmentOfNodeRow).await
    }

    async fn node_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        // The length of a text is known without reading what is stored apart. An export leaves empty metadata out.
        static SELECT: SqlText = sql!(
            "SELECT coalesce(sum(octet_length(name) + octet_length(slug) + \
             CASE octet_length(metadata) WHEN 2 THEN 0 ELSE octet_length(metadata) END), 0)::bigint FROM nodes WHERE environment_id = $1"
        );
        let statement = Statement::new(&SELECT).bind(environment.as_uuid());
        let bytes = statement.first(self.connection()?, CountRow).await?;
        Ok(bytes.unwrap_or(0))
    }

    async fn nodes(&mut self, environment: EnvironmentId) -> Result<Vec<Node>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = $1 ORDER BY slug");
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        let nodes: Vec<Node> = select.all(self.connection()?, NodeRow).await?;
        Ok(depth_first(nodes, None).into_iter().map(|(_, node)| node).collect())
    }

    async fn children(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        static SELECT: SqlText =
            sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = $1 AND parent_id = $2 ORDER BY slug");
        let select = about(&SELECT, environment, id);
        select.all(self.connection()?, NodeRow).await
    }

    async fn ancestors(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        static SELECT: SqlText = sql!(
            "WITH RECURSIVE way (id, step) AS ( \
                 SELECT o.parent_id, 1 FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION ALL \
                 SELECT above.parent_id, way.step + 1 FROM way CROSS JOIN LATERAL (SELECT o.parent_id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.id = way.id OFFSET 0) AS above WHERE way.step < 1000) \
             SELECT n.* FROM way CROSS JOIN LATERAL (SELECT {NodeRow} FROM nodes WHERE environment_id = $1 AND id = way.id OFFSET 0) AS n ORDER BY way.step DESC"
        );
        about(&SELECT, environment, id).all(self.connection()?, NodeRow).await
    }

    async fn subtree(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        // `OFFSET 0` has the nodes below each node, and each node itself, looked up by key. `UNION` takes each once, so that
        // a circle ends too.
        static SELECT: SqlText = sql!(
            "WITH RECURSIVE tree (id) AS ( \
                 SELECT o.id FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION \
                 SELECT below.id FROM tree CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.parent_id = tree.id OFFSET 0) AS below) \
             SELECT n.* FROM tree CROSS JOIN LATERAL (SELECT {NodeRow} FROM nodes WHERE environment_id = $1 AND id = tree.id OFFSET 0) AS n ORDER BY n.slug"
        );
        let select = about(&SELECT, environment, id);
        let nodes: Vec<Node> = select.all(self.connection()?, NodeRow).await?;
        let above = nodes.iter().find(|node| node.id == id).and_then(|node| node.parent);
        Ok(depth_first(nodes, above).into_iter().map(|(_, node)| node).collect())
    }

    async fn bare_nodes(&mut self, environment: EnvironmentId, top: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
        static ALL: SqlText = sql!(
            "SELECT {} FROM nodes WHERE environment_id = $1 ORDER BY slug",
            bare_columns()
        );
        static SUBTREE: SqlText = sql!(
            "WITH RECURSIVE tree (id) AS ( \
                 SELECT o.id FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION \
                 SELECT below.id FROM tree CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.parent_id = tree.id OFFSET 0) AS below) \
             SELECT n.* FROM tree CROSS JOIN LATERAL (SELECT {} FROM nodes WHERE environment_id = $1 AND id = tree.id OFFSET 0) AS n ORDER BY n.slug",
            bare_columns()
        );
        let select = match top {
            None => Statement::new(&ALL).bind(environment.as_uuid()),
            Some(top) => about(&SUBTREE, environment, top),
        };
        let nodes: Vec<Node> = select.all(self.connection()?, NodeRow).await?;
        let top = nodes.iter().find(|node| Some(node.id) == top);
        let above = top.and_then(|node| node.parent);
        Ok(depth_first(nodes, above).into_iter().map(|(_, node)| node).collect())
    }

    async fn children_size(&mut self, environment: EnvironmentId, id: NodeId) -> Result<(u64, u64), StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT count(*), coalesce(sum(octet_length(metadata)), 0) FROM nodes \
             WHERE environment_id = $1 AND parent_id = $2"
        );
        about(&SELECT, environment, id)
            .one(self.connection()?, ChildrenSizeRow)
            .await
    }

    async fn subtree_height(&mut self, environment: EnvironmentId, id: NodeId) -> Result<usize, StoreError> {
        static SELECT: SqlText = sql!(
            "WITH RECURSIVE tree (id, level) AS ( \
                 SELECT o.id, 1::bigint FROM nodes AS o WHERE o.environment_id = $1 AND o.id = $2 \
               UNION ALL \
                 SELECT below.id, tree.level + 1 FROM tree CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o \
                 WHERE o.environment_id = $1 AND o.parent_id = tree.id OFFSET 0) AS below WHERE tree.level < 1000) \
             SELECT coalesce(max(level), 0) FROM tree"
        );
        about(&SELECT, environment, id).one(self.connection()?, HeightRow).await
    }

    async fn node_uses(&mut self, environment: EnvironmentId, id: NodeId) -> Result<NodeUses, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT (SELECT count(*) FROM nodes WHERE environment_id = $1 AND parent_id = $2), \
             (SELECT count(*) FROM assignments WHERE environment_id = $1 AND node_id = $2)"
        );
        about(&SELECT, environment, id)
            .one(self.connection()?, NodeUsesRow)
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
        static PARENTS: SqlText = sql!(
            "WITH RECURSIVE up (id, node_type, parent_id, depth) AS ( \
                 SELECT n.id, n.node_type, n.parent_id, 1::bigint FROM unnest($1) AS asked (id) CROSS JOIN LATERAL ( \
                     SELECT o.id, o.node_type, o.parent_id FROM nodes AS o \
                     WHERE o.environment_id = $2 AND o.id = asked.id OFFSET 0) AS n \
               UNION ALL \
                 SELECT up.id, up.node_type, above.parent_id, up.depth + 1 FROM up CROSS JOIN LATERAL ( \
                     SELECT o.parent_id FROM nodes AS o \
                     WHERE o.environment_id = $2 AND o.id = up.parent_id OFFSET 0) AS above WHERE up.depth < 1000) \
             SELECT id, node_type, max(depth) FROM up GROUP BY id, node_type"
        );
        // `-` sorts before all that a slug may go on with and `.` right behind it, so those that count stand together.
        // `OFFSET 0` has each pair looked up by itself; many pairs have the same parent. The end of the range is
        // compared as a row, so that the planner takes the range for a wide one and looks for the parent first: many nodes may
        // have the slug.
        static TAKEN: SqlText = sql!(
            "SELECT n.parent_id, n.slug FROM unnest($1, $2) AS asked (parent_id, slug) \
             CROSS JOIN LATERAL (SELECT o.parent_id, o.slug FROM nodes AS o WHERE o.environment_id = $3 \
             AND o.parent_id = asked.parent_id AND o.slug >= asked.slug \
             AND (o.slug, o.environment_id) < (asked.slug || '.', $3) OFFSET 0) AS n"
        );
        let connection = self.connection()?;
        let parents = async {
            if parents.is_empty() {
                return Ok(HashMap::new());
            }
            let select = Statement::new(&PARENTS)
                .bind(distinct(parents.iter().map(NodeId::as_uuid)))
                .bind(environment.as_uuid());
            select.all(connection, ParentRow).await
        };
        let taken = async {
            if slugs.is_empty() {
                return Ok(HashSet::new());
            }
            let select = Statement::new(&TAKEN)
                .bind(column(slugs, |(parent, _)| parent.as_uuid()))
                .bind(column(slugs, |(_, slug)| slug.as_str()))
                .bind(environment.as_uuid());
            select.all(connection, SlugRow).await
        };
        let (parents, taken) = future::try_join(parents, taken).await?;
        Ok(NodeFacts { parents, taken })
    }

    async fn tree_shape(&mut self, environment: EnvironmentId) -> Result<TreeShape, StoreError> {
        static SELECT: SqlText = sql!("SELECT {TypedNodeRow} FROM nodes WHERE environment_id = $1 ORDER BY slug");
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        let nodes: Vec<TypedNode> = select.all(self.connection()?, TypedNodeRow).await?;
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
fn rows<'a>(sql: &'static SqlText, environment: Uuid, ids: Vec<Uuid>, nodes: &'a [Node]) -> Statement<'a> {
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
    static SELECT: SqlText = sql!(
        "WITH n AS (SELECT * FROM unnest($1, $2) AS wanted (parent_id, slug)) \
         SELECT EXISTS (SELECT FROM n GROUP BY n.parent_id, n.slug HAVING count(*) > 1) \
         OR EXISTS (SELECT FROM n CROSS JOIN LATERAL ((SELECT o.id, o.parent_id, o.slug FROM nodes AS o \
                 WHERE o.environment_id = $3 AND (o.parent_id, o.slug) >= (n.parent_id, n.slug) \
                 ORDER BY o.parent_id, o.slug LIMIT 1) \
             UNION ALL (SELECT o.id, o.parent_id, o.slug FROM nodes AS o \
                 WHERE n.parent_id IS NULL AND o.environment_id = $3 AND o.parent_id IS NULL LIMIT 1)) AS o \
             WHERE o.parent_id IS NOT DISTINCT FROM n.parent_id AND o.slug = n.slug AND o.id <> ALL ($4))"
    );
    Statement::new(&SELECT)
        .bind(column(nodes, |n| n.parent.map(|parent| parent.as_uuid())))
        .bind(column(nodes, |n| n.slug.as_str()))
        .bind(environment)
        .bind(moving)
}

#[async_trait]
impl NodeWriter for UnitOfWork {
    async fn insert_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        // Foreign keys are looked at when the statement ends, so parents and children may come together.
        static INSERT: SqlText = sql!(
            "INSERT INTO nodes (environment_id, id, parent_id, node_type, name, name_folded, slug, \
             status, metadata, version, created_at, updated_at) \
             SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS n"
        );
        let Some(environment) = one_environment(nodes.iter().map(|n| n.environment_id))?.map(|id| id.as_uuid()) else {
            return Ok(());
        };
        let insert = |ids| rows(&INSERT, environment, ids, nodes);
        let inserted = self.insert(column(nodes, |n| n.id.as_uuid()), insert).await;
        self.rather(inserted, Unique::NodeSlug, is_taken(environment, nodes, vec![]))
            .await
    }

    async fn update_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE nodes AS t SET parent_id = n.parent_id, node_type = n.node_type, name = n.name, \
             name_folded = n.name_folded, slug = n.slug, status = n.status, metadata = n.metadata, \
             version = n.version, created_at = n.created_at, updated_at = n.updated_at \
             FROM (SELECT old.*, new.* FROM (SELECT $1 AS id) AS scope CROSS JOIN unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS new (id, \
                 parent_id, node_type, name, name_folded, slug, status, metadata, version, created_at, updated_at) \
                 CROSS JOIN LATERAL (SELECT o.environment_id, o.ctid AS place FROM nodes AS o \
                 WHERE o.environment_id = scope.id AND o.id = new.id OFFSET 0) AS old) AS n \
             WHERE t.environment_id IS NOT DISTINCT FROM n.environment_id AND t.ctid = n.place"
        );
        let Some(environment) = one_environment(nodes.iter().map(|n| n.environment_id))?.map(|id| id.as_uuid()) else {
            return Ok(());
        };
        let ids = column(nodes, |n| n.id.as_uuid());
        let updated = self
            .update(nodes.len(), rows(&UPDATE, environment, ids.clone(), nodes))
            .await;
        self.rather(updated, Unique::NodeSlug, is_taken(environment, nodes, ids))
            .await
    }

    async fn delete_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<(), StoreError> {
        // Foreign keys are looked at when the statement ends, so parents and children may go together.
        static DELETE: SqlText = sql!(
            "DELETE FROM nodes AS n USING (SELECT old.place FROM unnest($1) AS gone (id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place FROM nodes AS o \
             WHERE o.environment_id = $2 AND o.id = gone.id OFFSET 0) AS old) AS gone \
             WHERE n.environment_id IS NOT DISTINCT FROM $2 AND n.ctid = gone.place"
        );
        let ids = distinct(ids.iter().map(NodeId::as_uuid));
        self.delete_within(environment, &ids, &[&DELETE]).await
    }
}
