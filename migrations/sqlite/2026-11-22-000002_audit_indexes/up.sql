-- What searches look into: action, actor and thing as people know them, with their case folded.
ALTER TABLE audit_events ADD COLUMN searched TEXT NOT NULL DEFAULT '';

UPDATE audit_events SET searched = lower(action || char(10) || actor_label || char(10) || resource_label);

-- One event by its id. New ids sort last, so an event goes to the end of its account's range.
CREATE UNIQUE INDEX audit_events_by_id ON audit_events (account_id, id);

-- The log of one environment, which may be a small part of its account's.
CREATE INDEX audit_events_by_environment ON audit_events (account_id, environment_id, created_at, id)
    WHERE environment_id IS NOT NULL;
