-- The version of the rule by which names are folded. Folding is done by the service: where this is less than its own version, it
-- folds the stored names again when the schema is brought up to date.
CREATE TABLE folding (
    version bigint NOT NULL
);

INSERT INTO folding (version) VALUES (0);
