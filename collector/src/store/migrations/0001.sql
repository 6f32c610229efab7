-- The first schema. Names are interned, so that rows stay small; every row that belongs to a host
-- leads its key with it. Times are nanoseconds since 1970 in UTC, digests 32 bytes, words as in the
-- API.
PRAGMA application_id = 1146242644; -- "DRFT", so that no other program's file is taken for a store

CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE host_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE source_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE part_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

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

-- Content by digest: zstd of the canonical form, once for the whole fleet. A body that is NULL is a
-- digest something names and nobody has sent. doomed_at: since when it is on its way out.
CREATE TABLE part (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    kept_at INTEGER NOT NULL,
    doomed_at INTEGER,
    body BLOB
);

-- The newest state of each section. ordinal counts its versions for ever, across incarnations;
-- first_ordinal is the oldest that retention has left.
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
    first_ordinal INTEGER NOT NULL,
    PRIMARY KEY (host, source)
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

-- The newest manifest of each section. seen and read are NULL where unread is, meaning digest.
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
CREATE INDEX part_now_by_digest ON part_now (digest);
CREATE INDEX part_now_by_seen ON part_now (seen) WHERE seen IS NOT NULL;
CREATE INDEX part_now_by_read ON part_now (read) WHERE read IS NOT NULL;

-- What part_now was: this digest stood in the versions since <= ordinal < until.
CREATE TABLE part_past (
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    until INTEGER NOT NULL,
    part INTEGER NOT NULL,
    since INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    PRIMARY KEY (host, source, until, part)
) WITHOUT ROWID;
CREATE INDEX part_past_by_digest ON part_past (digest);

-- before_item and after_item: JSON as text, or its zstd as a blob where that is shorter.
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
);
CREATE INDEX change_by_time ON change (at);
CREATE INDEX change_by_host ON change (host, at);
CREATE INDEX change_by_source ON change (source, at);

-- item_key is '' for the part as a whole; no item has that key.
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
    body NOT NULL,
    UNIQUE (host, source, part, item_key, kind)
);
CREATE INDEX finding_by_time ON finding (is_open, first_seen);

CREATE TABLE baseline (
    host INTEGER PRIMARY KEY,
    approved_at INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE baseline_section (
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    PRIMARY KEY (host, source)
) WITHOUT ROWID;
CREATE TABLE baseline_part (
    host INTEGER NOT NULL,
    source INTEGER NOT NULL,
    part INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    PRIMARY KEY (host, source, part)
) WITHOUT ROWID;
CREATE INDEX baseline_part_by_digest ON baseline_part (digest);

CREATE TABLE token (
    name TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    host INTEGER,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX event_by_time ON event (at);
CREATE INDEX event_by_host ON event (host, at);
