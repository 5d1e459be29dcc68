-- Nothing here: the foreign key names the application too, so an environment that is deleted is looked for in one row.
SELECT 1;
