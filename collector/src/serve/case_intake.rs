//! The one door cases come through, whether they are posted or lie in a folder.
//!
//! Rows are read on a thread for blocking work and kept in groups, so that agents' reports go in
//! between. Whatever was wrong with a reading is kept with its source: a partial reading says
//! nothing of the cases it lacks.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use super::request_intake::SOURCES_MOST;
use super::state::Collector;
use crate::cases::{CaseForm, CaseRow, ColumnNotes, Hider, Intake, ReadError, read_rows};
use crate::config::{CaseSource, Meanings};
use crate::ingest::{Context, Decided};
use crate::store::{CaseFacts, CaseReading, CaseRecord, CaseStatus, Step};
use crate::writer::WriteError;

/// How many cases are made durable together: some milliseconds of the writer.
const GROUP: usize = 500;

/// So far ahead of our clock a case may be opened: a day, for clocks and zones that are wrong.
const FUTURE_SECONDS: i64 = 24 * 3_600;

/// How many groups wait between reader and writer.
const WAITING: usize = 2;

/// What was odd about the columns of the newest reading of each source. In memory only, as with
/// change requests: folders are read once more after a start.
#[derive(Debug, Default)]
pub struct Columns(Mutex<BTreeMap<String, ColumnNotes>>);

impl Columns {
    /// All of them, by source; those of which nothing is odd are left out.
    pub fn all(&self) -> BTreeMap<String, ColumnNotes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes those of one reading of `source`.
    pub fn note(&self, source: &str, notes: &ColumnNotes) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.is_empty() {
            all.remove(source);
        } else if all.len() < SOURCES_MOST || all.contains_key(source) {
            all.insert(source.to_owned(), notes.clone());
        }
    }
}

/// What a reading came to.
#[derive(Debug)]
pub struct Taken {
    /// What was read.
    pub intake: Intake,
    /// Why nothing could be read after that, if so.
    pub broken: Option<ReadError>,
}

impl Taken {
    /// What was wrong, in a sentence; nothing when it was read to the end and taken whole.
    pub fn problem(&self) -> Option<String> {
        let first = self.intake.refused.sentence(self.intake.rows, "cases");
        let broken = self.broken.as_ref().map(|error| {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        });
        broken.or(first)
    }
}

/// Keeps every case of `reader`, which `source` wrote.
///
/// # Errors
/// [`WriteError`] when the store would not take them; some may have been kept, and taking them
/// again changes nothing.
pub async fn take(
    collector: &Arc<Collector>,
    source: &CaseSource,
    reader: impl Read + Send + 'static,
) -> Result<Taken, WriteError> {
    let (send, mut groups) = mpsc::channel::<Vec<CaseRow>>(WAITING);
    // The configuration was checked; a zone that vanished since is taken for UTC.
    let zone = TimeZone::get(&source.timezone).unwrap_or(TimeZone::UTC);
    let latest = Timestamp::now().as_second() + FUTURE_SECONDS;
    let statuses = source.statuses.clone();
    let (columns, named) = (source.columns.clone(), collector.settings().config.mapper().named());
    let store = Arc::clone(&collector.read);
    let reading = tokio::task::spawn_blocking(move || {
        let key = store.case_key().map_err(|error| {
            tracing::error!(%error, "the key that hides people in cases could not be read");
            WriteError::Failed
        })?;
        let hider = Hider::new(key, named);
        let form = CaseForm { zone, columns, latest, hider };
        let mut group = Vec::with_capacity(GROUP);
        let read = read_rows(reader, &form, &mut |row| {
            group.push(row);
            group.len() < GROUP || send.blocking_send(std::mem::take(&mut group)).is_ok()
        });
        // A receiver that is gone has its error already.
        send.blocking_send(group).ok();
        Ok(read)
    });
    while let Some(group) = groups.recv().await {
        keep(collector, (&source.name, &statuses), group).await?;
    }
    match reading.await.map_err(|_| WriteError::Failed)?? {
        Ok(intake) => Ok(Taken { intake, broken: None }),
        Err(error) => Ok(Taken { intake: Intake::default(), broken: Some(error) }),
    }
}

async fn keep(
    collector: &Collector,
    (source, statuses): (&str, &Meanings<CaseStatus>),
    rows: Vec<CaseRow>,
) -> Result<(), WriteError> {
    if rows.is_empty() {
        return Ok(());
    }
    let (source, statuses) = (source.to_owned(), statuses.clone());
    let decide = move |_: &mut _, context: Context<'_>| {
        let record = |row| record((&source, &statuses), row, context.now);
        let steps = vec![Step::Cases(rows.into_iter().map(record).collect())];
        Ok(Decided { answer: (), parts: Vec::new(), steps })
    };
    collector.writer.ask(decide).await
}

/// Notes what a reading of a source came to.
///
/// # Errors
/// [`WriteError`].
pub async fn note(collector: &Collector, reading: CaseReading) -> Result<(), WriteError> {
    let steps = vec![Step::CaseReading(reading)];
    let decide =
        move |_: &mut _, _: Context<'_>| Ok(Decided { answer: (), parts: Vec::new(), steps });
    collector.writer.ask(decide).await
}

fn record(
    (source, statuses): (&str, &Meanings<CaseStatus>),
    row: CaseRow,
    now: Timestamp,
) -> CaseRecord {
    // The reader lets through no year that has no moment.
    let moment = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    let resolved_at = row.resolved_at.map(moment);
    // A word that nobody knows says nothing, and then a time does. Without one the case is open:
    // work that is shown twice costs less than work that is hidden.
    let said = statuses.of(&row.status).or_else(|| CaseStatus::meant_by(&row.status));
    let by_time = resolved_at.map_or(CaseStatus::Open, |_| CaseStatus::Resolved);
    let status = said.unwrap_or(by_time);
    CaseRecord {
        number: 0,
        source: source.to_owned(),
        id: row.id,
        opened_at: moment(row.opened_at),
        recorded_at: row.recorded_at.map(moment),
        received_at: now,
        facts: CaseFacts {
            service: row.service,
            site: row.site,
            category: row.category,
            team: row.team,
            priority: row.priority,
            status,
            resolved_at,
            due_at: row.due_at.map(moment),
            parent: row.parent,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_what_its_word_means_or_else_what_its_times_say() {
        let text = "[[case_source]]\nname='desk'\n\
            statuses = { closed = ['geschlossen'], open = ['wieder offen'] }";
        let statuses = crate::config::load::parse("t", text).unwrap().case_source("desk").statuses;
        for (word, resolved, expect) in [
            ("New", None, CaseStatus::Open),
            ("On Hold", None, CaseStatus::Pending),
            ("Solved", None, CaseStatus::Resolved),
            ("Closed Complete", None, CaseStatus::Closed),
            ("Cancelled", None, CaseStatus::Closed),
            ("Reopened", Some(5), CaseStatus::Open),
            ("", Some(5), CaseStatus::Resolved),
            ("6", Some(5), CaseStatus::Resolved),
            ("6", None, CaseStatus::Open),
            ("Gelöst", Some(5), CaseStatus::Resolved),
            ("Gelöst", None, CaseStatus::Open),
            ("In Arbeit", Some(5), CaseStatus::Resolved),
            ("In Progress", Some(5), CaseStatus::Open),
            ("Geschlossen", None, CaseStatus::Closed),
            ("Wieder offen", Some(5), CaseStatus::Open),
        ] {
            let row = CaseRow { status: word.into(), resolved_at: resolved, ..CaseRow::default() };
            let record = record(("desk", &statuses), row, Timestamp::UNIX_EPOCH);
            assert_eq!(record.facts.status, expect, "{word} {resolved:?}");
        }
    }
}
