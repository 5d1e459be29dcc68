-- Nothing was done.
SELECT;
