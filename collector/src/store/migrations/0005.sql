CREATE INDEX case_open ON support_case (due_at, id) WHERE status IN ('open', 'pending') AND parent = '';
INSERT INTO counter (name, value) SELECT 'case_words', count(*) FROM case_word;
