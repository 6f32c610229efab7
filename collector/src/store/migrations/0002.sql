-- What the writer and the sweep paid for at each change: bodies stand apart, so that looking up a digest
-- reads no body; references are counted, so that no index over every manifest is kept for the sweep; and
-- each section says when retention has something to take, so that no pass looks at all of them.

CREATE TABLE part_body (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
INSERT INTO part_body (id, body) SELECT id, body FROM part WHERE body IS NOT NULL ORDER BY id;
-- is_here: whether its body is. refs: rows that name it in part_now (digest, seen, read), part_past and
-- baseline_part.
ALTER TABLE part ADD COLUMN is_here INTEGER NOT NULL DEFAULT 0;
ALTER TABLE part ADD COLUMN refs INTEGER NOT NULL DEFAULT 0;
UPDATE part SET is_here = body IS NOT NULL, refs =
    (SELECT count(*) FROM part_now WHERE digest = part.id)
    + (SELECT count(*) FROM part_now WHERE seen = part.id)
    + (SELECT count(*) FROM part_now WHERE read = part.id)
    + (SELECT count(*) FROM part_past WHERE digest = part.id)
    + (SELECT count(*) FROM baseline_part WHERE digest = part.id);
ALTER TABLE part DROP COLUMN body;
DROP INDEX part_now_by_digest;
DROP INDEX part_now_by_seen;
DROP INDEX part_now_by_read;
DROP INDEX part_past_by_digest;
DROP INDEX baseline_part_by_digest;
CREATE INDEX part_to_sweep ON part (id) WHERE refs = 0 OR doomed_at IS NOT NULL;

-- The earliest time of a version after the oldest: from then on retention may take the oldest.
ALTER TABLE section ADD COLUMN expires_at INTEGER;
UPDATE section SET expires_at = (
    SELECT min(v.corrected_at) FROM version v
    WHERE v.host = section.host AND v.source = section.source AND v.ordinal > section.first_ordinal);
CREATE INDEX section_by_expiry ON section (expires_at) WHERE expires_at IS NOT NULL;

-- What open findings are counted by, in columns: decoding every body at each scrape took the longer
-- the more were open. The words of findings kept before are filled in from their bodies.
ALTER TABLE finding ADD COLUMN domain TEXT NOT NULL DEFAULT '';
ALTER TABLE finding ADD COLUMN severity TEXT NOT NULL DEFAULT '';
CREATE INDEX finding_open ON finding (host, kind, domain, severity) WHERE is_open = 1;
