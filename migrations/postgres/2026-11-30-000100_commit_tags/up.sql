-- A number that stands for all commits up to a revision: after a failover that lost commits, revisions are used again.
-- The defaults are constants, so no table is rewritten.
ALTER TABLE environments ADD COLUMN tag bigint NOT NULL DEFAULT 0;
ALTER TABLE change_records ADD COLUMN tag bigint NOT NULL DEFAULT 0;
