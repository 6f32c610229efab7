ALTER TABLE change ADD COLUMN class TEXT DEFAULT '';
ALTER TABLE change ADD COLUMN because;
CREATE INDEX change_unjudged ON change (id) WHERE class IS NULL;
CREATE INDEX change_by_class ON change (class, at) WHERE class <> '';
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
CREATE UNIQUE INDEX change_request_by_id ON change_request (source, id);
CREATE INDEX change_request_by_end ON change_request (ends_at);
CREATE INDEX change_request_to_look ON change_request (number) WHERE look_from IS NOT NULL;
