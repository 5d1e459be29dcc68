-- The bytes of the answers that were kept for a tenant within an hour, counted from 1970. Sums are only added to, and
-- deleted when all of their answers are outdated. Answers that were kept before this table existed do not count.
CREATE TABLE kept_answer_bytes (
    tenant BLOB    NOT NULL CHECK (length(tenant) = 16),
    hour   INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_answer_bytes_by_age ON kept_answer_bytes (hour);
