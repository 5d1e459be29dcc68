-- An environment that is deleted is looked for among the default ones.
CREATE INDEX applications_by_default_environment ON applications (default_environment_id);
