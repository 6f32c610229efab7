CREATE TABLE approval (
    number INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX approval_by_subject ON approval (subject, number);
CREATE TABLE agreed_part (
    subject INTEGER NOT NULL,
    source INTEGER NOT NULL,
    part INTEGER NOT NULL,
    digest INTEGER,
    approval INTEGER NOT NULL,
    PRIMARY KEY (subject, source, part)
) WITHOUT ROWID;
CREATE TABLE agreed_pattern (
    subject INTEGER NOT NULL,
    source INTEGER NOT NULL,
    pattern TEXT NOT NULL,
    approval INTEGER NOT NULL,
    PRIMARY KEY (subject, source, pattern)
) WITHOUT ROWID;
