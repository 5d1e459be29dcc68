-- The bytes of the answers that were kept for a tenant within an hour, counted from 1970. Sums are only added to, and
-- deleted when all of their answers are outdated. Answers that were kept before this table existed do not count.
CREATE TABLE kept_answer_bytes (
    tenant uuid   NOT NULL,
    hour   bigint NOT NULL,
    bytes  bigint NOT NULL
);
ALTER TABLE kept_answer_bytes ADD CONSTRAINT kept_answer_bytes_of_hour PRIMARY KEY (tenant, hour);
CREATE INDEX kept_answer_bytes_by_age ON kept_answer_bytes (hour);
