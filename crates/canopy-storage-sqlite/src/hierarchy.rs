//! The tree of nodes.

use crate::error::{ensure, internal};
use crate::packed::{Cell, IDS, Layout, Packed, batches};
use crate::role::one_environment;
use crate::statement::{Row, Statement};
use crate::unit_of_work::UnitOfWork;
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
use diesel::SqliteConnection;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

mod names;

const COLUMNS: &str = "n.id, n.environment_id, n.parent_id, n.node_type, n.name, n.slug, n.status, n.metadata, n.version, \
                       n.created_at, n.updated_at";

/// The rows of nodes that a condition picks.
fn select(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM nodes AS n WHERE n.environment_id = ?1 AND {condition}")
}

/// The beginning of a statement: the ids of node `?2` and of all that stands below it, in `tree`. Each once, so that a circle,
/// which only damage can make, ends too.
const TREE: &str = "WITH RECURSIVE tree(id) AS (SELECT id FROM nodes WHERE environment_id = ?1 AND id = ?2 UNION \
                    SELECT nodes.id FROM tree JOIN nodes ON nodes.environment_id = ?1 AND nodes.parent_id = tree.id)";

fn node(row: &Row<'_, '_>) -> Result<Node, StoreError> {
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

/// The JSON text of a schema.
pub(crate) fn schema_text(schema: &HierarchySchema) -> Result<String, StoreError> {
    let allowed: serde_json::Map<String, Json> = schema
        .allowed_children()
        .iter()
        .map(|(parent, children)| {
            let children: Vec<&str> = children.iter().map(NodeType::as_str).collect();
            (parent.as_str().to_owned(), children.into())
        })
        .collect();
    let types: Vec<&str> = schema.node_types().iter().map(NodeType::as_str).collect();
    let json = serde_json::json!({
        "node_types": types,
        "allowed_children": allowed,
        "max_depth": schema.max_depth(),
        "root_node_type": schema.root_node_type().as_str(),
    });
    serde_json::to_string(&json).map_err(|error| StoreError::Internal(Box::new(error)))
}

/// Reads the JSON text of a schema; `None` when it is not one.
fn schema_of(text: &str) -> Option<HierarchySchema> {
    let json: Json = serde_json::from_str(text).ok()?;
    let one = |json: &Json| NodeType::parse(json.as_str()?).ok();
    let types = json
        .get("node_types")?
        .as_array()?
        .iter()
        .map(one)
        .collect::<Option<Vec<_>>>()?;
    let allowed = json
        .get("allowed_children")?
        .as_object()?
        .iter()
        .map(|(parent, children)| {
            let children = children.as_array()?.iter().map(one).collect::<Option<BTreeSet<_>>>()?;
            Some((NodeType::parse(parent).ok()?, children))
        });
    let allowed = allowed.collect::<Option<BTreeMap<_, _>>>()?;
    let max_depth = u8::try_from(json.get("max_depth")?.as_u64()?).ok()?;
    HierarchySchema::new(types, allowed, max_depth, one(json.get("root_node_type")?)?).ok()
}

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

fn run(c: &mut SqliteConnection, sql: &str) -> Result<(), StoreError> {
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
    static SELECT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}, way(start, id, depth) AS (SELECT id, id, 0 FROM given UNION ALL \
             SELECT start, parent_id, depth + 1 FROM way JOIN nodes \
             ON nodes.environment_id = ?3 AND nodes.id = way.id WHERE depth <= ?4), \
             depths(id, depth) AS (SELECT start, max(depth) FROM way WHERE id IS NULL GROUP BY start) \
             SELECT n.id, n.node_type, depths.depth FROM depths CROSS JOIN nodes AS n \
             ON n.environment_id = ?3 AND n.id = depths.id",
            IDS.given()
        )
    });
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = Packed::distinct_ids(asked.iter().map(NodeId::as_bytes));
    asked
        .statement(&SELECT)
        .bind(environment.as_bytes())
        .bind(u32::from(HierarchySchema::MAX_DEPTH))
        .all(c, "nodes", |row| {
            let fact = ParentFact {
                node_type: row.text(1, NodeType::parse)?,
                depth: row.depth(2)?,
            };
            Ok((row.id(0)?, fact))
        })
}

impl Row<'_, '_> {
    fn depth(&self, column: usize) -> Result<usize, StoreError> {
        let depth: u32 = self.count(column)?;
        usize::try_from(depth).map_err(|_| self.corrupt(column))
    }
}

/// The slugs below each node that equal the slug it comes with or begin with it and a `-`.
fn taken(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    places: &[(NodeId, Slug)],
) -> Result<HashSet<(NodeId, Slug)>, StoreError> {
    // `.` is the character after `-`, so what begins with a slug and `-` is one range of the index.
    static SELECT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}, found(parent_id, slug) AS ( \
             SELECT n.parent_id, n.slug FROM given CROSS JOIN nodes AS n \
             ON n.environment_id = ?3 AND n.parent_id = given.parent_id AND n.slug = given.slug UNION ALL \
             SELECT n.parent_id, n.slug FROM given CROSS JOIN nodes AS n \
             ON n.environment_id = ?3 AND n.parent_id = given.parent_id \
             AND n.slug > given.slug || '-' AND n.slug < given.slug || '.') SELECT parent_id, slug FROM found",
            PLACES.given()
        )
    });
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
    statement.all(c, "nodes", |row| Ok((row.id(0)?, row.text(1, Slug::parse)?)))
}

/// Puts each node before those below it, siblings in the order in which they come; those below `above` come first.
fn depth_first(nodes: Vec<Node>, above: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
    let count = nodes.len();
    let mut below: HashMap<Option<NodeId>, Vec<Node>> = HashMap::new();
    for node in nodes.into_iter().rev() {
        below.entry(node.parent).or_default().push(node);
    }
    let mut waiting = below.remove(&above).unwrap_or_default();
    let mut ordered = Vec::with_capacity(count);
    while let Some(node) = waiting.pop() {
        waiting.extend(below.remove(&Some(node.id)).unwrap_or_default());
        ordered.push(node);
    }
    if ordered.len() == count {
        Ok(ordered)
    } else {
        Err(StoreError::Corrupt(
            "nodes that no way leads to from the root".to_owned(),
        ))
    }
}

/// A statement about one node: its first two parameters are given here.
fn about<'a>(sql: &'a str, environment: &'a EnvironmentId, id: &'a NodeId) -> Statement<'a> {
    Statement::new(sql).bind(environment.as_bytes()).bind(id.as_bytes())
}

#[async_trait]
impl NodeReader for UnitOfWork {
    async fn hierarchy(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Option<(AccessModel, HierarchySchema)>, StoreError> {
        const SELECT: &str = "SELECT id, access_model, hierarchy_schema FROM environments WHERE id = ?1";
        self.run(move |c| {
            Statement::new(SELECT)
                .bind(environment.as_bytes())
                .first(c, "environments", |row| {
                    Ok((row.word(1, AccessModel::parse)?, row.word(2, schema_of)?))
                })
        })
        .await
    }

    async fn root_node(&mut self, environment: EnvironmentId) -> Result<Option<Node>, StoreError> {
        self.run(move |c| {
            Statement::new(&select("n.parent_id IS NULL"))
                .bind(environment.as_bytes())
                .first(c, "nodes", node)
        })
        .await
    }

    async fn node(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Option<Node>, StoreError> {
        self.run(move |c| about(&select("n.id = ?2"), &environment, &id).first(c, "nodes", node))
            .await
    }

    async fn environments_with_node(
        &mut self,
        environments: &[EnvironmentId],
        id: NodeId,
    ) -> Result<Vec<EnvironmentId>, StoreError> {
        static SELECT: LazyLock<String> = LazyLock::new(|| {
            format!(
                "{} SELECT given.id FROM given CROSS JOIN nodes AS n ON n.environment_id = given.id AND n.id = ?3",
                IDS.given()
            )
        });
        if environments.is_empty() {
            return Ok(vec![]);
        }
        // The ids go in sorted, so they come out sorted.
        let environments = Packed::distinct_ids(environments.iter().map(EnvironmentId::as_bytes));
        self.run(move |c| {
            let statement = environments.statement(&SELECT).bind(id.as_bytes());
            statement.all::<EnvironmentId, _>(c, "nodes", |row| row.id(0))
        })
        .await
    }

    async fn nodes(&mut self, environment: EnvironmentId) -> Result<Vec<Node>, StoreError> {
        self.run(move |c| {
            let sql = select("true ORDER BY n.slug");
            let nodes = Statement::new(&sql)
                .bind(environment.as_bytes())
                .all(c, "nodes", node)?;
            depth_first(nodes, None)
        })
        .await
    }

    async fn node_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        // `octet_length` of a text is known without its pages. An export leaves empty metadata out.
        const SELECT: &str = "SELECT coalesce(sum(octet_length(name) + octet_length(slug) + \
             CASE octet_length(metadata) WHEN 2 THEN 0 ELSE octet_length(metadata) END), 0) FROM nodes WHERE environment_id = ?1";
        self.run(move |c| {
            let statement = Statement::new(SELECT).bind(environment.as_bytes());
            Ok(statement.first(c, "nodes", |row| row.count(0))?.unwrap_or(0))
        })
        .await
    }

    async fn children(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        self.run(move |c| about(&select("n.parent_id = ?2 ORDER BY n.slug"), &environment, &id).all(c, "nodes", node))
            .await
    }

    async fn ancestors(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        let sql = format!(
            "WITH RECURSIVE way(id, step) AS (SELECT parent_id, 1 FROM nodes WHERE environment_id = ?1 AND id = ?2 UNION ALL \
             SELECT nodes.parent_id, step + 1 FROM way JOIN nodes ON nodes.environment_id = ?1 AND nodes.id = way.id \
             WHERE step < {}) \
             SELECT {COLUMNS} FROM way CROSS JOIN nodes AS n ON n.environment_id = ?1 AND n.id = way.id ORDER BY step DESC",
            HierarchySchema::MAX_DEPTH
        );
        self.run(move |c| about(&sql, &environment, &id).all(c, "nodes", node))
            .await
    }

    async fn subtree(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError> {
        let sql = format!(
            "{TREE} {}",
            select("n.id IN (SELECT tree.id FROM tree) ORDER BY n.slug")
        );
        self.run(move |c| {
            let nodes: Vec<Node> = about(&sql, &environment, &id).all(c, "nodes", node)?;
            let above = nodes.iter().find(|node| node.id == id).and_then(|node| node.parent);
            depth_first(nodes, above)
        })
        .await
    }

    async fn bare_nodes(&mut self, environment: EnvironmentId, top: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
        let bare = |condition| select(condition).replace("n.metadata", "'{}'");
        let sql = match top {
            None => bare("true ORDER BY n.slug"),
            Some(_) => format!("{TREE} {}", bare("n.id IN (SELECT tree.id FROM tree) ORDER BY n.slug")),
        };
        self.run(move |c| {
            let statement = match &top {
                None => Statement::new(&sql).bind(environment.as_bytes()),
                Some(top) => about(&sql, &environment, top),
            };
            let nodes: Vec<Node> = statement.all(c, "nodes", node)?;
            let top = nodes.iter().find(|node| Some(node.id) == top);
            let above = top.and_then(|node| node.parent);
            depth_first(nodes, above)
        })
        .await
    }

    async fn children_size(&mut self, environment: EnvironmentId, id: NodeId) -> Result<(u64, u64), StoreError> {
        const SELECT: &str = "SELECT ?2, count(*), coalesce(sum(octet_length(metadata)), 0) FROM nodes \
                              WHERE environment_id = ?1 AND parent_id = ?2";
        self.run(move |c| {
            let size = about(SELECT, &environment, &id).first(c, "nodes", |row| Ok((row.count(1)?, row.count(2)?)))?;
            Ok(size.unwrap_or_default())
        })
        .await
    }

    async fn subtree_height(&mut self, environment: EnvironmentId, id: NodeId) -> Result<usize, StoreError> {
        let sql = format!(
            "WITH RECURSIVE tree(id, level) AS (SELECT id, 1 FROM nodes WHERE environment_id = ?1 AND id = ?2 UNION ALL \
             SELECT nodes.id, level + 1 FROM tree JOIN nodes ON nodes.environment_id = ?1 AND nodes.parent_id = tree.id \
             WHERE level < {}) SELECT ?2, coalesce(max(level), 0) FROM tree",
            HierarchySchema::MAX_DEPTH
        );
        self.run(move |c| {
            let height = about(&sql, &environment, &id).first(c, "nodes", |row| row.depth(1))?;
            Ok(height.unwrap_or_default())
        })
        .await
    }

    async fn node_uses(&mut self, environment: EnvironmentId, id: NodeId) -> Result<NodeUses, StoreError> {
        const SELECT: &str = "SELECT ?2, (SELECT count(*) FROM nodes WHERE environment_id = ?1 AND parent_id = ?2), \
                              (SELECT count(*) FROM assignments WHERE environment_id = ?1 AND node_id = ?2)";
        self.run(move |c| {
            let uses = about(SELECT, &environment, &id).first(c, "nodes", |row| {
                Ok(NodeUses {
                    children: row.count(1)?,
                    assignments: row.count(2)?,
                })
            })?;
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
        const ROOT: &str = "SELECT id, node_type FROM nodes WHERE environment_id = ?1 AND parent_id IS NULL";
        // For the root's children the type above is NULL, whatever it is: the root may be retyped.
        const EDGES: &str = "SELECT min(child.id), child.node_type, \
             CASE WHEN parent.parent_id IS NULL THEN NULL ELSE parent.node_type END AS above \
             FROM nodes AS child JOIN nodes AS parent \
             ON parent.environment_id = child.environment_id AND parent.id = child.parent_id \
             WHERE child.environment_id = ?1 GROUP BY above, child.node_type ORDER BY above, child.node_type";
        const DEEPEST: &str = "WITH RECURSIVE tree(id, depth) AS (SELECT id, 1 FROM nodes \
             WHERE environment_id = ?1 AND parent_id IS NULL UNION ALL \
             SELECT nodes.id, depth + 1 FROM tree JOIN nodes \
             ON nodes.environment_id = ?1 AND nodes.parent_id = tree.id) \
             SELECT id, depth FROM tree ORDER BY depth DESC, id LIMIT 1";
        self.run(move |c| {
            let about = |sql| Statement::new(sql).bind(environment.as_bytes());
            let no_root = || StoreError::Corrupt(format!("environment {environment} has no root"));
            let root = about(ROOT).first(c, "nodes", |row| Ok((row.id(0)?, row.text(1, NodeType::parse)?)))?;
            let (root, root_type) = root.ok_or_else(no_root)?;
            let edges = about(EDGES).all(c, "nodes", |row| {
                Ok(ShapeEdge {
                    parent: row.optional_text(2, NodeType::parse)?,
                    child: row.text(1, NodeType::parse)?,
                    example: row.id(0)?,
                })
            })?;
            let deepest = about(DEEPEST).first(c, "nodes", |row| Ok((row.depth(1)?, row.id(0)?)))?;
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
        static INSERT: LazyLock<String> = LazyLock::new(|| {
            format!(
                "{} INSERT INTO nodes (environment_id, id, parent_id, node_type, name, name_folded, slug, status, \
                 metadata, version, created_at, updated_at) SELECT environment_id, id, parent_id, node_type, name, name_folded, \
                 slug, status, metadata, version, created_at, updated_at FROM given",
                ROWS.given()
            )
        });
        let Some(environment) = one_environment(nodes.iter().map(|node| node.environment_id))? else {
            return Ok(());
        };
        let repeated = repeats_a_place(nodes);
        let batches: Vec<&[Node]> = batches(nodes, weight).collect();
        // A refused set leaves nothing behind, and the unit of work goes on.
        let are_several = batches.len() > 1;
        if are_several {
            self.run(|c| run(c, "SAVEPOINT batches")).await?;
        }
        for nodes in batches {
            let (count, rows) = (nodes.len(), pack(nodes));
            let stored = self.run(move |c| match rows.statement(&INSERT).attempt(c)? {
                Some(stored) => ensure(stored == count, "a node was not stored"),
                None if repeated
                    || holds(
                        c,
                        &rows,
                        environment,
                        "given.slug = n.slug AND given.parent_id IS n.parent_id",
                    )? =>
                {
                    Err(StoreError::Duplicate(Unique::NodeSlug))
                }
                None if holds(c, &rows, environment, "given.parent_id IS NULL AND n.parent_id IS NULL")? => {
                    Err(internal("an environment has one root"))
                }
                None => Err(StoreError::Duplicate(Unique::Id)),
            });
            if let Err(error) = stored.await {
                if are_several {
                    self.run(|c| run(c, "ROLLBACK TO batches")).await?;
                    self.run(|c| run(c, "RELEASE batches")).await?;
                }
                return Err(error);
            }
        }
        if are_several {
            self.run(|c| run(c, "RELEASE batches")).await?;
        }
        Ok(())
    }

    async fn update_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError> {
        static UPDATE: LazyLock<String> = LazyLock::new(|| {
            format!(
                "{} UPDATE nodes SET parent_id = given.parent_id, node_type = given.node_type, name = given.name, \
                 name_folded = given.name_folded, slug = given.slug, status = given.status, \
                 metadata = given.metadata, version = given.version, created_at = given.created_at, \
                 updated_at = given.updated_at FROM given WHERE nodes.environment_id = given.environment_id AND nodes.id = given.id",
                ROWS.given()
            )
        });
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
        static DELETE: LazyLock<String> = LazyLock::new(|| {
            format!(
                "{} DELETE FROM nodes WHERE environment_id = ?3 AND id IN (SELECT id FROM given)",
                IDS.given()
            )
        });
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

/// Whether one of the given nodes stands in this relation to one that is stored.
fn holds(
    c: &mut SqliteConnection,
    rows: &Packed,
    environment: EnvironmentId,
    relation: &str,
) -> Result<bool, StoreError> {
    let given = ROWS.given();
    let sql = format!(
        "{given} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN nodes AS n ON n.environment_id = ?3 AND {relation})"
    );
    rows.statement(&sql).bind(environment.as_bytes()).holds(c)
}
