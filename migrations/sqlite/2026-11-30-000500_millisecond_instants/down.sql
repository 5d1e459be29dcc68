-- The digits that were cut off are gone; earlier releases read whole milliseconds as they are.
SELECT 1;
