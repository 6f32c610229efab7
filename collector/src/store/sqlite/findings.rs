//! What pages and queries ask about findings and tokens.

use std::collections::BTreeSet;

use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::Reader;
use super::codec::{At, Json, at, bits, json, name, word};
use super::names::{self, FIND_HOST, FIND_PART, FIND_SOURCE};
use super::write::keyed;
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::{Finding, FindingId, Severity};
use crate::store::records::*;
use crate::store::{ActRecord, ReadActs, ReadFindings, StoreError, WorstFilter};

pub(super) const FINDING: &str = "SELECT f.number, f.body, f.openings, f.because FROM finding f";

impl ReadFindings for Reader {
    fn findings(&self, filter: &FindingFilter) -> Result<Vec<FindingRecord>, StoreError> {
        self.pool.read("findings", |db| {
            let host = filter.host.as_ref().map(|h| names::find(db, FIND_HOST, h.as_str()));
            let host = host.transpose()?;
            if host == Some(None) {
                return Ok(Vec::new());
            }
            // Every text of the query takes every value, whether it asks for it or not.
            let mut terms = vec!["?1 IS ?1", "?2 IS ?2", "?3 IS ?3", "?5 IS ?5", "?6 IS ?6"];
            terms.extend(host.map(|_| "f.host = ?1"));
            terms.extend(filter.kind.map(|_| "f.kind = ?2"));
            terms.extend(filter.number.map(|_| "f.number = ?3"));
            terms.extend(filter.open_only.then_some("f.is_open = 1"));
            terms.extend(filter.after.map(|_| "(f.first_seen, f.number) < (?5, ?6)"));
            let severity = filter.severity.map(as_bad_as);
            terms.extend(severity.as_deref());
            let of_hosts = filter.hosts.as_ref().map(|hosts| numbers(db, hosts)).transpose()?;
            let of_hosts = of_hosts.map(|hosts| format!("f.host IN ({hosts})"));
            terms.extend(of_hosts.as_deref());
            let classes = filter.classes.iter().map(|class| format!("'{}'", class.as_str()));
            let classes = classes.collect::<Vec<_>>().join(", ");
            let classes = (!classes.is_empty()).then(|| format!("f.class IN ({classes})"));
            terms.extend(classes.as_deref());
            let mut find = db.prepare_cached(&format!(
                "{FINDING} WHERE {} ORDER BY f.first_seen DESC, f.number DESC LIMIT ?4",
                terms.join(" AND ")
            ))?;
            let kind = filter.kind.map(|kind| kind.as_str());
            let limit = effective_limit(filter.limit);
            let (at, number) = (filter.after.map(|p| At(p.at)), filter.after.map(|p| p.number));
            let values = params![host.flatten(), kind, filter.number, limit, at, number];
            find.query_map(values, finding_record)?.collect()
        })
    }

    fn worst_findings(&self, filter: &WorstFilter) -> Result<Vec<FindingRecord>, StoreError> {
        if mutant::active(Mutant::ListsAreCutBeforeTheyAreSorted) {
            let newest = FindingFilter { open_only: true, ..FindingFilter::default() };
            let mut found = self.findings(&FindingFilter { limit: filter.limit, ..newest })?;
            found.sort_by_key(FindingRecord::badness);
            return Ok(found);
        }
        self.pool.read("the worst findings", |db| worst(db, filter))
    }

    fn open_as_found(&self, host: &HostId) -> Result<Vec<Finding>, StoreError> {
        self.pool.read("the open findings of a host", |db| {
            let host = names::find(db, FIND_HOST, host.as_str())?;
            let mut find = db.prepare_cached(&format!(
                "{FINDING} WHERE f.host = ?1 AND f.is_open = 1
                 ORDER BY f.first_seen DESC, f.number DESC LIMIT ?2"
            ))?;
            let found = find.query_map(params![host, MAX_LIMIT], as_kept)?;
            found.map(|record| record.map(|record| record.finding)).collect()
        })
    }

    fn finding(&self, id: &FindingId) -> Result<Option<FindingRecord>, StoreError> {
        self.pool.read("a finding", |db| {
            let host = names::find(db, FIND_HOST, id.host.as_str())?;
            let source = names::find(db, FIND_SOURCE, id.source.as_str())?;
            let part = names::find(db, FIND_PART, id.part.as_str())?;
            let key = keyed(id);
            let mut find = db.prepare_cached(&format!(
                "{FINDING} WHERE f.host = ?1 AND f.source = ?2 AND f.part = ?3 AND f.item_key = ?4
                     AND f.kind = ?5"
            ))?;
            let values = params![host, source, part, key, id.kind.as_str()];
            find.query_row(values, finding_record).optional()
        })
    }

    fn open_counts(&self) -> Result<Vec<OpenCount>, StoreError> {
        self.pool.read("open findings", |db| {
            let mut find = db.prepare_cached(
                "SELECT h.name, f.kind, f.domain, f.severity, f.class, count(*)
                 FROM finding f INDEXED BY finding_open JOIN host_name h ON h.id = f.host
                 WHERE f.is_open = 1 GROUP BY f.host, f.kind, f.domain, f.severity, f.class",
            )?;
            let count = |row: &Row<'_>| {
                let (host, kind) = (name(row, 0)?, word(row, 1)?);
                let (domain, severity) = (word(row, 2)?, word(row, 3)?);
                let class = class(&row.get::<_, String>(4)?);
                Ok(OpenCount { host, kind, domain, severity, class, count: bits(row, 5)? })
            };
            let counts: Vec<OpenCount> = find.query_map([], count)?.collect::<Result<_, _>>()?;
            Ok(OpenCount::by_class(counts))
        })
    }

    fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.pool.read("the tokens", |db| {
            let mut find = db.prepare_cached(
                "SELECT name, scope, hash, created_at, expires_at FROM token ORDER BY name",
            )?;
            find.query_map([], token_record)?.collect()
        })
    }
}

impl ReadActs for Reader {
    fn acts(&self, finding: i64, limit: u32) -> Result<Vec<ActRecord>, StoreError> {
        self.pool.read("the log of a finding", |db| {
            let mut find = db.prepare_cached(
                "SELECT finding, at, who, act, text, opening FROM finding_act WHERE finding = ?1
                 ORDER BY id DESC LIMIT ?2",
            )?;
            find.query_map(params![finding, effective_limit(limit)], act_record)?.collect()
        })
    }

    fn acts_of(&self, findings: &[i64]) -> Result<Vec<ActRecord>, StoreError> {
        self.pool.read("the logs of findings", |db| {
            let mut all = Vec::new();
            for some in findings.chunks(TOGETHER) {
                let mut find = db.prepare_cached(&format!(
                    "SELECT finding, at, who, act, text, opening FROM finding_act
                     WHERE finding IN ({}) AND act <> 'note' ORDER BY id",
                    vec!["?"; some.len()].join(", ")
                ))?;
                let acts = find.query_map(params_from_iter(some), act_record)?;
                all.extend(acts.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            Ok(all)
        })
    }
}

/// How many findings are asked about in one query.
const TOGETHER: usize = 500;

fn act_record(row: &Row<'_>) -> rusqlite::Result<ActRecord> {
    Ok(ActRecord {
        finding: row.get(0)?,
        at: at(row, 1)?,
        who: row.get(2)?,
        act: word(row, 3)?,
        text: row.get(4)?,
        opening: row.get(5)?,
    })
}

/// The numbers of those of `hosts` that are known, for a list in a query.
fn numbers(db: &Connection, hosts: &BTreeSet<HostId>) -> rusqlite::Result<String> {
    let mut numbers = Vec::new();
    for host in hosts {
        numbers.extend(names::find(db, FIND_HOST, host.as_str())?.map(|host| host.to_string()));
    }
    Ok(numbers.join(", "))
}

/// One stretch of the list after the other, each in the order of an index that holds all it asks.
fn worst(db: &Connection, filter: &WorstFilter) -> rusqlite::Result<Vec<FindingRecord>> {
    let hosts = filter.hosts.as_ref().map(|hosts| numbers(db, hosts)).transpose()?;
    let of_hosts = match &hosts {
        None => String::new(),
        Some(numbers) if numbers.is_empty() => return Ok(Vec::new()),
        Some(numbers) => format!("AND host IN ({numbers})"),
    };
    let limit = effective_limit(filter.limit) as usize;
    let mut found: Vec<FindingRecord> = Vec::new();
    for (quiet, severity) in [false, true]
        .into_iter()
        .flat_map(|quiet| Severity::ALL.into_iter().map(move |severity| (quiet, severity)))
    {
        let after = filter.after.filter(|after| (after.quiet, after.severity) == (quiet, severity));
        let passed =
            filter.after.is_some_and(|after| (after.quiet, after.severity) > (quiet, severity));
        let other = filter.severity.is_some_and(|only| only != severity);
        if passed || other || found.len() >= limit {
            continue;
        }
        let asked = |class: &FindingClass| {
            class.is_quiet() == quiet
                && (filter.classes.is_empty() || filter.classes.contains(class))
        };
        let (at, number) =
            after.map_or((i64::MIN, 0), |after| (At(after.at).nanoseconds(), after.number));
        let left = limit - found.len();
        let mut stretch = Vec::new();
        // As it was found to be, and as its class makes it.
        for was in Severity::ALL {
            let classes = FindingClass::all().filter(asked);
            let classes = classes.filter(|class| class.severity(was) == severity);
            let classes: Vec<String> = classes.map(quoted).collect();
            if classes.is_empty() {
                continue;
            }
            let mut find = db.prepare(&format!(
                "{FINDING} WHERE f.number IN (
                     SELECT number FROM finding INDEXED BY finding_worst
                     WHERE is_open = 1 AND severity = ?1 AND (first_seen, number) > (?2, ?3)
                         AND class IN ({}) AND (?4 IS NULL OR kind = ?4) {of_hosts}
                     ORDER BY first_seen, number LIMIT ?5)
                 ORDER BY f.first_seen, f.number",
                classes.join(", ")
            ))?;
            let kind = filter.kind.map(|kind| kind.as_str());
            let values = params![was.as_str(), at, number, kind, left as i64];
            let some = find.query_map(values, finding_record)?;
            stretch.extend(some.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        stretch.sort_by_key(FindingRecord::badness);
        found.extend(stretch.into_iter().take(left));
    }
    Ok(found)
}

/// What asks for findings that are as bad as `severity`, with what their class makes of them. Only
/// drift has another class than none.
fn as_bad_as(severity: Severity) -> String {
    let of = |was: Severity| {
        let classes = FindingClass::all().filter(|class| class.severity(was) == severity);
        let classes: Vec<String> = classes.map(quoted).collect();
        let classes = classes.join(", ");
        format!("(f.severity = '{}' AND f.class IN ({classes}))", was.as_str())
    };
    format!("({})", Severity::ALL.map(of).join(" OR "))
}

fn quoted(class: FindingClass) -> String {
    format!("'{}'", class.as_str())
}

/// The class of a word; what no program of this schema wrote was not judged.
fn class(word: &str) -> FindingClass {
    FindingClass::named(word).unwrap_or(FindingClass::Unjudged)
}

pub(super) fn finding_record(row: &Row<'_>) -> rusqlite::Result<FindingRecord> {
    as_kept(row).map(FindingRecord::by_class)
}

fn as_kept(row: &Row<'_>) -> rusqlite::Result<FindingRecord> {
    let finding: Json<_> = row.get(1)?;
    let (number, openings) = (row.get(0)?, row.get(2)?);
    Ok(FindingRecord { number, finding: finding.0, openings, meant: json(row, 3)? })
}

fn token_record(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    Ok(TokenRecord {
        name: row.get(0)?,
        scope: word(row, 1)?,
        hash: row.get(2)?,
        created_at: at(row, 3)?,
        expires_at: at(row, 4)?,
    })
}
