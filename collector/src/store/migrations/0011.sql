ALTER TABLE case_word ADD COLUMN brought_by INTEGER NOT NULL DEFAULT 0;
UPDATE counter SET name = 'case_words_of/0' WHERE name = 'case_words';
