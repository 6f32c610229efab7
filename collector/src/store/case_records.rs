//! What is kept of support cases: their times and words, never their text.
//!
//! A case is known by its source and its id there. When it was opened stays what was said first;
//! everything else is what was said last, and what it replaced is kept, so that an evaluation of
//! the past can be made again with what was known then. Words are the source's own: what they mean
//! here is said by the configuration when they are read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cursor, StoreError};

/// The most cases that are kept of one source: as many as a pass of the engine reads of all. Beyond
/// them its oldest go, as if they were not kept as long; other sources keep theirs.
pub const SOURCE_CASES: u64 = 2_000_000;

/// The most different words of services, sites, categories, teams and priorities that one source
/// may bring: all of them are read for every count. A column with more holds numbers or sentences
/// and was mapped by mistake. Beyond them a new word is left out; other sources bring theirs.
pub const SOURCE_WORDS: u64 = 50_000;

/// The most that is kept of what the facts of one case were, the newest.
pub const CASE_PAST: usize = 50;

/// One case as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// A number for pages; the store gives it when the case is first seen.
    pub number: i64,
    /// The system it comes from.
    pub source: String,
    /// Its name there.
    pub id: String,
    /// When it was opened, as said first.
    pub opened_at: Timestamp,
    /// When its system first held it, if it said so when the case was first seen.
    pub recorded_at: Option<Timestamp>,
    /// When the collector first received it.
    pub received_at: Timestamp,
    /// What may change.
    #[serde(flatten)]
    pub facts: CaseFacts,
}

/// What of a case may change. Words are empty where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFacts {
    /// The service, as its system writes it.
    pub service: String,
    /// The site, as its system writes it.
    pub site: String,
    /// The category, as its system writes it.
    pub category: String,
    /// Who works on it.
    pub team: String,
    /// How urgent it is.
    pub priority: String,
    /// Where it stands.
    pub status: CaseStatus,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When it must be resolved.
    pub due_at: Option<Timestamp>,
    /// The case it is part of or was merged into; such a case is not counted again.
    pub parent: String,
}

impl CaseFacts {
    /// Whether a case counts with these as it did with `other`: for the same service, site and
    /// category, or for nothing. Only what does not is kept of the past.
    pub fn counts_as(&self, other: &Self) -> bool {
        let words = |facts: &Self| {
            [&facts.service, &facts.site, &facts.category, &facts.parent].map(String::clone)
        };
        words(self) == words(other)
    }
}

/// Where a case stands; a closed list, so it can be a metric label.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CaseStatus {
    /// Somebody is to work on it.
    #[default]
    Open,
    /// It waits for somebody else.
    Pending,
    /// It is done.
    Resolved,
    /// It is done and agreed to be.
    Closed,
}

impl CaseStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Open, Self::Pending, Self::Resolved, Self::Closed];

    /// The word used in answers, metrics and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// The status a system means by `word`, as docs/cases.md lists them; `None` where it is none of
    /// the words known here.
    pub fn meant_by(word: &str) -> Option<Self> {
        let word = word.trim().to_lowercase();
        let has = |stems: &[&str]| stems.iter().any(|stem| word.contains(stem));
        let open = ["open", "new", "assigned", "accepted", "acknowledged", "active", "in progress"];
        if has(&["unresolved", "reopen", "re-open"]) {
            Some(Self::Open)
        } else if has(&["clos", "cancel"]) {
            Some(Self::Closed)
        } else if has(&["resolv", "solved", "done", "complete"]) {
            Some(Self::Resolved)
        } else if has(&["pend", "hold", "wait"]) {
            Some(Self::Pending)
        } else {
            let is_open = open.contains(&word.as_str()) || word == "work in progress";
            is_open.then_some(Self::Open)
        }
    }

    /// Whether somebody is still to do something.
    pub fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Pending => true,
            Self::Resolved | Self::Closed => false,
        }
    }
}

/// One reading of a source: what it came to, whether or not it was a whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReading {
    /// The source.
    pub source: String,
    /// When it was read.
    pub at: Timestamp,
    /// Up to when it told all it had; `None` when it was not read to the end, so that what it
    /// lacks is unobserved and not zero cases.
    pub good_through: Option<Timestamp>,
    /// Cases it held.
    pub rows: u64,
    /// Those of them that could not be taken.
    pub refused: u64,
    /// What was wrong, for people; empty when nothing was.
    pub problem: String,
}

/// What is known of one source of cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedRecord {
    /// Its name.
    pub source: String,
    /// Up to when the first whole reading told all.
    pub first_good: Option<Timestamp>,
    /// Up to when the last whole reading told all.
    pub last_good: Option<Timestamp>,
    /// When it was last read, be it in part.
    pub last_read: Timestamp,
    /// Cases read since the store was made, repetitions among them.
    pub rows: u64,
    /// Cases refused since the store was made.
    pub refused: u64,
    /// What was wrong with the last reading; empty when it was whole.
    pub problem: String,
    /// Words left out because the source brought [`SOURCE_WORDS`], since it last had room.
    #[serde(default)]
    pub words_beyond: u64,
}

impl FeedRecord {
    /// The record after `reading`; `previous` is what was known.
    pub fn after(previous: Option<&Self>, reading: &CaseReading) -> Self {
        let good = reading.good_through;
        let before = |of: fn(&Self) -> Option<Timestamp>| previous.and_then(of);
        Self {
            source: reading.source.clone(),
            first_good: before(|feed| feed.first_good).or(good),
            last_good: before(|feed| feed.last_good).max(good),
            last_read: reading.at,
            rows: previous.map_or(0, |feed| feed.rows).saturating_add(reading.rows),
            refused: previous.map_or(0, |feed| feed.refused).saturating_add(reading.refused),
            problem: reading.problem.clone(),
            words_beyond: previous.map_or(0, |feed| feed.words_beyond),
        }
    }
}

/// How far the knowledge of cases had come at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CasesKnown {
    /// The number of the newest case.
    pub case: i64,
    /// The number of the newest replacement of a case's facts.
    pub update: i64,
}

/// Which cases are asked for; every field narrows. Words are those of the source.
#[derive(Clone, Debug, Default)]
pub struct CaseFilter {
    /// From this source.
    pub source: Option<String>,
    /// With this id.
    pub id: Option<String>,
    /// Opened at or after.
    pub from: Option<Timestamp>,
    /// Opened before.
    pub to: Option<Timestamp>,
    /// After this place in the list, for the next page.
    pub after: Option<Cursor>,
    /// At most this many; 0 means [`super::DEFAULT_LIMIT`].
    pub limit: u32,
}

impl CaseRecord {
    /// Its place in a list of cases.
    pub fn place(&self) -> Cursor {
        Cursor { at: self.opened_at, number: self.number }
    }
}

/// How many cases have the same words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseCount {
    /// The source.
    pub source: String,
    /// The service, as its system writes it.
    pub service: String,
    /// The site, as its system writes it.
    pub site: String,
    /// The category, as its system writes it.
    pub category: String,
    /// How many cases.
    pub cases: u64,
}

/// One case as the engine counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedCase<'a> {
    /// The source.
    pub source: &'a str,
    /// When it was opened, in seconds since 1970, UTC.
    pub opened_at: i64,
    /// When its system, else the collector, first held it, in seconds since 1970.
    pub recorded_at: Option<i64>,
    /// The service, as its system writes it.
    pub service: &'a str,
    /// The site, as its system writes it.
    pub site: &'a str,
    /// The category, as its system writes it.
    pub category: &'a str,
}

/// One case that somebody is still to do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenCase<'a> {
    /// The source.
    pub source: &'a str,
    /// When it was opened, in seconds since 1970, UTC.
    pub opened_at: i64,
    /// When it must be resolved, in seconds since 1970, UTC.
    pub due_at: Option<i64>,
    /// The service, as its system writes it.
    pub service: &'a str,
    /// The site, as its system writes it.
    pub site: &'a str,
    /// The category, as its system writes it.
    pub category: &'a str,
    /// Who works on it.
    pub team: &'a str,
    /// How urgent it is.
    pub priority: &'a str,
}

/// What pages, commands and the engine ask about cases.
pub trait ReadCases: Send + Sync {
    /// Cases, newest opened first, then by number.
    ///
    /// # Errors
    /// [`StoreError`], as for all of these.
    fn cases(&self, filter: &CaseFilter) -> Result<Vec<CaseRecord>, StoreError>;

    /// Gives each case that counts once (merged and child cases do not) to `take`: of those opened
    /// at or after `of.0`, as they were known at `of.1`, at most `limit`, the newest opened first.
    fn each_case(
        &self,
        of: (Timestamp, CasesKnown),
        limit: u64,
        take: &mut dyn FnMut(CountedCase<'_>),
    ) -> Result<(), StoreError>;

    /// Gives each case that counts once and is still open to `take`, those that must be resolved
    /// first before the others, at most `limit`.
    fn each_open_case(
        &self,
        limit: u64,
        take: &mut dyn FnMut(OpenCase<'_>),
    ) -> Result<(), StoreError>;

    /// How far the knowledge of cases has come.
    fn cases_known(&self) -> Result<CasesKnown, StoreError>;

    /// Cases opened at or after `from` by their words, in no order.
    fn case_counts(&self, from: Timestamp) -> Result<Vec<CaseCount>, StoreError>;

    /// From opened to known, in seconds, of the newest cases, at most `limit`: only of cases whose
    /// system said when it first held them, and of those that were opened after their source was
    /// first read to the end. What was loaded from the past says nothing of delays.
    fn case_delays(&self, limit: u32) -> Result<Vec<i64>, StoreError>;

    /// The key of the fingerprints that stand for what is hidden in cases; the same for the life of
    /// the store.
    fn case_key(&self) -> Result<[u8; 32], StoreError>;

    /// Every source that was ever read, by name.
    fn case_feeds(&self) -> Result<Vec<FeedRecord>, StoreError>;
}
