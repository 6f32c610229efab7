CREATE TABLE finding_act (
    id INTEGER PRIMARY KEY,
    finding INTEGER NOT NULL,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    act TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX finding_act_by_finding ON finding_act (finding, id);
