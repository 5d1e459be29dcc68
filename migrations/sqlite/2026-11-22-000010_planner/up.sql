-- What the planner knows of the tables that keys of several columns lead into: that the environment (or account) picks
-- nearly all rows, and only what stands behind it picks few. Without it, a question for the nodes below a node, and the look
-- for what hangs on a row that is deleted, would go through the whole environment. The numbers are those of a large
-- installation; they are not meant to follow the real ones. (`ANALYZE
-- sqlite_schema` counts nothing: it makes the tables of statistics, and reads them.)
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('identities', 'identities', '100000 100000 1'),
    ('identities', 'sqlite_autoindex_identities_2', '100000 100000 1'),
    ('identities', 'sqlite_autoindex_identities_3', '100000 100000 1'),
    ('identities', 'identities_by_name', '100000 100000 2 1'),
    ('identities', 'identities_by_creation', '100000 100000 10 1'),
    ('memberships', 'memberships', '100000 50000 1'),
    ('memberships', 'memberships_by_identity', '100000 2'),
    ('permissions', 'permissions', '200 200 1'),
    ('permissions', 'sqlite_autoindex_permissions_2', '200 200 1'),
    ('roles', 'roles', '100 100 1'),
    ('roles', 'sqlite_autoindex_roles_2', '100 100 1'),
    ('role_permissions', 'role_permissions', '2000 2000 20 1'),
    ('role_permissions', 'role_permissions_by_permission', '2000 2000 10'),
    ('nodes', 'nodes', '100000 100000 1'),
    ('nodes', 'sqlite_autoindex_nodes_2', '100000 100000 10 1'),
    ('assignments', 'assignments', '1000000 1000000 1'),
    ('assignments', 'sqlite_autoindex_assignments_2', '1000000 1000000 10 3 1'),
    ('assignments', 'assignments_by_role', '1000000 1000000 10000'),
    ('assignments', 'assignments_by_node', '1000000 1000000 100');
ANALYZE sqlite_schema;
