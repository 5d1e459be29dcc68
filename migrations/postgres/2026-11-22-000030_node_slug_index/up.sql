-- A node may be called by its slug where that is unique for its type: both are looked up together.
-- The slug leads: an index that led with the environment would be mistaken for the primary key by the plans of foreign keys
-- that are made while the table is empty.
CREATE INDEX nodes_by_slug ON nodes (slug, environment_id, node_type);
