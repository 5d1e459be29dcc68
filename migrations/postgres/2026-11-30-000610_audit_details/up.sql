-- Details of audit events that their metadata has no room for, in parts. A part is a JSON array of bounded size.
CREATE TABLE audit_details (
    account_id uuid   NOT NULL CONSTRAINT audit_details_account REFERENCES accounts (id),
    event_id   uuid   NOT NULL,
    part       bigint NOT NULL,
    entries    text   COLLATE "C" NOT NULL,
    CONSTRAINT audit_details_id PRIMARY KEY (account_id, event_id, part)
);
