ALTER TABLE change_records DROP COLUMN tag;
ALTER TABLE environments DROP COLUMN tag;
