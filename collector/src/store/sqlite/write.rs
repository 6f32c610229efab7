//! The write half: each call is one transaction, so it is durable as a whole or not at all.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::ledger::Chain;
use driftline_protocol::wire::is_imported;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::codec::{At, Bits, Doing, Json, Word};
use super::names::Names;
use super::{Writer, baselines, cases, exceptions, expire, intent, suspects};
use crate::analysis::finding::{Finding, FindingId, Status};
use crate::store::records::*;
use crate::store::{ActRecord, Append, NewPart, StoreError};

impl Append for Writer {
    fn write(
        &mut self,
        parts: &[NewPart],
        steps: &[Step],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let new = self.transact("writing what was decided", |batch| {
            let mut new = 0;
            for part in parts {
                new += u64::from(batch.keep_part(part, now)?);
            }
            batch.count("parts", new.cast_signed());
            steps.iter().try_for_each(|step| batch.apply(step))?;
            Ok(new)
        })?;
        // All is durable; a log that cannot be folded is the checkpointer's to report.
        drop(self.fold_the_rest());
        Ok(new)
    }

    fn note_seen(&mut self, seen: &[(HostId, Timestamp)]) -> Result<(), StoreError> {
        self.transact("noting when hosts were last heard", |batch| {
            let mut later = batch.db.prepare_cached(
                "UPDATE host SET last_seen = ?2 WHERE host = ?1 AND last_seen < ?2",
            )?;
            for (host, at) in seen {
                later.execute(params![
                    batch.names.hosts.number(batch.db, host.as_str())?,
                    At(*at)
                ])?;
            }
            Ok(())
        })
    }

    fn expire(&mut self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let from = self.swept;
        let (gone, swept) = self.transact("removing what retention does not keep", |batch| {
            expire::expire(batch, &expire::Pass { before, now, limit, from })
        })?;
        self.swept = swept;
        Ok(gone)
    }
}

impl Writer {
    fn transact<T>(
        &mut self,
        what: &str,
        act: impl FnOnce(&mut Batch<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let Self { db, names, .. } = self;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate);
        let done = transaction.and_then(|transaction| {
            let mut batch = Batch {
                db: &transaction,
                names,
                counts: BTreeMap::new(),
                digests: HashMap::new(),
                refs: HashMap::new(),
            };
            let done = act(&mut batch)?;
            batch.write_counts()?;
            batch.write_refs()?;
            transaction.commit()?;
            Ok(done)
        });
        if done.is_err() {
            self.names.forget();
        }
        done.doing(|| what)
    }
}

/// One transaction at work.
pub(super) struct Batch<'a> {
    pub(super) db: &'a Connection,
    pub(super) names: &'a mut Names,
    counts: BTreeMap<String, i64>,
    /// The numbers of digests this transaction has met.
    digests: HashMap<Digest, i64>,
    /// By how much the references to a part change, by its number.
    refs: HashMap<i64, i64>,
}

/// A section where it stands in the tables.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) host: i64,
    pub(super) source: i64,
}

impl Batch<'_> {
    /// Adds `by` to a sum that outlives restarts.
    pub(super) fn count(&mut self, name: &str, by: i64) {
        match self.counts.get_mut(name) {
            Some(sum) => *sum += by,
            None => drop(self.counts.insert(name.to_owned(), by)),
        }
    }

    fn write_counts(&mut self) -> rusqlite::Result<()> {
        let mut add = self.db.prepare_cached(
            "INSERT INTO counter (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        )?;
        for (name, by) in std::mem::take(&mut self.counts) {
            if by != 0 {
                add.execute(params![name, by])?;
            }
        }
        Ok(())
    }

    /// Notes that a part, by its number, is named by so many rows more.
    pub(super) fn refer(&mut self, id: i64, by: i64) {
        *self.refs.entry(id).or_default() += by;
    }

    pub(super) fn write_refs(&mut self) -> rusqlite::Result<()> {
        let mut refer = self.db.prepare_cached("UPDATE part SET refs = refs + ?2 WHERE id = ?1")?;
        let mut refs: Vec<_> = self.refs.drain().filter(|(_, by)| *by != 0).collect();
        refs.sort_unstable();
        for (id, by) in refs {
            refer.execute([id, by])?;
        }
        Ok(())
    }

    fn keep_part(&mut self, part: &NewPart, now: Timestamp) -> rusqlite::Result<bool> {
        let digest = part.digest();
        let mut find =
            self.db.prepare_cached("SELECT id, is_here, doomed_at FROM part WHERE digest = ?1")?;
        let known = find.query_row([digest.0], |row| {
            Ok((row.get(0)?, row.get::<_, bool>(1)?, row.get::<_, Option<i64>>(2)?))
        });
        let id = match known.optional()? {
            Some((id, true, doomed_at)) => {
                if doomed_at.is_some() {
                    self.put_here(id, now)?;
                }
                self.digests.insert(*digest, id);
                return Ok(false);
            }
            Some((id, false, _)) => {
                self.put_here(id, now)?;
                id
            }
            None => {
                let mut add = self.db.prepare_cached(
                    "INSERT INTO part (digest, kept_at, is_here) VALUES (?1, ?2, 1)",
                )?;
                add.insert(params![digest.0, At(now)])?
            }
        };
        let mut keep =
            self.db.prepare_cached("INSERT INTO part_body (id, body) VALUES (?1, ?2)")?;
        keep.execute(params![id, part.packed()])?;
        self.digests.insert(*digest, id);
        Ok(true)
    }

    fn put_here(&self, id: i64, now: Timestamp) -> rusqlite::Result<()> {
        let mut put = self.db.prepare_cached(
            "UPDATE part SET is_here = 1, doomed_at = NULL, kept_at = ?2 WHERE id = ?1",
        )?;
        put.execute(params![id, At(now)]).map(drop)
    }

    /// The number of `digest`, whether or not its part is there.
    pub(super) fn digest(&mut self, digest: &Digest) -> rusqlite::Result<i64> {
        if let Some(id) = self.digests.get(digest) {
            return Ok(*id);
        }
        let mut find = self.db.prepare_cached("SELECT id FROM part WHERE digest = ?1")?;
        let id = match find.query_row([digest.0], |row| row.get(0)).optional()? {
            Some(id) => id,
            None => {
                let name = "INSERT INTO part (digest, kept_at) VALUES (?1, 0)";
                self.db.prepare_cached(name)?.insert([digest.0])?
            }
        };
        self.digests.insert(*digest, id);
        Ok(id)
    }

    pub(super) fn host(&mut self, host: &HostId) -> rusqlite::Result<i64> {
        self.names.hosts.number(self.db, host.as_str())
    }

    /// A sum that outlives restarts, with what this transaction adds to it.
    pub(super) fn counted(&self, name: &str) -> rusqlite::Result<i64> {
        let mut find = self.db.prepare_cached("SELECT value FROM counter WHERE name = ?1")?;
        let kept: Option<i64> = find.query_row([name], |row| row.get(0)).optional()?;
        Ok(kept.unwrap_or(0) + self.counts.get(name).copied().unwrap_or(0))
    }

    pub(super) fn part(&mut self, part: &PartName) -> rusqlite::Result<i64> {
        self.names.parts.number(self.db, part.as_str())
    }

    fn apply(&mut self, step: &Step) -> rusqlite::Result<()> {
        match step {
            Step::Host(record) => self.replace_host(record),
            Step::Version(step) => self.apply_version(step),
            Step::Approve { approval, covers, findings } => {
                baselines::approve(self, approval, covers)?;
                self.note_findings(findings)
            }
            Step::Findings(findings) => self.note_findings(findings),
            Step::Recount { host, source, delivered } => {
                let mut recount = self.db.prepare_cached(
                    "UPDATE section SET delivered = ?3 WHERE host = ?1 AND source = ?2",
                )?;
                let host = self.names.hosts.number(self.db, host.as_str())?;
                let source = self.names.sources.number(self.db, source.as_str())?;
                recount.execute(params![host, source, Bits(*delivered)])?;
                Ok(())
            }
            Step::Exception(exception) => exceptions::keep(self, exception),
            Step::Token(token) => self.replace_token(token),
            Step::RemoveToken(name) => {
                self.db.prepare_cached("DELETE FROM token WHERE name = ?1")?.execute([name])?;
                Ok(())
            }
            Step::Event(event) => self.note_event(event),
            Step::Cases(all) => all.iter().try_for_each(|case| cases::keep_case(self, case)),
            Step::CaseReading(reading) => cases::note_reading(self, reading),
            Step::Suspects(all) => all.iter().try_for_each(|one| suspects::keep_suspect(self, one)),
            Step::Pass(pass, gone) => {
                suspects::drop_suspects(self, gone)?;
                suspects::keep_pass(self, pass)
            }
            Step::Outcome(outcome) => suspects::keep_outcome(self, outcome),
            Step::ChangeRequests(all) => {
                all.iter().try_for_each(|one| intent::keep_request(self, one))
            }
            Step::Reconsidered(all) => {
                all.iter().try_for_each(|one| intent::reconsidered(self, *one))
            }
            Step::Judged(all) => all.iter().try_for_each(|one| intent::judge(self, one)),
            Step::Act(act) => self.note_act(act),
            Step::Weighed(all) => all.iter().try_for_each(|one| intent::weigh(self, one)),
        }
    }

    fn replace_host(&mut self, record: &HostRecord) -> rusqlite::Result<()> {
        let host = self.host(&record.id)?;
        let mut find = self.db.prepare_cached("SELECT incarnation FROM host WHERE host = ?1")?;
        let before = find.query_row([host], |row| row.get::<_, [u8; 16]>(0)).optional()?;
        if before.is_some_and(|before| before != record.incarnation.0) {
            self.renew_sections(host)?;
        }
        let mut replace = self.db.prepare_cached(
            "INSERT INTO host (host, kind, incarnation, token, enrolled_at, last_seen,
                 agent_version, fingerprint_key, site_key, retired_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (host) DO UPDATE SET kind = ?2, incarnation = ?3, token = ?4,
                 enrolled_at = ?5, last_seen = ?6, agent_version = ?7, fingerprint_key = ?8,
                 site_key = ?9, retired_at = ?10",
        )?;
        replace.execute(params![
            host,
            Word(record.kind),
            record.incarnation.0,
            record.token,
            At(record.enrolled_at),
            At(record.last_seen),
            record.agent_version,
            record.key.map(|key| key.0),
            record.site_key,
            record.retired_at.map(At),
        ])?;
        Ok(())
    }

    /// Starts new accounts for every section of a host whose agent's state was made anew.
    fn renew_sections(&self, host: i64) -> rusqlite::Result<()> {
        let mut sources = self.db.prepare_cached(
            "SELECT s.source, n.name FROM section s JOIN source_name n ON n.id = s.source
             WHERE s.host = ?1",
        )?;
        let mut renew = self.db.prepare_cached(
            "UPDATE section
             SET generation = 0, delivered = 0, coalesced = 0, expired = 0, chain = ?3
             WHERE host = ?1 AND source = ?2",
        )?;
        let mut rows = sources.query([host])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let source: SourceName = super::codec::name(row, 1)?;
            if !is_imported(&source) {
                found.push((row.get::<_, i64>(0)?, Chain::start(&source)));
            }
        }
        for (source, chain) in found {
            renew.execute(params![host, source, chain.0.0])?;
        }
        Ok(())
    }

    pub(super) fn note_findings(&mut self, findings: &[Finding]) -> rusqlite::Result<()> {
        findings.iter().try_for_each(|finding| self.note_finding(finding))
    }

    fn note_finding(&mut self, finding: &Finding) -> rusqlite::Result<()> {
        let id = &finding.id;
        let mut note = self.db.prepare_cached(
            "INSERT INTO finding (host, source, part, item_key, kind, is_open, first_seen, openings,
                 body, domain, severity, class, to_weigh)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?8, ?9, ?10,
                 iif(?5 = 'drift', 'unjudged', 'none'), ?6 AND ?5 = 'drift')
             ON CONFLICT (host, source, part, item_key, kind) DO UPDATE SET
                 openings = openings + (?6 > is_open), is_open = ?6, first_seen = ?7, body = ?8,
                 domain = ?9, severity = ?10,
                 class = iif(?6 AND ?5 = 'drift' AND (is_open = 0 OR first_seen <> ?7), 'unjudged',
                     class),
                 because = iif(?6 AND (is_open = 0 OR first_seen <> ?7), NULL, because),
                 settles_at = iif(?6 AND is_open AND first_seen = ?7, settles_at, NULL),
                 to_weigh = ?6 AND ?5 = 'drift'
                     AND (to_weigh OR is_open = 0 OR first_seen <> ?7)",
        )?;
        note.execute(params![
            self.names.hosts.number(self.db, id.host.as_str())?,
            self.names.sources.number(self.db, id.source.as_str())?,
            self.names.parts.number(self.db, id.part.as_str())?,
            keyed(id),
            id.kind.as_str(),
            finding.status == Status::Open,
            At(finding.first_seen),
            Json(finding),
            finding.domain.as_str(),
            finding.severity.as_str(),
        ])?;
        Ok(())
    }

    fn replace_token(&self, token: &TokenRecord) -> rusqlite::Result<()> {
        let mut replace = self.db.prepare_cached(
            "INSERT INTO token (name, scope, hash, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (name) DO UPDATE SET scope = ?2, hash = ?3, created_at = ?4,
                 expires_at = ?5",
        )?;
        let (created, expires) = (At(token.created_at), At(token.expires_at));
        replace.execute(params![token.name, Word(token.scope), token.hash, created, expires])?;
        Ok(())
    }

    fn note_act(&self, act: &ActRecord) -> rusqlite::Result<()> {
        let mut note = self.db.prepare_cached(
            "INSERT INTO finding_act (finding, at, who, act, text, opening)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let ActRecord { finding, at, who, act, text, opening } = act;
        note.execute(params![finding, At(*at), who, act.as_str(), text, opening])?;
        Ok(())
    }

    fn note_event(&mut self, event: &EventRecord) -> rusqlite::Result<()> {
        let host = event.host.as_ref().map(|host| self.host(host)).transpose()?;
        let mut note = self
            .db
            .prepare_cached("INSERT INTO event (at, host, kind, detail) VALUES (?1, ?2, ?3, ?4)")?;
        note.execute(params![At(event.at), host, event.kind.as_str(), event.detail])?;
        self.count(&format!("events/{}", event.kind.as_str()), 1);
        Ok(())
    }
}

/// What tells the findings of one kind in one part apart: the item, and the rule on a line of its
/// own. Never read back: the body has both.
pub(super) fn keyed(id: &FindingId) -> Cow<'_, str> {
    let key = id.key.as_ref().map_or("", |key| key.as_str());
    match &id.rule {
        None => Cow::Borrowed(key),
        Some(rule) => Cow::Owned(format!("{key}\n{rule}")),
    }
}
