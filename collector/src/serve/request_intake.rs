//! The one door change requests come through, whether they are posted or lie in a folder.
//!
//! As with cases, rows are read on a thread for blocking work and kept in groups. How the newest
//! reading of each source went is in memory only: after a start everything is read once more.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::state::Collector;
use crate::analysis::classify::request::ChangeRequest;
use crate::cases::{Came, ReadError};
use crate::change_requests::{RequestForm, SOURCE_MOST, read_requests};
use crate::config::ChangeSource;
use crate::ingest::Decided;
use crate::store::{EventKind, EventRecord, RequestFilter, Step, StoreError};
use crate::words::either;
use crate::writer::{Reads, WriteError};

/// How many requests are made durable together: some milliseconds of the writer.
const GROUP: usize = 500;

/// How many groups wait between reader and writer.
const WAITING: usize = 2;

/// How many requests one event names: a screenful, while the first export of a large site, which is
/// tens of thousands, does not become as many events.
const TOGETHER: usize = 20;

/// The most sources whose readings are remembered: those posted under other names are more than
/// anybody has.
const SOURCES_MOST: usize = 1_000;

/// How the newest reading of a source went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestReading {
    /// The source.
    pub source: String,
    /// When it was read last.
    pub at: Timestamp,
    /// When it was last read to the end and taken whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Timestamp>,
    /// How many requests there were, those refused among them.
    pub rows: u64,
    /// How many were refused.
    pub refused: u64,
    /// What was wrong, in a sentence; empty when nothing was.
    pub problem: String,
}

/// How the newest readings went, by source.
#[derive(Debug, Default)]
pub struct Readings(Mutex<BTreeMap<String, RequestReading>>);

impl Readings {
    /// All of them, by source.
    pub fn all(&self) -> Vec<RequestReading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Notes one; says whether it tells of something else than the one before.
    pub fn note(&self, mut reading: RequestReading) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.get(&reading.source);
        if before.is_none() && all.len() >= SOURCES_MOST {
            return false;
        }
        let news = before.is_none_or(|before| before.problem != reading.problem);
        let good = reading.problem.is_empty().then_some(reading.at);
        reading.last_good = good.or(before.and_then(|before| before.last_good));
        all.insert(reading.source.clone(), reading);
        news
    }
}

/// What a reading came to.
#[derive(Debug)]
pub struct Taken {
    /// What was read.
    pub came: Came,
    /// How many were refused because their source has too many.
    pub too_many: u64,
    /// Why nothing could be read after that, if so.
    pub broken: Option<ReadError>,
}

impl Taken {
    /// What was wrong, in a sentence; nothing when it was read to the end and taken whole.
    pub fn problem(&self) -> Option<String> {
        let refused = &self.came.refused;
        let first = refused.first.first().map(|first| {
            format!("{} of {} requests refused; {first}", refused.total, self.came.rows)
        });
        let broken = self.broken.as_ref().map(|error| {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        });
        let full = (self.too_many > 0).then(|| {
            let many = self.too_many;
            format!("{many} requests refused: its source has {SOURCE_MOST} of them already")
        });
        broken.or(full).or(first)
    }

    /// The same as a reading of `source`.
    pub fn reading(&self, source: &str, now: Timestamp) -> RequestReading {
        RequestReading {
            source: source.to_owned(),
            at: now,
            last_good: None,
            rows: self.came.rows,
            refused: self.came.refused.total + self.too_many,
            problem: self.problem().unwrap_or_default(),
        }
    }
}

/// Keeps every change request of `reader`, which `source` wrote and `who` brought: the person or
/// token, or the folder. Each that is new or says something else is named in an event.
///
/// # Errors
/// [`WriteError`] when the store would not take them; some may have been kept, and taking them
/// again changes nothing.
pub async fn take(
    collector: &Arc<Collector>,
    (source, who): (&ChangeSource, &str),
    reader: impl Read + Send + 'static,
) -> Result<Taken, WriteError> {
    let (send, mut groups) = mpsc::channel::<Vec<ChangeRequest>>(WAITING);
    let form = RequestForm {
        source: source.name.clone(),
        // The configuration was checked; a zone that vanished since is taken for UTC.
        zone: TimeZone::get(&source.timezone).unwrap_or(TimeZone::UTC),
        columns: source.columns.clone(),
        now: Timestamp::now(),
    };
    let reading = tokio::task::spawn_blocking(move || {
        let mut group = Vec::with_capacity(GROUP);
        let read = read_requests(reader, &form, &mut |request| {
            group.push(request);
            group.len() < GROUP || send.blocking_send(std::mem::take(&mut group)).is_ok()
        });
        // A receiver that is gone has its error already.
        send.blocking_send(group).ok();
        read
    });
    let mut too_many = 0;
    while let Some(group) = groups.recv().await {
        if group.is_empty() {
            continue;
        }
        let asked = group.len();
        let (fitting, news) = fitting(collector, group).await?;
        too_many += (asked - fitting.len()) as u64;
        let told = told(who, &source.name, &news);
        let mut steps = vec![Step::ChangeRequests(fitting)];
        let decide = move |_: &mut _, context: crate::ingest::Context<'_>| {
            let kind = EventKind::RequestChanged;
            let event = |detail| EventRecord { at: context.now, host: None, kind, detail };
            steps.extend(told.into_iter().map(|detail| Step::Event(event(detail))));
            Ok(Decided { answer: (), parts: Vec::new(), steps })
        };
        collector.writer.ask(decide).await?;
    }
    match reading.await.map_err(|_| WriteError::Failed)? {
        Ok(came) => Ok(Taken { came, too_many, broken: None }),
        Err(error) => Ok(Taken { came: Came::default(), too_many, broken: Some(error) }),
    }
}

/// Those of `group`, which are of one source, that may be kept: all while there is room, and then
/// only those that are known; and what of them is news. Two readings of one source at the same time
/// may pass the bound by what both have in hand.
async fn fitting(
    collector: &Arc<Collector>,
    group: Vec<ChangeRequest>,
) -> Result<(Vec<ChangeRequest>, Vec<String>), WriteError> {
    let store = Arc::clone(&collector.read);
    let fitting = tokio::task::spawn_blocking(move || {
        let (fitting, refused) = within(&*store, group, SOURCE_MOST)?;
        let news = news(&*store, &fitting)?;
        Ok::<_, StoreError>((fitting, news, refused))
    });
    let (fitting, news, refused) =
        fitting.await.map_err(|_| WriteError::Failed)?.map_err(|_| WriteError::Failed)?;
    collector.live.requests_refused.fetch_add(refused, Ordering::Relaxed);
    Ok((fitting, news))
}

/// What each of `group` says that was not known, by its id.
fn news(store: &dyn Reads, group: &[ChangeRequest]) -> Result<Vec<String>, StoreError> {
    let mut earlier: BTreeMap<&str, &ChangeRequest> = BTreeMap::new();
    let mut told = Vec::new();
    for request in group {
        let known = match earlier.get(request.id.as_str()) {
            Some(earlier) => Some((*earlier).clone()),
            None => known(store, request)?,
        };
        told.extend(request.news(known.as_ref()).map(|news| format!("{} ({news})", request.id)));
        earlier.insert(&request.id, request);
    }
    Ok(told)
}

/// The sentences that tell of `news`, some requests in each.
fn told(who: &str, source: &str, news: &[String]) -> Vec<String> {
    if mutant::active(Mutant::DeedsAreNobodys) {
        return Vec::new();
    }
    let some = |some: &[String]| {
        let requests = either(some.len(), "change request", "change requests");
        format!("{who} wrote down the {requests} of {source}: {}", some.join("; "))
    };
    news.chunks(TOGETHER).map(some).collect()
}

/// What is known of a request of this name.
fn known(store: &dyn Reads, request: &ChangeRequest) -> Result<Option<ChangeRequest>, StoreError> {
    let (source, id) = (Some(request.source.clone()), Some(request.id.clone()));
    let filter = RequestFilter { source, id, limit: 1, ..RequestFilter::default() };
    Ok(store.change_requests(&filter)?.pop().map(|known| known.request))
}

/// What of `group` keeps its source at `most` requests, and how many do not.
fn within(
    store: &dyn Reads,
    group: Vec<ChangeRequest>,
    most: u64,
) -> Result<(Vec<ChangeRequest>, u64), StoreError> {
    let source = group.first().map(|request| request.source.clone()).unwrap_or_default();
    let mut room = most.saturating_sub(store.count_requests(&source)?);
    if room >= group.len() as u64 {
        return Ok((group, 0));
    }
    let (mut kept, mut refused) = (Vec::new(), 0);
    for request in group {
        if known(store, &request)?.is_some() {
            kept.push(request);
        } else if room > 0 {
            room -= 1;
            kept.push(request);
        } else {
            refused += 1;
        }
    }
    Ok((kept, refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::request::Approval;
    use crate::store::Append;
    use crate::store::memory::Memory;

    #[test]
    fn a_source_that_is_full_goes_on_with_what_is_known() {
        let header = "id,approval,start,end,hosts\n";
        let row = |id: u8| format!("{id},approved,2026-11-28 00:00:00,2026-11-29 00:00:00,a\n");
        let read = |ids: &[u8]| {
            let text = ids.iter().fold(header.to_owned(), |text, id| text + &row(*id));
            let form = RequestForm {
                source: "itsm".into(),
                zone: TimeZone::UTC,
                columns: BTreeMap::new(),
                now: Timestamp::UNIX_EPOCH,
            };
            let mut all = Vec::new();
            read_requests(text.as_bytes(), &form, &mut |request| {
                all.push(request);
                true
            })
            .unwrap();
            all
        };
        let mut store = Memory::new();
        let (kept, refused) = within(&store, read(&[1, 2]), 3).unwrap();
        assert_eq!((kept.len(), refused), (2, 0));
        store.apply(&[Step::ChangeRequests(kept)]).unwrap();
        let (kept, refused) = within(&store, read(&[1, 2, 3, 4, 5]), 3).unwrap();
        let ids: Vec<&str> = kept.iter().map(|request| request.id.as_str()).collect();
        assert_eq!((ids, refused), (vec!["1", "2", "3"], 2));
        // Of what is known already there is no news; of one that comes twice, what it said last.
        assert_eq!(news(&store, &kept).unwrap(), ["3 (new, approved)"]);
        let later = ChangeRequest { approval: Approval::Rejected, ..kept[0].clone() };
        let again = news(&store, &[kept[0].clone(), later.clone(), later]).unwrap();
        assert_eq!(again, ["1 (rejected, which was approved)"]);
    }

    #[test]
    fn every_request_that_is_news_is_named_by_whoever_brought_it() {
        let news: Vec<String> = (0..45).map(|id| format!("CHG{id} (new, approved)")).collect();
        let events = told("ada", "itsm", &news);
        assert_eq!(events.len(), 3);
        assert!(events[2].starts_with("ada wrote down the change requests of itsm: CHG40 (new"));
        assert!(news.iter().all(|one| events.iter().any(|event| event.contains(one))));
        assert_eq!(
            told("ada", "itsm", &news[..1]),
            ["ada wrote down the change request of itsm: CHG0 (new, approved)"]
        );
        assert!(told("ada", "itsm", &[]).is_empty());
    }
}
