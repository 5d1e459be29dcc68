-- What lists of 1,000,000 assignments need: one text to search people in, indexes that have every column which filters and
-- orders look at, and a kept number of assignments.

-- Name, email and external id, folded by the domain and joined by line breaks. External ids that are here already are
-- folded as far as PostgreSQL can; each is folded in full when its identity is written next.
ALTER TABLE identities ADD COLUMN searched text COLLATE "C" NOT NULL DEFAULT '';
UPDATE identities SET searched = name_folded || chr(10) || email || coalesce(chr(10) || lower(external_id), '');

-- Written with each commit, in place: the column is in no index.
ALTER TABLE environments ADD COLUMN assignment_count bigint NOT NULL DEFAULT 0
    CONSTRAINT environments_assignment_count CHECK (assignment_count >= 0);
UPDATE environments SET assignment_count =
    (SELECT count(*) FROM assignments WHERE assignments.environment_id = environments.id);

-- In the order of a page by role or by creation, with the columns of all filters. The index of keys is made last, again: of
-- indexes that look equally good the planner takes the newest.
DROP INDEX assignments_by_role;
CREATE INDEX assignments_by_creation ON assignments (environment_id, created_at, id)
    INCLUDE (effective_from, effective_to, identity_id, role_id, node_id);
CREATE INDEX assignments_by_role ON assignments (environment_id, role_id, id)
    INCLUDE (effective_from, effective_to, identity_id, node_id);
DROP INDEX assignments_by_node;
CREATE INDEX assignments_by_node ON assignments (environment_id, node_id, id);
ALTER TABLE assignments DROP CONSTRAINT assignments_key;
ALTER TABLE assignments ADD CONSTRAINT assignments_key
    UNIQUE (environment_id, identity_id, role_id, node_id) INCLUDE (id, effective_from, effective_to)
    DEFERRABLE INITIALLY IMMEDIATE;
