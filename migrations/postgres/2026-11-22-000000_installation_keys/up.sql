-- What the instances of one installation share: the public keys that tokens are verified with, and secrets that whoever
-- needs one first has drawn.

CREATE TABLE signing_keys (
    kid        text        COLLATE "C" NOT NULL,
    public_key bytea       NOT NULL CONSTRAINT signing_keys_length CHECK (length(public_key) = 32),
    created_at timestamptz NOT NULL,
    CONSTRAINT signing_keys_kid PRIMARY KEY (kid)
);

CREATE TABLE installation_secrets (
    name   text  COLLATE "C" NOT NULL,
    secret bytea NOT NULL CONSTRAINT installation_secrets_length CHECK (length(secret) = 32),
    CONSTRAINT installation_secrets_name PRIMARY KEY (name)
);
