-- Texts compare byte for byte (COLLATE "C"); what is compared without regard to case is folded by the domain and stored
-- beside the text. Instants are kept in microseconds and reach from the year 0 to 9999. JSON is text, because it is
-- given back byte for byte.
--
-- `environment_id` leads every key among the data of an environment, so that no key crosses tenants. Unique keys that an update may swap between rows are deferrable: they are looked at when the
-- statement ends, not row by row.
--
-- Of several indexes that look equally good, which they do while a table is small, PostgreSQL takes the one made last. So
-- the one by which foreign keys and large calls look rows up is made last: plans outlive the small table.

CREATE TABLE accounts (
    id         uuid        NOT NULL,
    slug       text        COLLATE "C" NOT NULL,
    name       text        COLLATE "C" NOT NULL,
    settings   text        COLLATE "C" NOT NULL,
    version    bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT accounts_id PRIMARY KEY (id),
    CONSTRAINT accounts_slug UNIQUE (slug)
);

CREATE TABLE applications (
    id                     uuid        NOT NULL,
    account_id             uuid        NOT NULL CONSTRAINT applications_account REFERENCES accounts (id),
    slug                   text        COLLATE "C" NOT NULL,
    name                   text        COLLATE "C" NOT NULL,
    settings               text        COLLATE "C" NOT NULL,
    default_environment_id uuid,
    version                bigint      NOT NULL,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    CONSTRAINT applications_id PRIMARY KEY (id),
    CONSTRAINT applications_slug UNIQUE (account_id, slug),
    CONSTRAINT applications_of_account UNIQUE (account_id, id)
);

-- Every commit counts the revision up, in place: that column is in no index, and there is room on the page.
CREATE TABLE environments (
    id               uuid        NOT NULL,
    application_id   uuid        NOT NULL CONSTRAINT environments_application REFERENCES applications (id),
    slug             text        COLLATE "C" NOT NULL,
    name             text        COLLATE "C" NOT NULL,
    settings         text        COLLATE "C" NOT NULL,
    access_model     text        COLLATE "C" NOT NULL,
    hierarchy_schema text        COLLATE "C" NOT NULL,
    revision         bigint      NOT NULL CONSTRAINT environments_revision CHECK (revision >= 0),
    version          bigint      NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT environments_id PRIMARY KEY (id),
    CONSTRAINT environments_slug UNIQUE (application_id, slug),
    CONSTRAINT environments_of_application UNIQUE (application_id, id)
) WITH (fillfactor = 50);

-- The default environment is one of the application's own.
ALTER TABLE applications ADD CONSTRAINT applications_default_environment
    FOREIGN KEY (id, default_environment_id) REFERENCES environments (application_id, id);

CREATE TABLE identities (
    id          uuid        NOT NULL,
    account_id  uuid        NOT NULL CONSTRAINT identities_account REFERENCES accounts (id),
    email       text        COLLATE "C" NOT NULL,
    first_name  text        COLLATE "C" NOT NULL,
    last_name   text        COLLATE "C" NOT NULL,
    name_folded text        COLLATE "C" NOT NULL,
    avatar_url  text        COLLATE "C",
    external_id text        COLLATE "C",
    metadata    text        COLLATE "C",
    is_active   boolean     NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT identities_email UNIQUE (account_id, email),
    CONSTRAINT identities_external_id UNIQUE (account_id, external_id)
);
CREATE INDEX identities_by_name ON identities (account_id, name_folded, id);
CREATE INDEX identities_by_creation ON identities (account_id, created_at, id);
ALTER TABLE identities ADD CONSTRAINT identities_id PRIMARY KEY (account_id, id);

-- The account stands in each row, so that identity and application are of the same one, and a membership alone says that
-- its identity is of the account.
CREATE TABLE memberships (
    application_id uuid        NOT NULL,
    identity_id    uuid        NOT NULL,
    account_id     uuid        NOT NULL,
    id             uuid        NOT NULL,
    status         text        COLLATE "C" NOT NULL,
    invited_at     timestamptz,
    activated_at   timestamptz,
    deactivated_at timestamptz,
    created_at     timestamptz NOT NULL,
    CONSTRAINT memberships_pair PRIMARY KEY (application_id, identity_id),
    CONSTRAINT memberships_id UNIQUE (id),
    CONSTRAINT memberships_application FOREIGN KEY (account_id, application_id) REFERENCES applications (account_id, id),
    CONSTRAINT memberships_identity FOREIGN KEY (account_id, identity_id) REFERENCES identities (account_id, id)
);
CREATE INDEX memberships_by_identity ON memberships (identity_id);

CREATE TABLE permissions (
    environment_id uuid        NOT NULL CONSTRAINT permissions_environment REFERENCES environments (id),
    id             uuid        NOT NULL,
    key            text        COLLATE "C" NOT NULL,
    description    text        COLLATE "C",
    category       text        COLLATE "C",
    source         text        COLLATE "C" NOT NULL,
    version        bigint      NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT permissions_key UNIQUE (environment_id, key)
);
ALTER TABLE permissions ADD CONSTRAINT permissions_id PRIMARY KEY (environment_id, id);

CREATE TABLE roles (
    environment_id uuid        NOT NULL CONSTRAINT roles_environment REFERENCES environments (id),
    id             uuid        NOT NULL,
    name           text        COLLATE "C" NOT NULL,
    name_folded    text        COLLATE "C" NOT NULL,
    description    text        COLLATE "C",
    system_key     text        COLLATE "C",
    is_active      boolean     NOT NULL,
    version        bigint      NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT roles_name UNIQUE (environment_id, name_folded) DEFERRABLE INITIALLY IMMEDIATE
);
ALTER TABLE roles ADD CONSTRAINT roles_id PRIMARY KEY (environment_id, id);

CREATE TABLE role_permissions (
    environment_id uuid NOT NULL,
    role_id        uuid NOT NULL,
    permission_id  uuid NOT NULL,
    CONSTRAINT role_permissions_pair PRIMARY KEY (environment_id, role_id, permission_id),
    CONSTRAINT role_permissions_role
        FOREIGN KEY (environment_id, role_id) REFERENCES roles (environment_id, id),
    CONSTRAINT role_permissions_permission
        FOREIGN KEY (environment_id, permission_id) REFERENCES permissions (environment_id, id)
);
CREATE INDEX role_permissions_by_permission ON role_permissions (environment_id, permission_id);

CREATE TABLE nodes (
    environment_id uuid        NOT NULL CONSTRAINT nodes_environment REFERENCES environments (id),
    id             uuid        NOT NULL,
    parent_id      uuid,
    node_type      text        COLLATE "C" NOT NULL,
    name           text        COLLATE "C" NOT NULL,
    name_folded    text        COLLATE "C" NOT NULL,
    slug           text        COLLATE "C" NOT NULL,
    status         text        COLLATE "C" NOT NULL,
    metadata       text        COLLATE "C" NOT NULL,
    version        bigint      NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT nodes_slug UNIQUE (environment_id, parent_id, slug) DEFERRABLE INITIALLY IMMEDIATE
);
CREATE UNIQUE INDEX nodes_one_root ON nodes (environment_id) WHERE parent_id IS NULL;
ALTER TABLE nodes ADD CONSTRAINT nodes_id PRIMARY KEY (environment_id, id);
ALTER TABLE nodes ADD CONSTRAINT nodes_parent
    FOREIGN KEY (environment_id, parent_id) REFERENCES nodes (environment_id, id);

-- No foreign key to identities, which are not the environment's: the statements that write assignments check account and
-- membership themselves.
CREATE TABLE assignments (
    environment_id uuid        NOT NULL,
    id             uuid        NOT NULL,
    identity_id    uuid        NOT NULL,
    role_id        uuid        NOT NULL,
    node_id        uuid        NOT NULL,
    effective_from timestamptz NOT NULL,
    effective_to   timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT assignments_id PRIMARY KEY (environment_id, id),
    CONSTRAINT assignments_role FOREIGN KEY (environment_id, role_id) REFERENCES roles (environment_id, id),
    CONSTRAINT assignments_node FOREIGN KEY (environment_id, node_id) REFERENCES nodes (environment_id, id),
    CONSTRAINT assignments_window CHECK (effective_to > effective_from)
);
CREATE INDEX assignments_by_role ON assignments (environment_id, role_id);
CREATE INDEX assignments_by_node ON assignments (environment_id, node_id);
ALTER TABLE assignments ADD CONSTRAINT assignments_key
    UNIQUE (environment_id, identity_id, role_id, node_id) DEFERRABLE INITIALLY IMMEDIATE;

CREATE TABLE change_records (
    environment_id uuid        NOT NULL CONSTRAINT change_records_environment REFERENCES environments (id),
    revision       bigint      NOT NULL,
    at             timestamptz NOT NULL,
    changes        bytea       NOT NULL,
    CONSTRAINT change_records_id PRIMARY KEY (environment_id, revision)
);
-- Ids do not compress; trying costs more time than it saves room.
ALTER TABLE change_records ALTER COLUMN changes SET STORAGE EXTERNAL;

CREATE TABLE audit_events (
    account_id     uuid        NOT NULL CONSTRAINT audit_events_account REFERENCES accounts (id),
    created_at     timestamptz NOT NULL,
    id             uuid        NOT NULL,
    application_id uuid,
    environment_id uuid,
    actor_id       text        COLLATE "C" NOT NULL,
    actor_type     text        COLLATE "C" NOT NULL,
    actor_label    text        COLLATE "C" NOT NULL,
    action         text        COLLATE "C" NOT NULL,
    category       text        COLLATE "C" NOT NULL,
    severity       text        COLLATE "C" NOT NULL,
    outcome        text        COLLATE "C" NOT NULL,
    resource_type  text        COLLATE "C" NOT NULL,
    resource_id    text        COLLATE "C" NOT NULL,
    resource_label text        COLLATE "C" NOT NULL,
    metadata       text        COLLATE "C" NOT NULL,
    correlation_id text        COLLATE "C" NOT NULL,
    revision       bigint,
    CONSTRAINT audit_events_id PRIMARY KEY (account_id, created_at, id)
);
