CREATE INDEX finding_worst ON finding (severity, first_seen, class, host, kind, is_open) WHERE is_open = 1;
ALTER TABLE finding_act ADD COLUMN opening INTEGER NOT NULL DEFAULT 0;
UPDATE finding_act SET opening = coalesce(
    (SELECT openings FROM finding WHERE number = finding_act.finding AND first_seen <= finding_act.at), 0);
CREATE INDEX part_blind ON part_now (host, source, part) WHERE unread IS NOT NULL AND read IS NOT NULL;
