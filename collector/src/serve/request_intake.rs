//! The one door change requests come through, whether they are posted or lie in a folder.
//!
//! As with cases, rows are read on a thread for blocking work and kept in groups, one group of all
//! sources after the other: what is news of a request is what the store does not say, so whoever
//! comes next looks when that is durable ([`Turns`]). What retention would take at once is neither
//! kept nor told. How the newest reading of each source went is in memory only: after a start
//! everything is read once more.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::state::Collector;
use crate::analysis::classify::request::ChangeRequest;
use crate::cases::{Came, ColumnNotes, ReadError};
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
pub(super) const SOURCES_MOST: usize = 1_000;

/// Whose turn it is to decide on change requests. A group's turn is some hundredths of a second,
/// and nobody waits in it for whoever sends the rows; a turn for each source would have to be
/// bounded in number and would gain nothing.
#[derive(Debug, Default)]
pub struct Turns(Arc<tokio::sync::Mutex<()>>);

impl Turns {
    /// The next turn, in the order in which it was asked for; it is over when this is dropped.
    async fn next(&self) -> Option<OwnedMutexGuard<()>> {
        if mutant::active(Mutant::RequestsWaitForNobody) {
            return None;
        }
        Some(Arc::clone(&self.0).lock_owned().await)
    }
}

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
    /// How many were over before what is kept, and were left out; that is no problem.
    #[serde(default)]
    pub too_old: u64,
    /// What was wrong, in a sentence; empty when nothing was.
    pub problem: String,
    /// What was odd about the names of its columns.
    #[serde(flatten)]
    pub columns: ColumnNotes,
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
    /// How many were left out because retention would take them at once.
    pub too_old: u64,
    /// Why nothing could be read after that, if so.
    pub broken: Option<ReadError>,
}

impl Taken {
    /// What was wrong, in a sentence; nothing when it was read to the end and taken whole.
    pub fn problem(&self) -> Option<String> {
        let first = self.came.refused.sentence(self.came.rows, "requests");
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
            too_old: self.too_old,
            problem: self.problem().unwrap_or_default(),
            columns: self.came.columns.clone(),
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
        approvals: source.approvals.clone(),
        kinds: source.kinds.clone(),
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
    let mut taken = Taken { came: Came::default(), too_many: 0, too_old: 0, broken: None };
    while let Some(group) = groups.recv().await {
        if group.is_empty() {
            continue;
        }
        let (too_many, too_old) = keep(collector, (&source.name, who), group).await?;
        taken.too_many += too_many;
        taken.too_old += too_old;
    }
    match reading.await.map_err(|_| WriteError::Failed)? {
        Ok(came) => Ok(Taken { came, ..taken }),
        Err(error) => Ok(Taken { broken: Some(error), ..taken }),
    }
}

/// Makes a group of `source` durable and tells of it; how many had no room, and how many are too
/// old.
async fn keep(
    collector: &Arc<Collector>,
    (source, who): (&str, &str),
    group: Vec<ChangeRequest>,
) -> Result<(u64, u64), WriteError> {
    let turn = collector.request_turns.next().await;
    let (store, from) = (Arc::clone(&collector.read), collector.kept_from(Timestamp::now()));
    let sorting = tokio::task::spawn_blocking(move || sort(&*store, group, (SOURCE_MOST, from)));
    let sorted = sorting.await.map_err(|_| WriteError::Failed)?.map_err(|_| WriteError::Failed)?;
    let Sorted { kept, news, too_many, too_old } = sorted;
    collector.live.requests_refused.fetch_add(too_many, Ordering::Relaxed);
    if kept.is_empty() {
        return Ok((too_many, too_old));
    }
    let told = told(who, source, &news);
    collector
        .writer
        .ask(move |_, context| {
            let kind = EventKind::RequestChanged;
            let event = |detail| EventRecord { at: context.now, host: None, kind, detail };
            let mut steps = vec![Step::ChangeRequests(kept)];
            steps.extend(told.into_iter().map(|detail| Step::Event(event(detail))));
            // The turn is the answer: it is over when all this is durable, also where whoever
            // asked went away meanwhile.
            Ok(Decided { answer: turn, parts: Vec::new(), steps })
        })
        .await?;
    Ok((too_many, too_old))
}

/// What is done with the requests of one group.
#[derive(Debug, Default)]
struct Sorted {
    /// Those that are kept.
    kept: Vec<ChangeRequest>,
    /// What each of them says that was not known, by its id.
    news: Vec<String>,
    /// How many are refused, since their source has too many.
    too_many: u64,
    /// How many are left out, since retention would take them at once.
    too_old: u64,
}

/// Sorts `group`, which is of one source, whose requests may be `most` and are kept from `from` on.
/// One that is known goes on being replaced whatever it says now.
fn sort(
    store: &dyn Reads,
    group: Vec<ChangeRequest>,
    (most, from): (u64, Timestamp),
) -> Result<Sorted, StoreError> {
    let source = group.first().map(|request| request.source.clone()).unwrap_or_default();
    let mut room = most.saturating_sub(store.count_requests(&source)?);
    let mut earlier: BTreeMap<String, ChangeRequest> = BTreeMap::new();
    let mut sorted = Sorted::default();
    for request in group {
        let known = match earlier.remove(&request.id) {
            Some(earlier) => Some(earlier),
            None => known(store, &request)?,
        };
        if known.is_none() && request.end < from {
            sorted.too_old += 1;
            continue;
        }
        if known.is_none() && room == 0 {
            sorted.too_many += 1;
            continue;
        }
        room -= u64::from(known.is_none());
        let news = request.news(known.as_ref());
        sorted.news.extend(news.map(|news| format!("{} ({news})", request.id)));
        earlier.insert(request.id.clone(), request.clone());
        sorted.kept.push(request);
    }
    Ok(sorted)
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
                approvals: Default::default(),
                kinds: Default::default(),
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
        let bounds = (3, Timestamp::UNIX_EPOCH);
        let first = sort(&store, read(&[1, 2]), bounds).unwrap();
        assert_eq!((first.kept.len(), first.too_many), (2, 0));
        store.apply(&[Step::ChangeRequests(first.kept)]).unwrap();
        let Sorted { kept, news, too_many, too_old } =
            sort(&store, read(&[1, 2, 3, 4, 5]), bounds).unwrap();
        let ids: Vec<&str> = kept.iter().map(|request| request.id.as_str()).collect();
        assert_eq!((ids, too_many, too_old), (vec!["1", "2", "3"], 2, 0));
        // Of what is known already there is no news; of one that comes twice, what it said last.
        assert_eq!(news, ["3 (new, approved)"]);
        let later = ChangeRequest { approval: Approval::Rejected, ..kept[0].clone() };
        let again = vec![kept[0].clone(), later.clone(), later];
        let again = sort(&store, again, bounds).unwrap();
        assert_eq!(again.news, ["1 (rejected, which was approved)"]);
        // What retention would take at once is neither kept nor told, and takes no room; what is
        // known is replaced also by one that was over long ago, or it would count as it was.
        let from = kept[0].end + jiff::SignedDuration::from_secs(1);
        let sorted = sort(&store, read(&[1, 9]), (0, from)).unwrap();
        assert_eq!((sorted.kept.len(), sorted.too_many, sorted.too_old), (1, 0, 1));
        assert!(sorted.news.is_empty());
        assert_eq!(sort(&store, read(&[9]), (9, kept[0].end)).unwrap().too_old, 0);
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
