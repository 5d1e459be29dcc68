-- Nothing to do: SQLite plans without statistics here.
SELECT 1;
