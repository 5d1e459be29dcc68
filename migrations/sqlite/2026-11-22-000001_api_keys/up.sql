-- The text of a key is nowhere: a key is found by the SHA-256 digest of it.
CREATE TABLE api_keys (
    environment_id BLOB    NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    name           TEXT    NOT NULL,
    description    TEXT,
    preview        TEXT    NOT NULL,
    access_mode    TEXT    NOT NULL,
    -- Permission keys, separated by spaces, which they do not have.
    scopes         TEXT    NOT NULL,
    expires_at     INTEGER,
    last_used_at   INTEGER,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, id)
) STRICT, WITHOUT ROWID;

-- Whose key it is. The one table in which no environment leads: a caller presents a key before it is known whose it is.
-- What a row says never changes.
CREATE TABLE api_key_digests (
    digest         BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    environment_id BLOB NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    key_id         BLOB NOT NULL,
    UNIQUE (environment_id, key_id)
) STRICT, WITHOUT ROWID;
