//! External names of nodes.

use crate::packed::{Cell, IDS, Layout, Packed};
use canopy_domain::hierarchy::names::{NamedNode, NodeNames, NodesByName, SlugAmong};
use canopy_domain::port::StoreError;
use canopy_domain::transfer::SlugPath;
use canopy_domain::{EnvironmentId, HierarchySchema, NodeId, NodeType, Resolution, Slug};
use canopy_storage_sql::rows::hierarchy::{NamedNodeRow, PathRow};
use canopy_storage_sql::{Row as _, SqlText, sql};
use diesel::SqliteConnection;
use std::collections::HashMap;

const PATHS: Layout = Layout(&[("path", Cell::Text)]);
const SLUGS: Layout = Layout(&[("node_type", Cell::Text), ("slug", Cell::Text)]);

/// Names, packed for the thread that looks them up.
pub(super) struct Asked {
    paths: Packed,
    slugs: Packed,
}

impl Asked {
    pub(super) fn new(names: &NodeNames) -> Self {
        let paths: Vec<String> = names.paths.iter().map(ToString::to_string).collect();
        let slugs: Vec<_> = names.slugs.iter().collect();
        Self {
            paths: Packed::new(PATHS, &paths, |row, path| row.text(path)),
            slugs: Packed::new(SLUGS, &slugs, |row, (node_type, slug)| {
                row.optional_text(node_type.as_ref().map(NodeType::as_str));
                row.text(slug.as_str());
            }),
        }
    }

    pub(super) fn find(&self, c: &mut SqliteConnection, environment: EnvironmentId) -> Result<NodesByName, StoreError> {
        Ok(NodesByName {
            paths: self.paths(c, environment)?,
            slugs: self.slugs(c, environment)?,
        })
    }

    fn paths(
        &self,
        c: &mut SqliteConnection,
        environment: EnvironmentId,
    ) -> Result<HashMap<SlugPath, NodeId>, StoreError> {
        // One step down the tree for each slug; what is left of a path ends with `/` until nothing is.
        static SELECT: SqlText = sql!(
            "{}, way(path, rest, id) AS ( \
                 SELECT path, substr(path || '/', instr(path || '/', '/') + 1), n.id FROM given CROSS JOIN nodes AS n \
                 ON n.environment_id = ?3 AND n.parent_id IS NULL \
                 AND n.slug = substr(path || '/', 1, instr(path || '/', '/') - 1) \
                 UNION ALL SELECT path, substr(rest, instr(rest, '/') + 1), n.id FROM way CROSS JOIN nodes AS n \
                 ON n.environment_id = ?3 AND n.parent_id = way.id \
                 AND n.slug = substr(rest, 1, instr(rest, '/') - 1)) \
                 SELECT id, path FROM way WHERE rest = ''",
            PATHS.given()
        );
        let statement = self.paths.statement(&SELECT).bind(environment.as_bytes());
        statement.all(c, PathRow)
    }

    fn slugs(
        &self,
        c: &mut SqliteConnection,
        environment: EnvironmentId,
    ) -> Result<HashMap<SlugAmong, Resolution<NodeId>>, StoreError> {
        // Two are enough to tell that it is not one.
        static SELECT: SqlText = sql!("{}", slugs_text());
        let statement = self.slugs.statement(&SELECT).bind(environment.as_bytes());
        let mut found = HashMap::new();
        statement.for_each(c, "nodes", |row| {
            let nodes = [row.optional_id(0)?, row.optional_id(1)?];
            let meaning = Resolution::of(nodes.into_iter().flatten());
            if meaning != Resolution::NotFound {
                let name = (row.optional_text(2, NodeType::parse)?, row.text(3, Slug::parse)?);
                found.insert(name, meaning);
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// The names of the nodes with these ids.
pub(super) fn of(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    ids: &Packed,
) -> Result<Vec<NamedNode>, StoreError> {
    static SELECT: SqlText = sql!("{}", names_text());
    let statement = ids.statement(&SELECT).bind(environment.as_bytes());
    statement.all(c, NamedNodeRow)
}

/// The statement that looks slugs up, each among the nodes of one type or of any: the first two that have it.
fn slugs_text() -> String {
    let nth = |nth: u8| {
        let select = |also: &str| {
            format!(
                "(SELECT n.id FROM nodes AS n WHERE n.environment_id = ?3 AND n.slug = given.slug {also} \
                 LIMIT 1 OFFSET {nth})"
            )
        };
        let (any, of_type) = (select(""), select("AND n.node_type = given.node_type"));
        format!("CASE WHEN node_type IS NULL THEN {any} ELSE {of_type} END")
    };
    format!(
        "{} SELECT {} AS id, {}, node_type, slug FROM given",
        SLUGS.given(),
        nth(0),
        nth(1)
    )
}

/// The statement that finds the path of each node, and whether its slug is the only one.
fn names_text() -> String {
    let is_only = |also: &str| {
        format!(
            "NOT EXISTS (SELECT 1 FROM nodes AS o WHERE o.environment_id = ?3 AND o.slug = n.slug {also} \
             AND o.id <> n.id)"
        )
    };
    format!(
        "{}, way(start, above, path, step) AS ( \
         SELECT n.id, n.parent_id, n.slug, 1 FROM given CROSS JOIN nodes AS n \
         ON n.environment_id = ?3 AND n.id = given.id \
         UNION ALL SELECT start, n.parent_id, n.slug || '/' || path, step + 1 FROM way CROSS JOIN nodes AS n \
         ON n.environment_id = ?3 AND n.id = way.above WHERE step < {}) \
         SELECT n.id, n.node_type, path, {}, {} FROM way CROSS JOIN nodes AS n \
         ON n.environment_id = ?3 AND n.id = way.start WHERE way.above IS NULL ORDER BY n.id",
        IDS.given(),
        HierarchySchema::MAX_DEPTH,
        is_only("AND o.node_type = n.node_type"),
        is_only("")
    )
}
