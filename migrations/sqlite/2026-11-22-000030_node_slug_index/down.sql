DROP INDEX nodes_by_slug;
DELETE FROM sqlite_stat1 WHERE idx = 'nodes_by_slug';
ANALYZE sqlite_schema;
