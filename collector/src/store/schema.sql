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
CREATE TABLE approval (
    number INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE case_feed (
    source TEXT PRIMARY KEY,
    first_good INTEGER,
    last_good INTEGER,
    last_read INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    problem TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE case_key (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL);
CREATE TABLE case_past (
    id INTEGER PRIMARY KEY,
    of_case INTEGER NOT NULL,
    replaced_at INTEGER NOT NULL,
    service INTEGER NOT NULL,
    site INTEGER NOT NULL,
    category INTEGER NOT NULL,
    parent TEXT NOT NULL
);
CREATE TABLE case_word (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, brought_by INTEGER NOT NULL DEFAULT 0);
CREATE TABLE change (
    id INTEGER PRIMARY KEY,
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    part INTEGER NOT NULL,
    at INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    item_key TEXT,
    before_item,
    after_item
, class TEXT DEFAULT '', because);
CREATE TABLE change_request (
    number INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    look_from INTEGER,
    look_to INTEGER,
    body NOT NULL
);
CREATE TABLE correlation_pass (number INTEGER PRIMARY KEY, body NOT NULL);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    host INTEGER,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE exception (name TEXT PRIMARY KEY, body NOT NULL) WITHOUT ROWID;
CREATE TABLE finding (
    number INTEGER PRIMARY KEY,
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    part INTEGER NOT NULL,
    item_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    openings INTEGER NOT NULL,
    body NOT NULL, domain TEXT NOT NULL DEFAULT '', severity TEXT NOT NULL DEFAULT '', class TEXT NOT NULL DEFAULT 'unjudged', because, to_weigh INTEGER NOT NULL DEFAULT 0, settles_at INTEGER,
    UNIQUE (host, source, part, item_key, kind)
);
CREATE TABLE finding_act (
    id INTEGER PRIMARY KEY,
    finding INTEGER NOT NULL,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    act TEXT NOT NULL,
    text TEXT NOT NULL
, opening INTEGER NOT NULL DEFAULT 0);
CREATE TABLE host (
    host INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    incarnation BLOB NOT NULL,
    token BLOB NOT NULL,
    enrolled_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    agent_version TEXT NOT NULL,
    fingerprint_key BLOB,
    site_key INTEGER NOT NULL,
    retired_at INTEGER
);
CREATE TABLE host_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE outcome (id INTEGER PRIMARY KEY, suspect INTEGER NOT NULL, body NOT NULL);
CREATE TABLE part (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    kept_at INTEGER NOT NULL,
    doomed_at INTEGER,
    is_here INTEGER NOT NULL DEFAULT 0, refs INTEGER NOT NULL DEFAULT 0);
CREATE TABLE part_body (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE part_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE part_now (
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    part INTEGER NOT NULL,
    since INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    unread TEXT,
    seen INTEGER,
    read INTEGER,
    PRIMARY KEY (host, source, part)
) WITHOUT ROWID;
CREATE TABLE part_past (
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    until INTEGER NOT NULL,
    part INTEGER NOT NULL,
    since INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    PRIMARY KEY (host, source, until, part)
) WITHOUT ROWID;
CREATE TABLE section (
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    domain TEXT NOT NULL,
    generation INTEGER NOT NULL,
    digest BLOB NOT NULL,
    chain BLOB NOT NULL,
    delivered INTEGER NOT NULL,
    coalesced INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    first_ordinal INTEGER NOT NULL, expires_at INTEGER,
    PRIMARY KEY (host, source)
) WITHOUT ROWID;
CREATE TABLE source_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
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
CREATE TABLE token (
    name TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE version (
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    domain TEXT NOT NULL,
    digest BLOB NOT NULL,
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    corrected_at INTEGER NOT NULL,
    uncertainty_ms INTEGER NOT NULL,
    coalesced INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (host, source, ordinal)
) WITHOUT ROWID;
CREATE INDEX approval_by_subject ON approval (subject, number);
CREATE INDEX case_by_opening ON support_case (opened_at);
CREATE INDEX case_open ON support_case (due_at, id) WHERE status IN ('open', 'pending') AND parent = '';
CREATE INDEX case_past_by_case ON case_past (of_case, id);
CREATE INDEX change_by_class ON change (class, at) WHERE class <> '';
CREATE INDEX change_by_host ON change (host, at);
CREATE INDEX change_by_source ON change (source, at);
CREATE INDEX change_by_time ON change (at);
CREATE INDEX change_request_by_end ON change_request (ends_at);
CREATE UNIQUE INDEX change_request_by_id ON change_request (source, id);
CREATE INDEX change_request_to_look ON change_request (number) WHERE look_from IS NOT NULL;
CREATE INDEX change_unjudged ON change (id) WHERE class IS NULL;
CREATE INDEX event_by_host ON event (host, at);
CREATE INDEX event_by_time ON event (at);
CREATE INDEX finding_act_by_finding ON finding_act (finding, id);
CREATE INDEX finding_act_by_time ON finding_act (at);
CREATE INDEX finding_by_time ON finding (is_open, first_seen);
CREATE INDEX finding_open ON finding (host, kind, domain, severity, class) WHERE is_open = 1;
CREATE INDEX finding_settling ON finding (settles_at) WHERE settles_at IS NOT NULL;
CREATE INDEX finding_to_weigh ON finding (number) WHERE to_weigh = 1;
CREATE INDEX finding_worst ON finding (severity, first_seen, class, host, kind, is_open) WHERE is_open = 1;
CREATE INDEX outcome_by_suspect ON outcome (suspect, id);
CREATE INDEX part_blind ON part_now (host, source, part) WHERE unread IS NOT NULL AND read IS NOT NULL;
CREATE INDEX part_to_sweep ON part (id) WHERE refs = 0 OR doomed_at IS NOT NULL;
CREATE INDEX section_by_expiry ON section (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX suspect_by_pass ON suspect (pass);
CREATE INDEX suspect_by_time ON suspect (at);
