-- A node may be called by its slug where that is unique for its type: both are looked up together.
CREATE INDEX nodes_by_slug ON nodes (slug, environment_id, node_type);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('nodes', 'nodes_by_slug', '100000 10 10 5');
ANALYZE sqlite_schema;
