-- All indexes on the data of environments begin with the environment. Where statistics say that a second column has few
-- values, PostgreSQL takes any of them and filters, also for the checks of foreign keys, whose text is its own. So these
-- columns are said to have many values, whatever is found by ANALYZE.
ALTER TABLE assignments
    ALTER COLUMN identity_id SET (n_distinct = -0.1),
    ALTER COLUMN role_id SET (n_distinct = -0.1),
    ALTER COLUMN node_id SET (n_distinct = -0.1);
ALTER TABLE nodes
    ALTER COLUMN parent_id SET (n_distinct = -0.1),
    ALTER COLUMN slug SET (n_distinct = -0.1);
ALTER TABLE role_permissions
    ALTER COLUMN role_id SET (n_distinct = -0.1),
    ALTER COLUMN permission_id SET (n_distinct = -0.1);
ALTER TABLE memberships
    ALTER COLUMN application_id SET (n_distinct = -0.1),
    ALTER COLUMN identity_id SET (n_distinct = -0.1);
