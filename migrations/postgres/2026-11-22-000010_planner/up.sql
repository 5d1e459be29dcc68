-- Nothing to do: PostgreSQL counts its rows itself, and the statements are written so that their plans rest on keys alone.
SELECT;
