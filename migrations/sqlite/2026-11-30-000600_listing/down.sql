ALTER TABLE identities DROP COLUMN searched;
ALTER TABLE environments DROP COLUMN assignment_count;
CREATE TABLE old_assignments (
    environment_id BLOB    NOT NULL,
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    identity_id    BLOB    NOT NULL,
    role_id        BLOB    NOT NULL,
    node_id        BLOB    NOT NULL,
    effective_from INTEGER NOT NULL,
    effective_to   INTEGER CHECK (effective_to > effective_from),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, identity_id, role_id, node_id),
    FOREIGN KEY (environment_id, role_id) REFERENCES roles (environment_id, id),
    FOREIGN KEY (environment_id, node_id) REFERENCES nodes (environment_id, id)
) STRICT, WITHOUT ROWID;
INSERT INTO old_assignments SELECT environment_id, id, identity_id, role_id, node_id, effective_from, effective_to,
    created_at, updated_at FROM assignments;
DROP TABLE assignments;
ALTER TABLE old_assignments RENAME TO assignments;
CREATE INDEX assignments_by_role ON assignments (environment_id, role_id);
CREATE INDEX assignments_by_node ON assignments (environment_id, node_id);
DELETE FROM sqlite_stat1 WHERE tbl IN ('assignments', 'old_assignments');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('assignments', 'assignments', '1000000 1000000 1'),
    ('assignments', 'sqlite_autoindex_assignments_2', '1000000 1000000 10 3 1'),
    ('assignments', 'assignments_by_role', '1000000 1000000 10000'),
    ('assignments', 'assignments_by_node', '1000000 1000000 100');
ANALYZE sqlite_schema;
