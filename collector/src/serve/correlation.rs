//! The correlation pass beside the requests: on a thread for blocking work, one at a time.
//!
//! A pass that would be given the same as the last one is left out, and what it says again is not
//! written again. What metrics and pages need of the newest pass stays in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::state::Collector;
use super::upkeep::goes_on;
use crate::analysis::cases::Stream;
use crate::analysis::site_clock::common_zone;
use crate::analysis::volume::{self, Bucket, Buckets, CellKey, Method, VolumeSettings};
use crate::config::Config;
use crate::ingest::{Context, Decided};
use crate::pass::levels::{ServiceLevels, UNMAPPED, service_levels};
use crate::pass::window::Window;
use crate::pass::{self, Cached, PassInput, Prepared, sources};
use crate::store::{MAX_LIMIT, PassRecord, Step, StoreError, SuspectFilter, SuspectRecord, Totals};
use crate::writer::{Reads, WriteError};

/// How many suspects are made durable together.
const GROUP: usize = 200;

/// How often is looked while no pass came to anything: the first cases of a new source wait no
/// longer, and a look that finds nothing new costs a few rows.
const UNTIL_THE_FIRST: Duration = Duration::from_secs(20);

/// The chance that a quiet hour of a service is above its bound: once in six weeks.
pub const ALPHA: f64 = 0.001;

/// What the newest pass came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correlated {
    /// Cases opened before are taken as known.
    pub watermark: Timestamp,
    /// When the pass ended.
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub took: f64,
    /// Changes or candidates left out because there were too many.
    pub left_out: u64,
    /// The last whole hour before the watermark, by service and site; names of the configuration.
    pub opened: BTreeMap<(String, String), u64>,
    /// The same by service, with what was expected and the largest count that is no alarm.
    pub volumes: BTreeMap<String, (Option<f64>, Option<f64>)>,
    /// Suspects of the look-back by service and tier; an empty service is all of them.
    pub suspects: BTreeMap<(String, String), u64>,
    /// Cases of the look-back whose service, and whose site, the configuration does not know.
    pub unmapped: (u64, u64),
}

/// What is known of the newest pass; empty before the first.
#[derive(Debug, Default)]
pub struct Latest {
    pass: Held<Option<Arc<Correlated>>>,
    cases: Held<Option<Arc<Cached>>>,
    levels: Held<Arc<ServiceLevels>>,
}

impl Latest {
    /// What the newest pass came to.
    pub fn get(&self) -> Option<Arc<Correlated>> {
        self.pass.get()
    }

    /// The cases the newest pass read, so that pages need not read them again.
    pub fn cases(&self) -> Option<Arc<Cached>> {
        self.cases.get()
    }

    /// Where open cases stood a moment ago.
    pub fn levels(&self) -> Arc<ServiceLevels> {
        self.levels.get()
    }
}

/// A value that one task sets and others take.
#[derive(Debug, Default)]
struct Held<T>(Mutex<T>);

impl<T: Clone> Held<T> {
    fn get(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

/// What decides whether a pass would be given anything new.
#[derive(PartialEq)]
struct Given {
    watermark: Option<Timestamp>,
    sources: BTreeSet<String>,
    known: crate::store::CasesKnown,
    totals: Totals,
    config: Arc<Config>,
}

/// What one pass leaves to the next.
#[derive(Default)]
struct Kept {
    given: Option<Given>,
    window: Window,
}

/// Makes passes until the collector stops.
pub(super) async fn run(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    let mut last = Kept::default();
    let every = |collector: &Collector| {
        Duration::from_secs(collector.settings().config.correlation.every_seconds)
    };
    // The first soon after the start, so that pages need not wait for the second.
    let mut wait = every(&collector).min(Duration::from_secs(5));
    let soon = |collector: &Collector| every(collector).min(UNTIL_THE_FIRST);
    while goes_on(&mut stopped, wait).await {
        if let Err(error) = once(&collector, &mut last).await {
            tracing::warn!(%error, "changes could not be held against cases; tried again");
        }
        let came = collector.correlated.get().is_some();
        wait = if came { every(&collector) } else { soon(&collector) };
    }
}

/// Why a pass came to nothing.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error("reading for a pass of the engine")]
    Read(#[from] StoreError),
    #[error("keeping what a pass of the engine said")]
    Write(#[from] WriteError),
    #[error("the engine broke; this is a bug, please report it")]
    Broke,
}

async fn once(collector: &Arc<Collector>, last: &mut Kept) -> Result<(), PassError> {
    let (store, config) = (Arc::clone(&collector.read), collector.settings().config);
    // After an error everything is read anew.
    let Kept { given: before, mut window } = std::mem::take(last);
    let made = tokio::task::spawn_blocking(move || {
        let given = given(&*store, &config)?;
        let levels = service_levels(&*store, &config, Timestamp::now())?;
        let made = match before.as_ref() == Some(&given) {
            true => None,
            false => make((&*store, &mut window), &config)?,
        };
        Ok::<_, StoreError>((Kept { given: Some(given), window }, levels, made))
    });
    let made = made.await.map_err(|_| {
        collector.live.count_panic("upkeep");
        PassError::Broke
    })?;
    let (kept, levels, made) = made?;
    collector.correlated.levels.set(Arc::new(levels));
    if let Some(Made { correlated, cached, pass, said, gone }) = made {
        keep(collector, pass, (said, gone)).await?;
        collector.correlated.pass.set(Some(Arc::new(correlated)));
        collector.correlated.cases.set(Some(Arc::new(cached)));
    }
    *last = kept;
    Ok(())
}

fn given(store: &dyn Reads, config: &Arc<Config>) -> Result<Given, StoreError> {
    let delay = pass::delay(&store.case_delays(pass::DELAYS)?);
    let totals = Totals { bytes: 0, ..store.totals()? };
    let feeds = store.case_feeds()?;
    Ok(Given {
        watermark: sources::watermark(&feeds, config, (delay, Timestamp::now())),
        sources: sources::counted(&feeds),
        known: store.cases_known()?,
        totals,
        config: Arc::clone(config),
    })
}

/// What a pass came to, to be kept.
struct Made {
    correlated: Correlated,
    cached: Cached,
    pass: PassRecord,
    /// What is new.
    said: Vec<SuspectRecord>,
    /// What was not found any more, by key.
    gone: Vec<String>,
}

fn make(
    (store, window): (&dyn Reads, &mut Window),
    config: &Config,
) -> Result<Option<Made>, StoreError> {
    let began = Instant::now();
    let prepared = pass::prepare((store, window), config, Timestamp::now())?;
    let Some(prepared) = prepared else { return Ok(None) };
    let stream = pass::stream(store, &prepared.input)?;
    let verdicts = pass::judge(&stream, &prepared.input);
    let number = store.last_pass()? + 1;
    let found = pass::suspects(&prepared, &verdicts, number);
    let filter =
        SuspectFilter { from: Some(prepared.since), limit: MAX_LIMIT, ..SuspectFilter::default() };
    let known: BTreeMap<String, SuspectRecord> =
        store.suspects(&filter)?.into_iter().map(|one| (one.key.clone(), one)).collect();
    let mut correlated = sum_up(&stream, &prepared, began);
    tracing::debug!(number, changes = prepared.read, "read what changed since the last pass");
    for one in &found {
        let service = one.candidate.service.clone().unwrap_or_default();
        let tier = one.evidence.tier.as_str().to_owned();
        *correlated.suspects.entry((service, tier)).or_default() += 1;
    }
    let gone = known.keys().filter(|key| !found.iter().any(|one| one.key == **key));
    let gone = gone.cloned().collect();
    let new = |one: &SuspectRecord| !known.get(&one.key).is_some_and(|known| known.says_as(one));
    let said = found.into_iter().filter(new).collect();
    let input = serde_json::to_value(&prepared.input).unwrap_or_default();
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let pass = PassRecord { number, at: correlated.at, input, took_ms };
    let cached = Cached { stream, from: prepared.input.from, mapper: prepared.input.mapper };
    Ok(Some(Made { correlated, cached, pass, said, gone }))
}

async fn keep(
    collector: &Collector,
    pass: PassRecord,
    (said, gone): (Vec<SuspectRecord>, Vec<String>),
) -> Result<(), WriteError> {
    if said.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let (number, took_ms, suspects) = (pass.number, pass.took_ms, said.len());
    // The pass comes first: a suspect never stands by one that is not there.
    let mut steps = vec![Step::Pass(Box::new(pass), gone)];
    let mut said = said.into_iter().peekable();
    while said.peek().is_some() {
        steps.push(Step::Suspects(said.by_ref().take(GROUP).collect()));
    }
    for step in steps {
        let decide = move |_: &mut _, _: Context<'_>| {
            Ok(Decided { answer: (), parts: Vec::new(), steps: vec![step] })
        };
        collector.writer.ask(decide).await?;
    }
    tracing::info!(number, took_ms, suspects, "changes were held against cases");
    Ok(())
}

/// What metrics and pages need of a pass.
fn sum_up(stream: &Stream, prepared: &Prepared, began: Instant) -> Correlated {
    let PassInput { watermark, mapper, .. } = &prepared.input;
    let hour = watermark.as_second() - 3_600;
    let name = |names: &[String], at: u32| names.get(at as usize).cloned().unwrap_or_default();
    let mut opened: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut unmapped = (0, 0);
    for case in &stream.cases {
        let service = name(&stream.services, case.service);
        let site = name(&stream.sites, case.site);
        let known = (mapper.knows_service(&service), mapper.knows_site(&site));
        if case.opened_at >= prepared.since.as_second() {
            unmapped.0 += u64::from(!known.0);
            unmapped.1 += u64::from(!known.1);
        }
        let word = |known, name| if known { name } else { UNMAPPED.to_owned() };
        let pair = (word(known.0, service), word(known.1, site));
        *opened.entry(pair).or_default() += u64::from(case.opened_at >= hour);
    }
    Correlated {
        watermark: *watermark,
        at: Timestamp::now(),
        took: began.elapsed().as_secs_f64(),
        left_out: prepared.left_out,
        opened,
        volumes: volumes(stream, &prepared.input),
        suspects: BTreeMap::new(),
        unmapped,
    }
}

/// The expected count and the bound of each configured service in the hour before `watermark`.
fn volumes(stream: &Stream, input: &PassInput) -> BTreeMap<String, (Option<f64>, Option<f64>)> {
    let PassInput { mapper, watermark, days_off, clocks, .. } = input;
    let settings = VolumeSettings {
        bucket: Bucket::Hour,
        by: vec![CellKey::Service],
        method: Method::Auto,
        alpha: ALPHA,
        zone: common_zone(clocks),
        until: Some(watermark.as_second()),
        holidays: days_off.clone(),
        clocks: clocks.clone(),
    };
    let hour = watermark.checked_sub(SignedDuration::from_hours(1)).unwrap_or(*watermark);
    let buckets = Buckets::of(stream, &settings);
    // More services than rows allow have no bound rather than a wrong one.
    let cells = volume::count(stream, &settings, &buckets).unwrap_or_default();
    let mut judge = volume::Judge::new(&settings);
    let known = |service: Option<&str>| service.is_some_and(|name| mapper.knows_service(name));
    let cells = cells.iter().filter(|cell| known(cell.service));
    let bound = |cell: &volume::Cell<'_>| {
        // The clock of the sites may begin its hours at half past ours.
        let row = judge.cell(cell).into_iter().rev().find(|row| row.bucket_start <= hour)?;
        Some((row.service?, (row.expected, row.bound)))
    };
    cells.filter_map(bound).collect()
}
