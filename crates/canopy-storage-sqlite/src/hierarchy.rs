//! The tree of nodes.

use crate::error::{ensure, internal};
use crate::packed::{Cell, IDS, Layout, Packed, batches};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::hierarchy::create::{NodeFacts, ParentFact};
use canopy_domain::hierarchy::names::{NamedNode, NodeNames, NodesByName};
use canopy_domain::hierarchy::remove::NodeUses;
use canopy_domain::hierarchy::schema_change::TreeShape;
use canopy_domain::port::reader::NodeReader;
use canopy_domain::port::writer::NodeWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{AccessModel, EnvironmentId, HierarchySchema, Node, NodeId, Slug};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::hierarchy::{
    ChildrenSizeRow, DepthRow, EnvironmentOfNodeRow, HeightRow, NodeRow, NodeUsesRow, ParentRow, RootRow, ShapeEdgeRow,
    SlugRow,
};
use canopy_storage_sql::rows::tenancy::HierarchyRow;
use canopy_storage_sql::tree::depth_first;
use canopy_storage_sql::write::one_environment;
use canopy_storage_sql::{Shape as _, SqlText, sql};
use diesel::SqliteConnection;
use std::collections::{HashMap, HashSet};

mod names;

/// The beginning of a statement: the ids of node `?2` and of all that stands below it, in `tree`. Each once, so that a circle,
/// which only damage can make, ends too.
const TREE: &str = "WITH RECURSIVE tree(id) AS (SELECT id FROM nodes WHERE environment_id = ?1 AND id = ?2 UNION \
                    SELECT nodes.id FROM tree JOIN nodes ON nodes.environment_id = ?1 AND nodes.parent_id = tree.id)";

const PLACES: Layout = Layout(&[("parent_id", Cell::Id), ("slug", Cell::Text)]);
// With the environment in each row, for the sake of the UPDATE: see the rows of roles.
const ROWS: Layout = Layout(&[
    ("environment_id", Cell::Id),
    ("id", Cell::Id),
    ("parent_id", Cell::Bytes),
    ("node_type", Cell::Text),
    ("name", Cell::Text),
    ("name_folded", Cell::Text),
    ("slug", Cell::Text),
    ("status", Cell::Text),
    ("metadata", Cell::Text),
    ("version", Cell::Number),
    ("created_at", Cell::Number),
    ("updated_at", Cell::Number),
]);

fn run(c: &mut SqliteConnection, sql: &'static SqlText) -> Result<(), StoreError> {
    Statement::new(sql).execute(c).map(|_| ())
}

/// About how many bytes a node takes in a set.
fn weight(node: &Node) -> usize {
    ROWS.width() + node.metadata.as_str().len() + 2 * node.name.as_str().len() + node.slug.as_str().len()
}

fn pack(nodes: &[Node]) -> Packed {
    Packed::new(ROWS, nodes, |row, node| {
        row.id(node.environment_id.as_bytes());
        row.id(node.id.as_bytes());
        row.optional_id(node.parent.as_ref().map(NodeId::as_bytes));
        row.text(node.node_type.as_str());
        row.text(node.name.as_str());
        row.text(&node.name.folded());
        row.text(node.slug.as_str());
        row.text(node.status.as_str());
        row.text(node.metadata.as_str());
        row.number(node.version.get());
        row.at(node.created_at);
        row.at(node.updated_at);
    })
}

/// The asked nodes that there are, each with its type and depth: their ancestors are counted, not the tree.
fn parents(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    asked: &[NodeId],
) -> Result<HashMap<NodeId, ParentFact>, StoreError> {
    // A way up is never longer than the deepest tree, whatever is stored.
    static SELECT: SqlText = sql!(
        "{}, way(start, id, depth) AS (SELECT id, id, 0 FROM given UNION ALL \
             SELECT start, parent_id, depth + 1 FROM way JOIN nodes \
             ON nodes.environment_id = ?3 AND nodes.id = way.id WHERE depth <= ?4), \
             depths(id, depth) AS (SELECT start, max(depth) FROM way WHERE id IS NULL GROUP BY start) \
             SELECT n.id, n.node_type, depths.depth FROM depths CROSS JOIN nodes AS n \
             ON n.environment_id = ?3 AND n.id = depths.id",
        IDS.given()
    );
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = Packed::distinct_ids(asked.iter().map(NodeId::as_bytes));
    asked
        .statement(&SELECT)
        .bind(environment.as_bytes())
        .bind(u32::from(HierarchySchema::MAX_DEPTH))
        .all(c, ParentRow)
}

/// The slugs below each node that equal the slug it comes with or begin with it and a `-`.
fn taken(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    places: &[(NodeId, Slug)],
) -> Result<HashSet<(NodeId, Slug)>, StoreError> {
    // `.` is the character after `-`, so what begins with a slug and `-` is one range of the index.
    static SELECT: SqlText = sql!(
        "{}, found(parent_id, slug) AS ( \
             SELECT n.parent_id, n.slug FROM given CROSS JOIN nodes AS n \
             ON n.environment_id = ?3 AND n.parent_id = given.parent_id AND n.slug = given.slug UNION ALL \
             SELECT n.parent_id, n.slug FROM given CROSS JOIN nodes AS n \
             ON n.environment_id = ?3 AND n.parent_id = given.parent_id \
             AND n.slug > given.slug || '-' AND n.slug < given.slug || '.') SELECT parent_id, slug FROM found",
        PLACES.given()
    );
    if places.is_empty() {
        return Ok(HashSet::new());
    }
    let places: HashSet<&(NodeId, Slug)> = places.iter().collect();
    let places: Vec<&(NodeId, Slug)> = places.into_iter().collect();
    let places = Packed::new(PLACES, &places, |row, (parent, slug)| {
        row.id(parent.as_bytes());
        row.text(slug.as_str());
    });
    let statement = places.statement(&SELECT).bind(environment.as_bytes());
    statement.all(c, SlugRow)
}

/// The columns of a node without its metadata.
fn bare_columns() -> String {
    NodeRow.to_string().replace("metadata", "'{}' AS metadata")
}

/// Each node before those below it. Those below `above` come first.
///
/// # Errors
/// [`StoreError::Corrupt`] where no way leads to a node.
fn ordered(nodes: Vec<Node>, above: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
    let count = nodes.len();
    let ordered: Vec<Node> = depth_first(nodes, above).into_iter().map(|(_, node)| node).collect();
    if ordered.len() == count {
        Ok(ordered)
    } else {
        Err(StoreError::Corrupt(
            "nodes that no way leads to from the root".to_owned(),
        ))
    }
}

/// A statement about one node: its first two parameters are given here.
fn about<'a>(sql: &'static SqlText, environment: &'a EnvironmentId, id: &'a NodeId) -> Statement<'a> {
    Statement::new(sql).bind(environment.as_bytes()).bind(id.as_bytes())
}

#[async_trait]
impl NodeReader for UnitOfWork {
    async fn hierarchy(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Option<(AccessModel, HierarchySchema)>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {HierarchyRow} FROM environments WHERE id = ?1");
        self.run(move |c| {
            Statement::new(&SELECT)
                .bind(environment.as_bytes())
                .first(c, HierarchyRow)
        })
        .await
    }

    async fn root_node(&mut self, environment: EnvironmentId) -> Result<Option<Node>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = ?1 AND parent_id IS NULL");
        self.run(move |c| Statement::new(&SELECT).bind(environment.as_bytes()).first(c, NodeRow))
            .await
    }

    async fn node(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Option<Node>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = ?1 AND id = ?2");
        self.run(move |c| about(&SELECT, &environment, &id).first(c, NodeRow))
            .await
    }

    async fn environments_with_node(
        &mut self,
        environments: &[EnvironmentId],
        id: NodeId,
    ) -> Result<Vec<EnvironmentId>, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT given.id FROM given CROSS JOIN nodes AS n ON n.environment_id = given.id AND n.id = ?3",
            IDS.given()
        );
        if environments.is_empty() {
            return Ok(vec![]);
        }
        // The ids go in sorted, so they come out sorted.
        let environments = Packed::distinct_ids(environments.iter().map(EnvironmentId::as_bytes));
        self.run(move |c| {
            let statement = environments.statement(&SELECT).bind(id.as_bytes());
            statement.all(c, EnvironmentOfNodeRow)
        })
        .await
    }

    async fn nodes(&mut self, environment: EnvironmentId) -> Result<Vec<Node>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = ?1 ORDER BY slug");
        self.run(move |c| {
            let nodes = Statement::new(&SELECT).bind(environment.as_bytes()).all(c, NodeRow)?;
            ordered(nodes, None)
        })
        .await
    }

    async fn node_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        // `octet_length` of a text is known without its pages. An export leaves empty metadata out.
        static SELECT: SqlText = sql!(
            "SELECT coalesce(sum(octet_length(name) + octet_length(slug) + \
             CASE octet_length(metadata) WHEN 2 THEN 0 ELSE octet_length(metadata) END), 0) FROM nodes WHERE environment_id = ?1"
        );
        self.run(move |c| {
            let statement = Statement::new(&SELECT).bind(environment.as_bytes());
            Ok(statement.first(c, CountRow)?.unwrap_or(0))
        })
        .await
    }

    async fn children(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        static SELECT: SqlText =
            sql!("SELECT {NodeRow} FROM nodes WHERE environment_id = ?1 AND parent_id = ?2 ORDER BY slug");
        self.run(move |c| about(&SELECT, &environment, &id).all(c, NodeRow))
            .await
    }

    async fn ancestors(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        static SELECT: SqlText = sql!(
            "WITH RECURSIVE way(id, step) AS (SELECT parent_id, 1 FROM nodes WHERE environment_id = ?1 AND id = ?2 UNION ALL \
             SELECT nodes.parent_id, step + 1 FROM way JOIN nodes ON nodes.environment_id = ?1 AND nodes.id = way.id \
             WHERE step < {}) \
             SELECT {} FROM way CROSS JOIN nodes AS n ON n.environment_id = ?1 AND n.id = way.id ORDER BY step DESC",
            HierarchySchema::MAX_DEPTH,
            NodeRow.of("n")
        );
        self.run(move |c| about(&SELECT, &environment, &id).all(c, NodeRow))
            .await
    }

    async fn subtree(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        static SELECT: SqlText = sql!(
            "{TREE} SELECT {NodeRow} FROM nodes WHERE environment_id = ?1 AND id IN (SELECT tree.id FROM tree) ORDER BY slug"
        );
        self.run(move |c| {
            let nodes: Vec<Node> = about(&SELECT, &environment, &id).all(c, NodeRow)?;
            let above = nodes.iter().find(|node| node.id == id).and_then(|node| node.parent);
            ordered(nodes, above)
        })
        .await
    }

    async fn bare_nodes(&mut self, environment: EnvironmentId, top: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
        static ALL: SqlText = sql!(
            "SELECT {} FROM nodes WHERE environment_id = ?1 ORDER BY slug",
            bare_columns()
        );
        static SUBTREE: SqlText = sql!(
            "{TREE} SELECT {} FROM nodes WHERE environment_id = ?1 AND id IN (SELECT tree.id FROM tree) ORDER BY slug",
            bare_columns()
        );
        self.run(move |c| {
            let statement = match &top {
                None => Statement::new(&ALL).bind(environment.as_bytes()),
                Some(top) => about(&SUBTREE, &environment, top),
            };
            let nodes: Vec<Node> = statement.all(c, NodeRow)?;
            let top = nodes.iter().find(|node| Some(node.id) == top);
            let above = top.and_then(|node| node.parent);
            ordered(nodes, above)
        })
        .await
    }

    async fn children_size(&mut self, environment: EnvironmentId, id: NodeId) -> Result<(u64, u64), StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT count(*), coalesce(sum(octet_length(metadata)), 0) FROM nodes \
                              WHERE environment_id = ?1 AND parent_id = ?2"
        );
        self.run(move |c| {
            let size = about(&SELECT, &environment, &id).first(c, ChildrenSizeRow)?;
            Ok(size.unwrap_or_default())
        })
        .await
    }

    async fn subtree_height(&mut self, environment: EnvironmentId, id: NodeId) -> Result<usize, StoreError> {
        static SELECT: SqlText = sql!(
            "WITH RECURSIVE tree(id, level) AS (SELECT id, 1 FROM nodes WHERE environment_id = ?1 AND id = ?2 UNION ALL \
             SELECT nodes.id, level + 1 FROM tree JOIN nodes ON nodes.environment_id = ?1 AND nodes.parent_id = tree.id \
             WHERE level < {}) SELECT coalesce(max(level), 0) FROM tree",
            HierarchySchema::MAX_DEPTH
        );
        self.run(move |c| {
            let height = about(&SELECT, &environment, &id).first(c, HeightRow)?;
            Ok(height.unwrap_or_default())
        })
        .await
    }

    async fn node_uses(&mut self, environment: EnvironmentId, id: NodeId) -> Result<NodeUses, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT (SELECT count(*) FROM nodes WHERE environment_id = ?1 AND parent_id = ?2), \
                              (SELECT count(*) FROM assignments WHERE environment_id = ?1 AND node_id = ?2)"
        );
        self.run(move |c| {
            let uses = about(&SELECT, &environment, &id).first(c, NodeUsesRow)?;
            Ok(uses.unwrap_or_default())
        })
        .await
    }

    async fn node_facts(
        &mut self,
        environment: EnvironmentId,
        asked: &[NodeId],
        slugs: &[(NodeId, Slug)],
    ) -> Result<NodeFacts, StoreError> {
        let (asked, slugs) = (asked.to_vec(), slugs.to_vec());
        self.run(move |c| {
            Ok(NodeFacts {
                parents: parents(c, environment, &asked)?,
                taken: taken(c, environment, &slugs)?,
            })
        })
        .await
    }

    async fn tree_shape(&mut self, environment: EnvironmentId) -> Result<TreeShape, StoreError> {
        static ROOT: SqlText = sql!("SELECT id, node_type FROM nodes WHERE environment_id = ?1 AND parent_id IS NULL");
        // For the root's children the type above is NULL, whatever it is: the root may be retyped.
        static EDGES: SqlText = sql!(
            "SELECT min(child.id), child.node_type, \
             CASE WHEN parent.parent_id IS NULL THEN NULL ELSE parent.node_type END AS above \
             FROM nodes AS child JOIN nodes AS parent \
             ON parent.environment_id = child.environment_id AND parent.id = child.parent_id \
             WHERE child.environment_id = ?1 GROUP BY above, child.node_type ORDER BY above, child.node_type"
        );
        static DEEPEST: SqlText = sql!(
            "WITH RECURSIVE tree(id, depth) AS (SELECT id, 1 FROM nodes \
             WHERE environment_id = ?1 AND parent_id IS NULL UNION ALL \
             SELECT nodes.id, depth + 1 FROM tree JOIN nodes \
             ON nodes.environment_id = ?1 AND nodes.parent_id = tree.id) \
             SELECT id, depth FROM tree ORDER BY depth DESC, id LIMIT 1"
        );
        self.run(move |c| {
            let about = |sql| Statement::new(sql).bind(environment.as_bytes());
            let no_root = || StoreError::Corrupt(format!("environment {environment} has no root"));
            let root = about(&ROOT).first(c, RootRow)?;
            let (root, root_type) = root.ok_or_else(no_root)?;
            let edges = about(&EDGES).all(c, ShapeEdgeRow)?;
            let deepest = about(&DEEPEST).first(c, DepthRow)?;
            Ok(TreeShape {
                root,
                root_type,
                edges,
                deepest: deepest.ok_or_else(no_root)?,
            })
        })
        .await
    }
    async fn nodes_named(&mut self, environment: EnvironmentId, asked: &NodeNames) -> Result<NodesByName, StoreError> {
        let asked = names::Asked::new(asked);
        self.run(move |c| asked.find(c, environment)).await
    }

    async fn named_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<Vec<NamedNode>, StoreError> {
        let ids = Packed::distinct_ids(ids.iter().map(NodeId::as_bytes));
        self.run(move |c| names::of(c, environment, &ids)).await
    }
}

#[async_trait]
impl NodeWriter for UnitOfWork {
    async fn insert_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        static TAKEN: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN nodes AS n ON n.environment_id = ?3 AND given.slug = n.slug AND given.parent_id IS n.parent_id)",
            ROWS.given()
        );
        static HAS_ROOT: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN nodes AS n ON n.environment_id = ?3 AND given.parent_id IS NULL AND n.parent_id IS NULL)",
            ROWS.given()
        );
        static OPEN: SqlText = sql!("SAVEPOINT batches");
        static UNDO: SqlText = sql!("ROLLBACK TO batches");
        static CLOSE: SqlText = sql!("RELEASE batches");
        static INSERT: SqlText = sql!(
            "{} INSERT INTO nodes (environment_id, id, parent_id, node_type, name, name_folded, slug, status, \
                 metadata, version, created_at, updated_at) SELECT environment_id, id, parent_id, node_type, name, name_folded, \
                 slug, status, metadata, version, created_at, updated_at FROM given",
            ROWS.given()
        );
        let Some(environment) = one_environment(nodes.iter().map(|node| node.environment_id))? else {
            return Ok(());
        };
        let repeated = repeats_a_place(nodes);
        let batches: Vec<&[Node]> = batches(nodes, weight).collect();
        // A refused set leaves nothing behind, and the unit of work goes on.
        let are_several = batches.len() > 1;
        if are_several {
            self.run(|c| run(c, &OPEN)).await?;
        }
        for nodes in batches {
            let (count, rows) = (nodes.len(), pack(nodes));
            let stored = self.run(move |c| match rows.statement(&INSERT).attempt(c)? {
                Some(stored) => ensure(stored == count, "a node was not stored"),
                None if repeated || rows.statement(&TAKEN).bind(environment.as_bytes()).holds(c)? => {
                    Err(StoreError::Duplicate(Unique::NodeSlug))
                }
                None if rows.statement(&HAS_ROOT).bind(environment.as_bytes()).holds(c)? => {
                    Err(internal("an environment has one root"))
                }
                None => Err(StoreError::Duplicate(Unique::Id)),
            });
            if let Err(error) = stored.await {
                if are_several {
                    self.run(|c| run(c, &UNDO)).await?;
                    self.run(|c| run(c, &CLOSE)).await?;
                }
                return Err(error);
            }
        }
        if are_several {
            self.run(|c| run(c, &CLOSE)).await?;
        }
        Ok(())
    }

    async fn update_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "{} UPDATE nodes SET parent_id = given.parent_id, node_type = given.node_type, name = given.name, \
                 name_folded = given.name_folded, slug = given.slug, status = given.status, \
                 metadata = given.metadata, version = given.version, created_at = given.created_at, \
                 updated_at = given.updated_at FROM given WHERE nodes.environment_id = given.environment_id AND nodes.id = given.id",
            ROWS.given()
        );
        if one_environment(nodes.iter().map(|node| node.environment_id))?.is_none() {
            return Ok(());
        }
        for nodes in batches(nodes, weight) {
            let (count, rows) = (nodes.len(), pack(nodes));
            self.run(move |c| {
                let update = rows.statement(&UPDATE);
                let changed = update.execute_unique(c, Unique::NodeSlug)?;
                ensure(changed == count, "a changed node is not there, or given twice")
            })
            .await?;
        }
        Ok(())
    }

    async fn delete_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<(), StoreError> {
        // Foreign keys are looked at when the statement ends, so parents and children may go together.
        static DELETE: SqlText = sql!(
            "{} DELETE FROM nodes WHERE environment_id = ?3 AND id IN (SELECT id FROM given)",
            IDS.given()
        );
        if ids.is_empty() {
            return Ok(());
        }
        let ids = Packed::ids(ids.iter().map(NodeId::as_bytes));
        self.run(move |c| {
            let delete = ids.statement(&DELETE).bind(environment.as_bytes());
            delete.execute(c).map(|_| ())
        })
        .await
    }
}

/// Whether two of the nodes stand below the same node with the same slug.
fn repeats_a_place(nodes: &[Node]) -> bool {
    let places: HashSet<_> = nodes.iter().map(|node| (node.parent, &node.slug)).collect();
    places.len() < nodes.len()
}
