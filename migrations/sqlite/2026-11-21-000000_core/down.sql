DROP TABLE audit_events;
DROP TABLE change_records;
DROP TABLE assignments;
DROP TABLE nodes;
DROP TABLE role_permissions;
DROP TABLE roles;
DROP TABLE permissions;
DROP TABLE memberships;
DROP TABLE identities;
-- Applications and environments name each other.
UPDATE applications SET default_environment_id = NULL;
DROP TABLE environments;
DROP TABLE applications;
DROP TABLE accounts;
