//! One pass of the engine over what the store holds: what is given to it, and what came of it.
//!
//! Behind the watermark: cases become known some time after they were opened, so the last stretch
//! of time is left out, as long as most cases took until now. Everything the engine is given is one
//! value, [`PassInput`], which is kept with what it said; [`judge`] says the same again from it.
//! Reads the store and writes nothing; the clock comes in as a value. Bounded: so many changes,
//! candidates and cases, the newest first; what is left out is counted.

#![deny(clippy::disallowed_methods, reason = "the same store and moment give the same pass")]

pub mod levels;
pub mod sources;
pub mod unmapped;
pub mod volumes;
pub mod window;

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::analysis::cases::{Candidate, Exposure, Gather, Named, Stream};
use crate::analysis::change::ChangeKind;
use crate::analysis::change_sets::{ChangeSet, ChangeSets};
use crate::analysis::correlate::{Holiday, Settings, Tier, Verdict, correlate};
use crate::analysis::site_clock::SiteClock;
use crate::config::{Config, Mapper, Words};
use crate::store::{
    CasesKnown, ChangeFilter, ChangeRecord, StoreError, SuspectRecord, each_change,
};
use crate::writer::Reads;
use window::{Window, seen};

/// The most cases of one pass: 80 MB. The newest are taken.
pub const CASES: u64 = 2_000_000;

/// The most changes read in one pass. The newest are taken.
pub const CHANGES: usize = 200_000;

/// The most candidates of one pass: what the engine judges within minutes. The newest are taken.
pub const CANDIDATES: usize = 1_000;

/// Cases from so long before the first candidate are read: twelve weeks that say who is eligible,
/// and one to spare.
const HISTORY: SignedDuration = SignedDuration::from_hours(13 * 7 * 24);

/// A rollout that began this long before the look-back is still seen from its beginning.
const MARGIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many delays say how long cases take to be known.
pub const DELAYS: u32 = 2_000;

/// The fewest that say anything.
const DELAYS_LEAST: usize = 50;

/// What is taken while too few say anything.
const DELAY_UNKNOWN: SignedDuration = SignedDuration::from_hours(1);

/// The longest delay that is believed; what takes longer was loaded from elsewhere.
const DELAY_MOST: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The share of cases that are known by the watermark.
const KNOWN_SHARE: f64 = 0.95;

/// Waves closer than this are one.
const WAVE: SignedDuration = SignedDuration::from_hours(1);

/// The hosts a suspect names; it counts all of them.
const HOSTS_NAMED: usize = 20;

/// Everything the engine is given in one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassInput {
    /// The version of the program.
    pub engine: String,
    /// Cases opened before are taken as known.
    pub watermark: Timestamp,
    /// Cases opened from then on are read.
    pub from: Timestamp,
    /// What of cases was known.
    pub known: CasesKnown,
    /// The sources whose cases count; all of them in a pass that was kept without saying.
    #[serde(default)]
    pub sources: Option<BTreeSet<String>>,
    /// What their words meant.
    pub mapper: Mapper,
    /// The share of wrong claims that is put up with, in percent.
    pub wrong_claims_percent: u64,
    /// How long after a change cases are counted, in hours.
    pub window_hours: u32,
    /// Days on which sites work less.
    #[serde(default)]
    pub days_off: Vec<Holiday>,
    /// What the clocks of sites show, and when people work there.
    #[serde(default)]
    pub clocks: Vec<SiteClock>,
    /// The changes, all competing with each other.
    pub candidates: Vec<Candidate>,
}

/// The cases a pass read, with what says whether they answer another question too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The cases.
    pub stream: Stream,
    /// Those opened from then on.
    pub from: Timestamp,
    /// By what their words mean.
    pub mapper: Mapper,
}

/// A pass that was prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// What the engine is given.
    pub input: PassInput,
    /// The sets behind the candidates, by the candidate's id.
    sets: BTreeMap<String, ChangeSet>,
    /// Changes or candidates that were left out because there were too many.
    pub left_out: u64,
    /// How many changes were read.
    pub read: u64,
    /// Changed at or after: what is looked at.
    pub since: Timestamp,
}

/// How long cases take to be known: the time within which most of `delays`, in seconds, were.
pub fn delay(delays: &[i64]) -> SignedDuration {
    let most = DELAY_MOST.as_secs();
    let mut known: Vec<i64> =
        delays.iter().copied().filter(|delay| *delay <= most).map(|delay| delay.max(0)).collect();
    if known.len() < DELAYS_LEAST {
        return DELAY_UNKNOWN;
    }
    known.sort_unstable();
    let place = (known.len() as f64 * KNOWN_SHARE).ceil() as usize;
    let seconds = known.get(place.saturating_sub(1)).copied().unwrap_or(most);
    SignedDuration::from_secs(seconds)
}

/// Gathers what the engine shall be given at `now`; `None` when no cases are known. What is read of
/// changes stays in `window`, and a later pass reads only what is new.
///
/// # Errors
/// [`StoreError`].
pub fn prepare(
    (store, window): (&dyn Reads, &mut Window),
    config: &Config,
    now: Timestamp,
) -> Result<Option<Prepared>, StoreError> {
    let delay = delay(&store.case_delays(DELAYS)?);
    let feeds = store.case_feeds()?;
    let Some(watermark) = sources::watermark(&feeds, config, (delay, now)) else { return Ok(None) };
    let settings = &config.correlation;
    let back = |from: Timestamp, by| from.checked_sub(by).unwrap_or(Timestamp::UNIX_EPOCH);
    let hours = i64::try_from(settings.look_back_days * 24).unwrap_or(i64::MAX);
    let since = back(watermark, SignedDuration::from_hours(hours));
    let stretch = (back(since, MARGIN), watermark);
    let (sets, mut left_out) = window.sets(store, stretch)?;
    let mut by_id = BTreeMap::new();
    let mut candidates = Vec::new();
    for set in sets.into_iter().filter(|set| set.at() >= since) {
        for candidate in candidates_of(&set, config, (store, window))? {
            by_id.insert(candidate.id.clone(), set.clone());
            candidates.push(candidate);
        }
    }
    candidates.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.id.cmp(&b.id)));
    left_out += candidates.len().saturating_sub(CANDIDATES) as u64;
    candidates.truncate(CANDIDATES);
    let input = PassInput {
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        watermark,
        from: back(since, HISTORY),
        known: store.cases_known()?,
        sources: Some(sources::counted(&feeds)),
        mapper: config.mapper(),
        wrong_claims_percent: settings.wrong_claims_percent,
        window_hours: settings.window_hours,
        days_off: config.days_off(),
        clocks: config.clocks(),
        candidates,
    };
    Ok(Some(Prepared { input, sets: by_id, left_out, read: window.read(), since }))
}

/// The change sets among what meant something between two moments and is `wanted`, and how many
/// changes were left out.
///
/// # Errors
/// [`StoreError`].
pub fn change_sets(
    store: &dyn Reads,
    (from, to): (Timestamp, Timestamp),
    wanted: impl Fn(&ChangeRecord) -> bool,
) -> Result<(Vec<ChangeSet>, u64), StoreError> {
    let (sets, cut) = gathered(store, (from, to), wanted)?;
    Ok((sets.sets(to), u64::from(cut)))
}

/// What meant something between two moments and is `wanted`; whether changes were left out.
///
/// # Errors
/// [`StoreError`].
pub fn gathered(
    store: &dyn Reads,
    (from, to): (Timestamp, Timestamp),
    wanted: impl Fn(&ChangeRecord) -> bool,
) -> Result<(ChangeSets, bool), StoreError> {
    let mut sets = ChangeSets::default();
    let cut = each_meant(store, (from, Some(to)), &mut |record| {
        if wanted(record) {
            sets.add(&seen(record));
        }
    })?;
    Ok((sets, cut))
}

/// Gives what meant something from `from` on and before `to` to `take`, the newest first. Says
/// whether there was more than [`CHANGES`].
fn each_meant(
    store: &dyn Reads,
    (from, to): (Timestamp, Option<Timestamp>),
    take: &mut dyn FnMut(&ChangeRecord),
) -> Result<bool, StoreError> {
    let filter = ChangeFilter {
        kinds: ChangeKind::ALL.into_iter().filter(|kind| kind.is_semantic()).collect(),
        from: Some(from),
        to,
        ..ChangeFilter::default()
    };
    each_change(store, (filter, CHANGES), |record| take(&record))
}

/// The candidates of one set: one for each service its hosts serve.
fn candidates_of(
    set: &ChangeSet,
    config: &Config,
    (store, window): (&dyn Reads, &mut Window),
) -> Result<Vec<Candidate>, StoreError> {
    let mut by_service: BTreeMap<Option<String>, Touched> = BTreeMap::new();
    for (host, at) in &set.hosts {
        let place = config.place(host, window.kind(store, host)?);
        let served = if mutant::active(Mutant::CentralHostsServeTheirOwnSite) {
            config.served_at_home(&place)
        } else {
            config.served(&place)
        };
        for served in served {
            by_service.entry(served.service).or_default().add(served.sites, *at);
        }
    }
    let candidate = |(service, touched): (Option<String>, Touched)| {
        let at = touched.at.as_second();
        let word = service.as_deref().unwrap_or("*");
        let late = |reached: Timestamp| reached.duration_since(touched.at) > WAVE;
        let waves = touched.sites.iter().filter(|(_, reached)| late(**reached));
        Candidate {
            id: format!("set-{}/{word}", set.number),
            at,
            waves: waves.map(|(site, at)| (site.clone(), at.as_second())).collect(),
            exposure: match touched.reach {
                Reach::Some => Exposure::Sites(touched.sites.into_keys().collect()),
                Reach::All => Exposure::Everywhere,
                Reach::Unknown => Exposure::Unknown,
            },
            service,
            kind: Some(set.kind.clone()),
            window_hours: None,
        }
    };
    Ok(by_service.into_iter().map(candidate).collect())
}

/// Whom the hosts of a set serve for one service.
#[derive(Debug)]
struct Touched {
    reach: Reach,
    at: Timestamp,
    sites: BTreeMap<String, Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Some,
    All,
    /// One host of nobody knows where, and nobody knows which sites were left alone.
    Unknown,
}

impl Default for Touched {
    fn default() -> Self {
        Self { reach: Reach::Some, at: Timestamp::MAX, sites: BTreeMap::new() }
    }
}

impl Touched {
    fn add(&mut self, sites: Option<Vec<String>>, at: Timestamp) {
        self.at = self.at.min(at);
        let reach = match &sites {
            None => Reach::Unknown,
            Some(sites) if sites.is_empty() => Reach::All,
            Some(_) => Reach::Some,
        };
        self.reach = self.reach.max(reach);
        for site in sites.into_iter().flatten() {
            let reached = self.sites.entry(site).or_insert(at);
            *reached = at.min(*reached);
        }
    }
}

/// The cases of `input`, as they were known, by what their words meant.
///
/// # Errors
/// [`StoreError`].
pub fn stream(store: &dyn Reads, input: &PassInput) -> Result<Stream, StoreError> {
    let mut gather = Gather::default();
    for site in input.mapper.sites() {
        gather.add_site(site);
    }
    let mut meanings: BTreeMap<(String, Words), Words> = BTreeMap::new();
    let mut last: Option<((String, Words), Words)> = None;
    let end = input.watermark.as_second();
    store.each_case((input.from, input.known), CASES, &mut |case| {
        let counts = input.sources.as_ref().is_none_or(|all| all.contains(case.source));
        if case.opened_at >= end || !counts {
            return;
        }
        let same = last.as_ref().is_some_and(|((source, words), _)| {
            source == case.source
                && words.service == case.service
                && words.site == case.site
                && words.category == case.category
        });
        if !same {
            let words = Words {
                service: case.service.to_owned(),
                site: case.site.to_owned(),
                category: case.category.to_owned(),
            };
            let key = (case.source.to_owned(), words);
            let meaning = meanings
                .entry(key.clone())
                .or_insert_with(|| input.mapper.map(&key.0, &key.1))
                .clone();
            last = Some((key, meaning));
        }
        if let Some((_, meaning)) = &last {
            gather.add(&Named {
                opened_at: case.opened_at,
                // Late cases are what the watermark is for; those that came later still count.
                recorded_at: None,
                service: &meaning.service,
                site: &meaning.site,
                category: &meaning.category,
            });
        }
    })?;
    Ok(gather.finish())
}

/// What the engine says of `input`, given its `stream`.
pub fn judge(stream: &Stream, input: &PassInput) -> Vec<Verdict> {
    let settings = Settings {
        q: input.wrong_claims_percent as f64 / 100.0,
        until: Some(input.watermark.as_second()),
        window_hours: input.window_hours,
        holidays: input.days_off.clone(),
        clocks: input.clocks.clone(),
        threads: 1,
        ..Settings::default()
    };
    let mut verdicts = correlate(stream, &input.candidates, &settings);
    if mutant::active(Mutant::EveryChangeIsSupported) {
        verdicts.iter_mut().for_each(|verdict| verdict.evidence.tier = Tier::Supported);
    }
    verdicts
}

/// What is to be kept of `verdicts`, the engine's answer to `prepared` in the pass of this number.
pub fn suspects(prepared: &Prepared, verdicts: &[Verdict], pass: i64) -> Vec<SuspectRecord> {
    let by_id: BTreeMap<&str, &Candidate> =
        prepared.input.candidates.iter().map(|one| (one.id.as_str(), one)).collect();
    let suspect = |verdict: &Verdict| {
        let set = prepared.sets.get(&verdict.id)?;
        let candidate = (*by_id.get(verdict.id.as_str())?).clone();
        let hosts = set.hosts.iter().take(HOSTS_NAMED);
        Some(SuspectRecord {
            number: 0,
            key: verdict.id.clone(),
            at: Timestamp::from_second(candidate.at).unwrap_or(Timestamp::UNIX_EPOCH),
            pass,
            kind: set.kind.clone(),
            parts: set.parts.clone(),
            changes: set.changes.clone(),
            total: set.total,
            hosts: hosts.map(|(host, _)| host.to_string()).collect(),
            host_count: set.hosts.len() as u64,
            candidate,
            evidence: verdict.evidence.clone(),
            outcome: None,
        })
    };
    verdicts.iter().filter_map(suspect).collect()
}

#[cfg(test)]
mod tests;
