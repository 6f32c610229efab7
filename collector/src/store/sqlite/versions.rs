//! How one section version becomes rows: the section, its manifest, its changes.
//!
//! The manifest is kept as it is now, and each digest that no longer stands with the versions it
//! stood in. What a version says twice is written once; a version that is not news writes nothing.

use std::collections::BTreeSet;

use driftline_protocol::ids::{Digest, Generation};
use driftline_protocol::ledger::Chain;
use driftline_protocol::mutant::{self, Mutant};
use rusqlite::{OptionalExtension, params};

use super::codec::{At, Bits, Json, Word, at, bits, word};
use super::write::{Batch, Place};
use crate::analysis::change::Change;
use crate::store::records::*;

/// A section as a version meets it.
struct Known {
    record: SectionRecord,
    ordinal: i64,
    first_ordinal: i64,
    expires_at: Option<i64>,
}

/// One row of `part_now`, as in the columns: `seen` and `read` are `None` where all was read.
struct PartRow {
    since: i64,
    digest: i64,
    unread: bool,
    seen: Option<i64>,
    read: Option<i64>,
}

impl PartRow {
    /// The newest digests under which it was seen and read, as in [`PartRecord`].
    fn known(&self) -> (Option<i64>, Option<i64>) {
        if self.unread { (self.seen, self.read) } else { (Some(self.digest), Some(self.digest)) }
    }
}

impl Batch<'_> {
    /// Applies one version with its changes and findings, unless it is not news.
    pub(super) fn apply_version(&mut self, step: &VersionStep) -> rusqlite::Result<()> {
        let host = self.host(&step.host)?;
        let source = self.names.sources.number(self.db, step.version.source.as_str())?;
        let place = Place { host, source };
        let known = self.known(place, step)?;
        let is_newer = |k: &Known| step.version.generation > k.record.generation;
        if !known.as_ref().is_none_or(is_newer)
            && !mutant::active(Mutant::ApplyKnownGenerationAgain)
        {
            return Ok(());
        }
        let ordinal = known.as_ref().map_or(1, |k| k.ordinal + 1);
        let first = known.as_ref().map_or(1, |k| k.first_ordinal);
        let record =
            SectionRecord::after(known.as_ref().map(|k| &k.record), &step.version, step.chain);
        self.write_section(place, &record, (ordinal, first))?;
        if let Some(known) = &known {
            self.expire_from(place, known.expires_at, At(step.version.corrected_at))?;
        }
        self.write_version(place, ordinal, &step.version)?;
        self.write_manifest(place, ordinal, step)?;
        self.write_changes(place, step)?;
        self.note_findings(&step.findings)
    }

    fn known(&self, place: Place, step: &VersionStep) -> rusqlite::Result<Option<Known>> {
        let mut find = self.db.prepare_cached(
            "SELECT domain, generation, digest, chain, delivered, coalesced, expired, observed_at,
                 ordinal, first_ordinal, expires_at
             FROM section WHERE host = ?1 AND source = ?2",
        )?;
        let known = find.query_row([place.host, place.source], |row| {
            let record = SectionRecord {
                source: step.version.source.clone(),
                domain: word(row, 0)?,
                generation: Generation(bits(row, 1)?),
                digest: Digest(row.get(2)?),
                chain: Chain(Digest(row.get(3)?)),
                delivered: bits(row, 4)?,
                coalesced: bits(row, 5)?,
                expired: bits(row, 6)?,
                observed_at: at(row, 7)?,
            };
            let (ordinal, first_ordinal) = (row.get(8)?, row.get(9)?);
            Ok(Known { record, ordinal, first_ordinal, expires_at: row.get(10)? })
        });
        known.optional()
    }

    fn write_section(
        &self,
        place: Place,
        record: &SectionRecord,
        (ordinal, first): (i64, i64),
    ) -> rusqlite::Result<()> {
        let mut write = self.db.prepare_cached(
            "INSERT INTO section (host, source, domain, generation, digest, chain, delivered,
                 coalesced, expired, observed_at, ordinal, first_ordinal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (host, source) DO UPDATE SET domain = ?3, generation = ?4, digest = ?5,
                 chain = ?6, delivered = ?7, coalesced = ?8, expired = ?9, observed_at = ?10,
                 ordinal = ?11",
        )?;
        write.execute(params![
            place.host,
            place.source,
            record.domain.as_str(),
            Bits(record.generation.0),
            record.digest.0,
            record.chain.0.0,
            Bits(record.delivered),
            Bits(record.coalesced),
            Bits(record.expired),
            At(record.observed_at),
            ordinal,
            first,
        ])?;
        Ok(())
    }

    /// Notes that retention may take the oldest version once `at` has passed. Times mostly grow, so
    /// mostly there is nothing to write.
    fn expire_from(&self, place: Place, known: Option<i64>, at: At) -> rusqlite::Result<()> {
        if known.is_some_and(|known| known <= at.nanoseconds()) {
            return Ok(());
        }
        let mut note = self
            .db
            .prepare_cached("UPDATE section SET expires_at = ?3 WHERE host = ?1 AND source = ?2")?;
        note.execute([place.host, place.source, at.nanoseconds()]).map(drop)
    }

    fn write_version(
        &mut self,
        place: Place,
        ordinal: i64,
        version: &VersionRecord,
    ) -> rusqlite::Result<()> {
        let mut write = self.db.prepare_cached(
            "INSERT INTO version (host, source, ordinal, generation, domain, digest, observed_at,
                 received_at, corrected_at, uncertainty_ms, coalesced, expired, origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        write.execute(params![
            place.host,
            place.source,
            ordinal,
            Bits(version.generation.0),
            version.domain.as_str(),
            version.digest.0,
            At(version.observed_at),
            At(version.received_at),
            At(version.corrected_at),
            Bits(version.uncertainty_ms),
            Bits(version.coalesced),
            Bits(version.expired),
            Word(version.origin),
        ])?;
        self.count("versions", 1);
        Ok(())
    }

    fn write_manifest(
        &mut self,
        place: Place,
        ordinal: i64,
        step: &VersionStep,
    ) -> rusqlite::Result<()> {
        let mut set = BTreeSet::new();
        for (name, digest) in &step.delta.set {
            let part = self.part(name)?;
            let digest = self.digest(digest)?;
            let unread = step.unobserved.get(name).copied();
            self.write_part(place, ordinal, (part, digest, unread))?;
            set.insert(part);
        }
        let mut gone = BTreeSet::new();
        if step.delta.base.is_none() {
            let mut all = self
                .db
                .prepare_cached("SELECT part FROM part_now WHERE host = ?1 AND source = ?2")?;
            let rows = all.query_map([place.host, place.source], |row| row.get::<_, i64>(0))?;
            gone = rows.collect::<Result<_, _>>()?;
        }
        for name in &step.delta.unset {
            gone.insert(self.part(name)?);
        }
        gone.difference(&set).try_for_each(|part| self.remove_part(place, ordinal, *part))
    }

    fn write_part(
        &mut self,
        place: Place,
        ordinal: i64,
        (part, digest, unread): (i64, i64, Option<Unread>),
    ) -> rusqlite::Result<()> {
        let known = self.part_row(place, part)?;
        let moved = known.as_ref().filter(|row| row.digest != digest);
        if let Some(row) = moved {
            self.keep_past(place, ordinal, (part, row))?;
        }
        let since =
            if moved.is_some() { ordinal } else { known.as_ref().map_or(ordinal, |k| k.since) };
        let (seen, read) = known.as_ref().map_or((None, None), PartRow::known);
        let (seen, read) = match unread {
            None => (None, None), // both are `digest`, see the schema
            Some(Unread::Content(_)) => (Some(digest), read),
            Some(Unread::Whole(_)) => (seen, read),
        };
        // What stood goes on being named, by its row of the past.
        if moved.is_some() || known.is_none() {
            self.refer(digest, 1);
        }
        for gone in known.iter().flat_map(|row| [row.seen, row.read]).flatten() {
            self.refer(gone, -1);
        }
        for named in [seen, read].into_iter().flatten() {
            self.refer(named, 1);
        }
        let mut write = self.db.prepare_cached(
            "INSERT INTO part_now (host, source, part, since, digest, unread, seen, read)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (host, source, part) DO UPDATE SET since = ?4, digest = ?5, unread = ?6,
                 seen = ?7, read = ?8",
        )?;
        let unread = unread.map(Json);
        write.execute(params![
            place.host,
            place.source,
            part,
            since,
            digest,
            unread,
            seen,
            read
        ])?;
        Ok(())
    }

    fn part_row(&self, place: Place, part: i64) -> rusqlite::Result<Option<PartRow>> {
        let mut find = self.db.prepare_cached(
            "SELECT since, digest, unread IS NOT NULL, seen, read
             FROM part_now WHERE host = ?1 AND source = ?2 AND part = ?3",
        )?;
        let row = find.query_row([place.host, place.source, part], |row| {
            Ok(PartRow {
                since: row.get(0)?,
                digest: row.get(1)?,
                unread: row.get(2)?,
                seen: row.get(3)?,
                read: row.get(4)?,
            })
        });
        row.optional()
    }

    fn keep_past(
        &self,
        place: Place,
        ordinal: i64,
        (part, row): (i64, &PartRow),
    ) -> rusqlite::Result<()> {
        let mut keep = self.db.prepare_cached(
            "INSERT INTO part_past (host, source, until, part, since, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        keep.execute([place.host, place.source, ordinal, part, row.since, row.digest])?;
        Ok(())
    }

    fn remove_part(&mut self, place: Place, ordinal: i64, part: i64) -> rusqlite::Result<()> {
        let Some(row) = self.part_row(place, part)? else { return Ok(()) };
        self.keep_past(place, ordinal, (part, &row))?;
        for gone in [row.seen, row.read].into_iter().flatten() {
            self.refer(gone, -1);
        }
        let mut remove = self
            .db
            .prepare_cached("DELETE FROM part_now WHERE host = ?1 AND source = ?2 AND part = ?3")?;
        remove.execute([place.host, place.source, part])?;
        Ok(())
    }

    fn write_changes(&mut self, place: Place, step: &VersionStep) -> rusqlite::Result<()> {
        if step.changes.is_empty() {
            return Ok(());
        }
        let mut id = self.last_change()?;
        for change in &step.changes {
            id += 1;
            self.write_change(place, id, (&step.version, change))?;
            if step.version.origin != Origin::Import {
                let of = (step.version.domain.as_str(), change.kind.as_str());
                self.count(&format!("changes/{}/{}", of.0, of.1), 1);
            }
        }
        let mut note = self.db.prepare_cached(
            "INSERT INTO counter (name, value) VALUES ('last_change', ?1)
             ON CONFLICT (name) DO UPDATE SET value = ?1",
        )?;
        note.execute([id])?;
        Ok(())
    }

    /// The last number a change had: kept apart from the table, so that no number is given twice.
    fn last_change(&self) -> rusqlite::Result<i64> {
        let find = "SELECT value FROM counter WHERE name = 'last_change'";
        let last = self.db.prepare_cached(find)?.query_row([], |row| row.get(0)).optional()?;
        Ok(last.unwrap_or(0))
    }

    fn write_change(
        &mut self,
        place: Place,
        id: i64,
        (version, change): (&VersionRecord, &Change),
    ) -> rusqlite::Result<()> {
        let part = self.part(&change.part)?;
        // What nobody will judge has no class from the beginning; all else waits for one.
        let judged = change.kind.is_semantic() && version.origin != Origin::Import;
        let mut write = self.db.prepare_cached(
            "INSERT INTO change (id, host, source, part, at, generation, domain, kind, item_key,
                 before_item, after_item, class)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        write.execute(params![
            id,
            place.host,
            place.source,
            part,
            At(version.corrected_at),
            Bits(version.generation.0),
            version.domain.as_str(),
            change.kind.as_str(),
            change.key.as_ref().map(|key| key.as_str()),
            change.before.as_ref().map(Json),
            change.after.as_ref().map(Json),
            (!judged).then_some(""),
        ])?;
        Ok(())
    }
}
