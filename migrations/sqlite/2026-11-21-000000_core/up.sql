-- Ids are the sixteen bytes of a UUID, instants are microseconds since 1970, flags are 0 or 1. Texts compare byte for
-- byte; what is compared without regard to case is folded by the domain and stored beside the text.

CREATE TABLE accounts (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    slug       TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    settings   TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The default environment is named while neither row is final, so that key is looked at when the transaction commits.
CREATE TABLE applications (
    id                     BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id             BLOB    NOT NULL REFERENCES accounts (id),
    slug                   TEXT    NOT NULL,
    name                   TEXT    NOT NULL,
    settings               TEXT    NOT NULL,
    default_environment_id BLOB REFERENCES environments (id) DEFERRABLE INITIALLY DEFERRED,
    version                INTEGER NOT NULL,
    created_at             INTEGER NOT NULL,
    updated_at             INTEGER NOT NULL,
    UNIQUE (account_id, slug),
    UNIQUE (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE environments (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    application_id   BLOB    NOT NULL REFERENCES applications (id),
    slug             TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    settings         TEXT    NOT NULL,
    access_model     TEXT    NOT NULL,
    hierarchy_schema TEXT    NOT NULL,
    revision         INTEGER NOT NULL CHECK (revision >= 0),
    version          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    UNIQUE (application_id, slug)
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    account_id  BLOB    NOT NULL REFERENCES accounts (id),
    id          BLOB    NOT NULL CHECK (length(id) = 16),
    email       TEXT    NOT NULL,
    first_name  TEXT    NOT NULL,
    last_name   TEXT    NOT NULL,
    name_folded TEXT    NOT NULL,
    avatar_url  TEXT,
    external_id TEXT,
    metadata    TEXT,
    is_active   INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, email),
    UNIQUE (account_id, external_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_by_name ON identities (account_id, name_folded, id);
CREATE INDEX identities_by_creation ON identities (account_id, created_at, id);

-- The account stands in each row, so that identity and application are of the same one, and a membership alone says that
-- its identity is of the account.
CREATE TABLE memberships (
    application_id BLOB    NOT NULL,
    identity_id    BLOB    NOT NULL,
    account_id     BLOB    NOT NULL,
    id             BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    status         TEXT    NOT NULL,
    invited_at     INTEGER,
    activated_at   INTEGER,
    deactivated_at INTEGER,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (application_id, identity_id),
    FOREIGN KEY (account_id, application_id) REFERENCES applications (account_id, id),
    FOREIGN KEY (account_id, identity_id) REFERENCES identities (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_identity ON memberships (identity_id);

CREATE TABLE permissions (
    environment_id BLOB    NOT NULL REFERENCES environments (id),
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    key            TEXT    NOT NULL,
    description    TEXT,
    category       TEXT,
    source         TEXT    NOT NULL,
    search_text    TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE roles (
    environment_id BLOB    NOT NULL REFERENCES environments (id),
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    name           TEXT    NOT NULL,
    name_folded    TEXT    NOT NULL,
    description    TEXT,
    system_key     TEXT,
    is_active      INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, name_folded)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_permissions (
    environment_id BLOB NOT NULL,
    role_id        BLOB NOT NULL,
    permission_id  BLOB NOT NULL,
    PRIMARY KEY (environment_id, role_id, permission_id),
    FOREIGN KEY (environment_id, role_id) REFERENCES roles (environment_id, id),
    FOREIGN KEY (environment_id, permission_id) REFERENCES permissions (environment_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX role_permissions_by_permission ON role_permissions (environment_id, permission_id);

CREATE TABLE nodes (
    environment_id BLOB    NOT NULL REFERENCES environments (id),
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    parent_id      BLOB,
    node_type      TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    name_folded    TEXT    NOT NULL,
    slug           TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, parent_id, slug),
    FOREIGN KEY (environment_id, parent_id) REFERENCES nodes (environment_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX nodes_one_root ON nodes (environment_id) WHERE parent_id IS NULL;

-- No foreign key to memberships, which are not the environment's: the statement that writes assignments looks there itself.
CREATE TABLE assignments (
    environment_id BLOB    NOT NULL,
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    identity_id    BLOB    NOT NULL,
    role_id        BLOB    NOT NULL,
    node_id        BLOB    NOT NULL,
    effective_from INTEGER NOT NULL,
    effective_to   INTEGER CHECK (effective_to > effective_from),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, identity_id, role_id, node_id),
    FOREIGN KEY (environment_id, role_id) REFERENCES roles (environment_id, id),
    FOREIGN KEY (environment_id, node_id) REFERENCES nodes (environment_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX assignments_by_role ON assignments (environment_id, role_id);
CREATE INDEX assignments_by_node ON assignments (environment_id, node_id);

CREATE TABLE change_records (
    environment_id BLOB    NOT NULL REFERENCES environments (id),
    revision       INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    changes        BLOB    NOT NULL,
    PRIMARY KEY (environment_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_events (
    account_id     BLOB    NOT NULL,
    created_at     INTEGER NOT NULL,
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    application_id BLOB,
    environment_id BLOB,
    actor_id       TEXT    NOT NULL,
    actor_type     TEXT    NOT NULL,
    actor_label    TEXT    NOT NULL,
    action         TEXT    NOT NULL,
    category       TEXT    NOT NULL,
    severity       TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,
    resource_type  TEXT    NOT NULL,
    resource_id    TEXT    NOT NULL,
    resource_label TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    revision       INTEGER,
    PRIMARY KEY (account_id, created_at, id)
) STRICT, WITHOUT ROWID;
