//! External names of nodes.

use crate::statement::{Connection, Statement};
use crate::value::{column, distinct};
use canopy_domain::hierarchy::names::{NamedNode, NodeNames, NodesByName, SlugAmong};
use canopy_domain::port::StoreError;
use canopy_domain::transfer::SlugPath;
use canopy_domain::{EnvironmentId, NodeId, NodeType, Resolution};
use canopy_storage_sql::rows::hierarchy::{NamedNodeRow, PathRow};
use canopy_storage_sql::{Row as _, SqlText, sql};
use futures_util::future;
use std::collections::HashMap;

/// The nodes that have these names.
pub(super) async fn find(
    connection: Connection<'_>,
    environment: EnvironmentId,
    asked: &NodeNames,
) -> Result<NodesByName, StoreError> {
    let (paths, slugs) = future::try_join(
        paths(connection, environment, asked),
        slugs(connection, environment, asked),
    )
    .await?;
    Ok(NodesByName { paths, slugs })
}

async fn paths(
    connection: Connection<'_>,
    environment: EnvironmentId,
    asked: &NodeNames,
) -> Result<HashMap<SlugPath, NodeId>, StoreError> {
    // One step down the tree for each slug. Behind the last one there is an empty text, which no slug is. Each step seeks the
    // first child at or after the slug: one index alone has them in order, and many nodes of an environment may have the slug.
    static SELECT: SqlText = sql!(
        "WITH RECURSIVE way (path, step, id) AS ( \
             SELECT asked.path, 1, n.id FROM unnest($1) AS asked (path) CROSS JOIN LATERAL ( \
                 SELECT o.id FROM nodes AS o WHERE o.environment_id = $2 AND o.parent_id IS NULL \
                 AND (o.slug || '') = split_part(asked.path, '/', 1) OFFSET 0) AS n \
           UNION ALL \
             SELECT way.path, way.step + 1, n.id FROM way CROSS JOIN LATERAL ( \
                 SELECT o.id, o.parent_id, o.slug FROM nodes AS o WHERE o.environment_id = $2 \
                 AND (o.parent_id, o.slug) >= (way.id, split_part(way.path, '/', way.step + 1)) \
                 ORDER BY o.parent_id, o.slug LIMIT 1) AS n \
             WHERE n.parent_id = way.id AND n.slug = split_part(way.path, '/', way.step + 1)) \
         SELECT id, path FROM way WHERE split_part(path, '/', step + 1) = ''"
    );
    if asked.paths.is_empty() {
        return Ok(HashMap::new());
    }
    let paths: Vec<String> = asked.paths.iter().map(ToString::to_string).collect();
    let select = Statement::new(&SELECT).bind(paths).bind(environment.as_uuid());
    select.all(connection, PathRow).await
}

async fn slugs(
    connection: Connection<'_>,
    environment: EnvironmentId,
    asked: &NodeNames,
) -> Result<HashMap<SlugAmong, Resolution<NodeId>>, StoreError> {
    // Two are enough to tell that it is not one.
    static SELECT: SqlText = sql!(
        "SELECT n.id, asked.number \
         FROM unnest($1, $2) WITH ORDINALITY AS asked (node_type, slug, number) \
         CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o WHERE o.environment_id = $3 AND o.slug = asked.slug \
             AND o.node_type = asked.node_type LIMIT 2) AS n \
         UNION ALL \
         SELECT n.id, asked.number \
         FROM unnest($1, $2) WITH ORDINALITY AS asked (node_type, slug, number) \
         CROSS JOIN LATERAL (SELECT o.id FROM nodes AS o WHERE o.environment_id = $3 AND o.slug = asked.slug \
             LIMIT 2) AS n WHERE asked.node_type IS NULL"
    );
    if asked.slugs.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<&SlugAmong> = asked.slugs.iter().collect();
    let types: Vec<Option<&str>> = column(&names, |(node_type, _)| node_type.as_ref().map(NodeType::as_str));
    let select = Statement::new(&SELECT)
        .bind(types)
        .bind(column(&names, |(_, slug)| slug.as_str()))
        .bind(environment.as_uuid());
    let mut found: HashMap<usize, Vec<NodeId>> = HashMap::new();
    select
        .for_each(connection, "nodes", |row| {
            found.entry(row.count(1)?).or_default().push(row.id(0)?);
            Ok(())
        })
        .await?;
    let meanings = names.into_iter().zip(1..).filter_map(|(name, number)| {
        let nodes = found.remove(&number)?;
        Some((name.clone(), Resolution::of(nodes)))
    });
    Ok(meanings.collect())
}

/// The names of the nodes with these ids.
pub(super) async fn of(
    connection: Connection<'_>,
    environment: EnvironmentId,
    ids: &[NodeId],
) -> Result<Vec<NamedNode>, StoreError> {
    static SELECT: SqlText = sql!(
        "WITH RECURSIVE way (start, above, path, step) AS ( \
             SELECT n.id, n.parent_id, n.slug, 1 FROM unnest($1) AS asked (id) CROSS JOIN LATERAL ( \
                 SELECT o.id, o.parent_id, o.slug FROM nodes AS o \
                 WHERE o.environment_id = $2 AND o.id = asked.id OFFSET 0) AS n \
           UNION ALL \
             SELECT way.start, n.parent_id, n.slug || '/' || way.path, way.step + 1 FROM way CROSS JOIN LATERAL ( \
                 SELECT o.parent_id, o.slug FROM nodes AS o \
                 WHERE o.environment_id = $2 AND o.id = way.above OFFSET 0) AS n WHERE way.step < 1000) \
         SELECT n.id, n.node_type, way.path, \
             NOT EXISTS (SELECT FROM nodes AS o WHERE o.environment_id = $2 AND o.slug = n.slug \
                 AND o.node_type = n.node_type AND o.id <> n.id), \
             NOT EXISTS (SELECT FROM nodes AS o WHERE o.environment_id = $2 AND o.slug = n.slug AND o.id <> n.id) \
         FROM way CROSS JOIN LATERAL (SELECT o.id, o.node_type, o.slug FROM nodes AS o \
             WHERE o.environment_id = $2 AND o.id = way.start OFFSET 0) AS n \
         WHERE way.above IS NULL ORDER BY n.id"
    );
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let select = Statement::new(&SELECT)
        .bind(distinct(ids.iter().map(NodeId::as_uuid)))
        .bind(environment.as_uuid());
    select.all(connection, NamedNodeRow).await
}
