DROP TABLE kept_answer_bytes;
