DROP INDEX audit_events_by_environment;
DROP INDEX audit_events_by_id;
ALTER TABLE audit_events DROP COLUMN searched;
