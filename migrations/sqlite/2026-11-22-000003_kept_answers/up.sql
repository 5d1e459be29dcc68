-- The answers of requests that may be repeated. The key is a digest, so rows are spread over the whole table.
CREATE TABLE kept_answers (
    request BLOB    NOT NULL PRIMARY KEY CHECK (length(request) = 32),
    body    BLOB    NOT NULL CHECK (length(body) = 32),
    answer  BLOB    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX kept_answers_by_age ON kept_answers (at);
