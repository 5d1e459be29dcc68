-- The text of a key is nowhere: a key is found by the SHA-256 digest of it.
CREATE TABLE api_keys (
    environment_id uuid        NOT NULL
        CONSTRAINT api_keys_environment REFERENCES environments (id) ON DELETE CASCADE,
    id             uuid        NOT NULL,
    name           text        COLLATE "C" NOT NULL,
    description    text        COLLATE "C",
    preview        text        COLLATE "C" NOT NULL,
    access_mode    text        COLLATE "C" NOT NULL,
    -- Permission keys, separated by spaces, which they do not have.
    scopes         text        COLLATE "C" NOT NULL,
    expires_at     timestamptz,
    last_used_at   timestamptz,
    created_at     timestamptz NOT NULL,
    CONSTRAINT api_keys_id PRIMARY KEY (environment_id, id)
);

-- Whose key it is. The one table in which no environment leads: a caller presents a key before it is known whose it is.
-- What a row says never changes.
CREATE TABLE api_key_digests (
    digest         bytea NOT NULL,
    environment_id uuid  NOT NULL
        CONSTRAINT api_key_digests_environment REFERENCES environments (id) ON DELETE CASCADE,
    key_id         uuid  NOT NULL,
    CONSTRAINT api_key_digests_digest PRIMARY KEY (digest),
    CONSTRAINT api_key_digests_key UNIQUE (environment_id, key_id)
);
