-- What lists of 1,000,000 assignments need: one text to search people in, indexes that have every column which filters and
-- orders look at, and a kept number of assignments.

-- Name, email and external id, folded by the domain and joined by line breaks. External ids that are here already are
-- folded as far as SQLite can; each is folded in full when its identity is written next.
ALTER TABLE identities ADD COLUMN searched TEXT NOT NULL DEFAULT '';
UPDATE identities SET searched = name_folded || char(10) || email || coalesce(char(10) || lower(external_id), '');

ALTER TABLE environments ADD COLUMN assignment_count INTEGER NOT NULL DEFAULT 0 CHECK (assignment_count >= 0);
UPDATE environments SET assignment_count =
    (SELECT count(*) FROM assignments WHERE assignments.environment_id = environments.id);

-- The table anew, because the index of a UNIQUE constraint is never read alone, without the row, and cannot be replaced.
CREATE TABLE new_assignments (
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
    FOREIGN KEY (environment_id, role_id) REFERENCES roles (environment_id, id),
    FOREIGN KEY (environment_id, node_id) REFERENCES nodes (environment_id, id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_assignments SELECT environment_id, id, identity_id, role_id, node_id, effective_from, effective_to,
    created_at, updated_at FROM assignments ORDER BY environment_id, id;
DROP TABLE assignments;
ALTER TABLE new_assignments RENAME TO assignments;
CREATE UNIQUE INDEX assignments_key ON assignments (environment_id, identity_id, role_id, node_id);
CREATE INDEX assignments_by_node ON assignments (environment_id, node_id);
-- In the order of a page by role or by creation, with the columns of all filters.
CREATE INDEX assignments_by_role ON assignments
    (environment_id, role_id, id, effective_from, effective_to, identity_id, node_id);
CREATE INDEX assignments_by_creation ON assignments
    (environment_id, created_at, id, effective_from, effective_to, identity_id, role_id, node_id);

DELETE FROM sqlite_stat1 WHERE tbl IN ('assignments', 'new_assignments');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('assignments', 'assignments', '1000000 1000000 1'),
    ('assignments', 'assignments_key', '1000000 1000000 10 3 1'),
    ('assignments', 'assignments_by_role', '1000000 1000000 10000 1 1 1 1 1'),
    ('assignments', 'assignments_by_node', '1000000 1000000 100'),
    ('assignments', 'assignments_by_creation', '1000000 1000000 1000 1 1 1 1 1 1');
ANALYZE sqlite_schema;
