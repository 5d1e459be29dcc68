ALTER TABLE memberships ALTER COLUMN application_id RESET (n_distinct), ALTER COLUMN identity_id RESET (n_distinct);
ALTER TABLE role_permissions ALTER COLUMN role_id RESET (n_distinct), ALTER COLUMN permission_id RESET (n_distinct);
ALTER TABLE nodes ALTER COLUMN parent_id RESET (n_distinct), ALTER COLUMN slug RESET (n_distinct);
ALTER TABLE assignments
    ALTER COLUMN identity_id RESET (n_distinct),
    ALTER COLUMN role_id RESET (n_distinct),
    ALTER COLUMN node_id RESET (n_distinct);
