-- Support cases: times and words, never text. Words stand once each; what a case's facts were before they were
-- replaced is kept, so that an evaluation can be made again with what was known then.

CREATE TABLE case_word (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE support_case (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    case_id TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    recorded_at INTEGER,
    received_at INTEGER NOT NULL,
    service INTEGER NOT NULL,
    site INTEGER NOT NULL,
    category INTEGER NOT NULL,
    team INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    status TEXT NOT NULL,
    resolved_at INTEGER,
    due_at INTEGER,
    parent TEXT NOT NULL,
    UNIQUE (source, case_id)
);
CREATE INDEX case_by_opening ON support_case (opened_at);
CREATE TABLE case_past (
    id INTEGER PRIMARY KEY,
    of_case INTEGER NOT NULL,
    replaced_at INTEGER NOT NULL,
    service INTEGER NOT NULL,
    site INTEGER NOT NULL,
    category INTEGER NOT NULL,
    parent TEXT NOT NULL
);
CREATE INDEX case_past_by_case ON case_past (of_case, id);
CREATE TABLE case_feed (
    source TEXT PRIMARY KEY,
    first_good INTEGER,
    last_good INTEGER,
    last_read INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    problem TEXT NOT NULL
) WITHOUT ROWID;

-- Suspects: what the engine said of change sets, the passes that said it, and what people said.

CREATE TABLE suspect (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    pass INTEGER NOT NULL,
    service TEXT,
    tier TEXT NOT NULL,
    tier_place INTEGER NOT NULL,
    score REAL NOT NULL,
    body NOT NULL
);
CREATE INDEX suspect_by_time ON suspect (at);
CREATE INDEX suspect_by_pass ON suspect (pass);
CREATE TABLE correlation_pass (number INTEGER PRIMARY KEY, body NOT NULL);
CREATE TABLE outcome (id INTEGER PRIMARY KEY, suspect INTEGER NOT NULL, body NOT NULL);
CREATE INDEX outcome_by_suspect ON outcome (suspect, id);
