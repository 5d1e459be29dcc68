-- Nothing to do: one process owns the file, so no other server can take its place.
SELECT 1;
