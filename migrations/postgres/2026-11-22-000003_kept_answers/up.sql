-- The answers of requests that may be repeated. The key is a digest, so rows are spread over the whole table.
CREATE TABLE kept_answers (
    request bytea       NOT NULL,
    body    bytea       NOT NULL,
    answer  bytea       NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX kept_answers_by_age ON kept_answers (at);
ALTER TABLE kept_answers ADD CONSTRAINT kept_answers_request PRIMARY KEY (request);
