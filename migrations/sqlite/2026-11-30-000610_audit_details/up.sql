-- Details of audit events that their metadata has no room for, in parts. A part is a JSON array of bounded size.
CREATE TABLE audit_details (
    account_id BLOB    NOT NULL,
    event_id   BLOB    NOT NULL CHECK (length(event_id) = 16),
    part       INTEGER NOT NULL,
    entries    TEXT    NOT NULL,
    PRIMARY KEY (account_id, event_id, part)
) STRICT, WITHOUT ROWID;
