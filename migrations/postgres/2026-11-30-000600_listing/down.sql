ALTER TABLE identities DROP COLUMN searched;
ALTER TABLE environments DROP COLUMN assignment_count;
DROP INDEX assignments_by_creation;
DROP INDEX assignments_by_role;
CREATE INDEX assignments_by_role ON assignments (environment_id, role_id);
DROP INDEX assignments_by_node;
CREATE INDEX assignments_by_node ON assignments (environment_id, node_id);
ALTER TABLE assignments DROP CONSTRAINT assignments_key;
ALTER TABLE assignments ADD CONSTRAINT assignments_key
    UNIQUE (environment_id, identity_id, role_id, node_id) DEFERRABLE INITIALLY IMMEDIATE;
