//! `/metrics`: fresh samples at every scrape, from what is stored and what is in memory.
//!
//! [`families`] is pure: a [`View`] goes in, samples come out, so vanished hosts leave nothing
//! behind and two scrapes never meet. Nothing is decided here; alerts, pages and commands read the
//! same findings.

mod cases;
pub mod enrolments;
mod intent;
pub mod live;
mod owners;
mod probes;
pub mod reference;
pub mod sleep;
pub mod table;
mod tokens;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use driftline_protocol::ids::HostId;
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::{AgentStatus, ProblemCode};
use jiff::{SignedDuration, Timestamp};
use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric as Sample, MetricFamily, MetricType};

use crate::analysis::change::ChangeKind;
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::{FindingKind, Severity};
use crate::analysis::probes::Probe;
use crate::config::Config;
use crate::ingest::{FleetView, HostView, Liveness};
use crate::owned::Owned;
use crate::pass::levels::ServiceLevels;
use crate::serve::correlation::Correlated;
use crate::serve::request_intake::RequestReading;
use crate::store::{BlindCount, EventKind, FeedRecord, OpenCount, TokenRecord, Totals};
use enrolments::Why;
use live::Live;
use table::{HOST_STATES, Metric, ROUTES, STAGES, Shape, source_label};

/// Everything one scrape may look at.
pub struct View<'a> {
    /// The moment of the scrape.
    pub now: Timestamp,
    /// The configuration in use.
    pub config: &'a Config,
    /// The address of the portal.
    pub url: &'a str,
    /// Every host with what its newest heartbeat said.
    pub fleet: FleetView,
    /// Open findings that no exception permits, counted.
    pub open: Vec<OpenCount>,
    /// Open findings that one permits, counted.
    pub excepted: Vec<OpenCount>,
    /// Open findings by who answers for them.
    pub owned: Owned,
    /// Sums of the store.
    pub totals: Totals,
    /// Counters since the start.
    pub live: &'a Live,
    /// Bytes of request bodies in memory.
    pub in_flight_bytes: u64,
    /// What the newest correlation pass came to.
    pub correlated: Option<&'a Correlated>,
    /// Where open cases stand against their targets.
    pub levels: &'a ServiceLevels,
    /// What was read once and is not any more.
    pub blind: Vec<BlindCount>,
    /// Where cases come from.
    pub feeds: Vec<FeedRecord>,
    /// What the probes of hosts that speak found last.
    pub probes: Vec<Probe>,
    /// How the newest readings of change requests went.
    pub request_readings: Vec<RequestReading>,
    /// The tokens of people and programs.
    pub tokens: Vec<TokenRecord>,
    /// Whether there is an enrolment secret, and when it ends if it does.
    pub secret_ends: Option<Option<Timestamp>>,
    /// Whether the newest configuration is in use.
    pub reload_ok: bool,
    /// When the configuration in use was loaded.
    pub reloaded_at: Timestamp,
}

/// The text of a scrape, in the exposition format 0.0.4, and the histograms given beside.
///
/// # Errors
/// Only when a table entry has an impossible name, which the tests of the table exclude.
pub fn render(view: &View<'_>, more: Vec<MetricFamily>) -> prometheus::Result<String> {
    let mut families = families(view);
    families.extend(more);
    TextEncoder::new().encode_to_string(&families)
}

/// All samples of one scrape.
pub fn families(view: &View<'_>) -> Vec<MetricFamily> {
    let mut page = Page::default();
    about_collector(&mut page, view);
    about_store(&mut page, view);
    about_requests(&mut page, view.live);
    about_fleet(&mut page, view);
    cases::about_cases(&mut page, view);
    probes::about_probes(&mut page, view);
    intent::about_intent(&mut page, view);
    tokens::about_tokens(&mut page, view);
    if view.config.metrics.per_host {
        about_each_host(&mut page, view);
    }
    page.0
}

/// Whether `host` speaks, by the times the configuration sets.
pub fn liveness(host: &HostView, config: &Config, now: Timestamp) -> Liveness {
    let silence = now.duration_since(host.last_seen);
    if matches!(host.liveness, Liveness::Retired | Liveness::Imported) {
        host.liveness
    } else if silence > signed(config.dormant()) {
        Liveness::Dormant
    } else if silence > signed(config.stale()) {
        Liveness::Stale
    } else {
        Liveness::Alive
    }
}

/// Whether an agent is expected to speak for a host in this state.
fn is_watched(state: Liveness) -> bool {
    !matches!(state, Liveness::Retired | Liveness::Imported)
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[derive(Default)]
struct Page(Vec<MetricFamily>);

impl Page {
    /// Adds one metric; one without samples is left out, as the format wants.
    fn add<L: AsRef<str>>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (Vec<L>, f64)>,
    ) {
        let samples = samples.into_iter();
        let samples: Vec<Sample> =
            samples.map(|(labels, value)| sample(metric, &labels, value)).collect();
        if samples.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(metric.name.to_owned());
        family.set_help(metric.help.to_owned());
        family.set_field_type(match metric.shape {
            Shape::Counter => MetricType::COUNTER,
            Shape::Gauge => MetricType::GAUGE,
            Shape::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(samples);
        self.0.push(family);
    }

    fn one(&mut self, metric: &Metric, value: f64) {
        self.add::<&str>(metric, [(vec![], value)]);
    }
}

fn sample<L: AsRef<str>>(metric: &Metric, values: &[L], value: f64) -> Sample {
    assert_eq!(metric.labels.len(), values.len(), "{} has other labels", metric.name);
    let pair = |(label, value): (&table::Label, &L)| {
        let mut pair = LabelPair::default();
        pair.set_name(label.name().to_owned());
        pair.set_value(value.as_ref().to_owned());
        pair
    };
    let mut sample = Sample::from_label(metric.labels.iter().zip(values).map(pair).collect());
    if metric.shape == Shape::Counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        sample.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        sample.set_gauge(gauge);
    }
    sample
}

/// Counts beyond 2^53 lose their last digits in the format itself.
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn about_collector(page: &mut Page, view: &View<'_>) {
    page.add(&table::BUILD_INFO, [(vec![env!("CARGO_PKG_VERSION")], 1.0)]);
    page.add(&table::PORTAL_INFO, [(vec![view.url], 1.0)]);
    page.one(&table::RELOAD_SUCCESS, f64::from(u8::from(view.reload_ok)));
    page.one(&table::RELOAD_TIME, seconds(view.reloaded_at));
    page.one(&table::IN_FLIGHT, number(view.in_flight_bytes));
    let panics = STAGES.iter().zip(&view.live.panics);
    page.add(&table::STAGE_PANICS, panics.map(|(stage, count)| (vec![*stage], load(count))));
}

fn about_store(page: &mut Page, view: &View<'_>) {
    let totals = &view.totals;
    page.one(&table::STORE_SIZE, number(totals.bytes));
    page.one(&table::STORE_PARTS, number(totals.parts));
    page.one(&table::STORE_VERSIONS, number(totals.versions));
    page.one(&table::CASES_BEYOND, number(totals.cases_beyond));
    page.one(&table::CASE_WORDS_LEFT_OUT, number(totals.case_words_left_out));
    let changes = Domain::ALL.iter().flat_map(|domain| {
        ChangeKind::ALL.iter().map(move |kind| {
            let count = totals.changes.get(&(*domain, *kind)).copied().unwrap_or_default();
            (vec![domain.as_str(), kind.as_str()], number(count))
        })
    });
    page.add(&table::CHANGES, changes);
    let events = EventKind::ALL.iter().map(|kind| {
        let count = totals.events.get(kind).copied().unwrap_or_default();
        (vec![kind.as_str()], number(count))
    });
    page.add(&table::EVENTS, events);
}

fn about_requests(page: &mut Page, live: &Live) {
    let requests = ROUTES.iter().zip(&live.requests);
    page.add(&table::REQUESTS, requests.map(|(route, count)| (vec![*route], load(count))));
    let refused = ProblemCode::ALL.iter().zip(&live.refused);
    page.add(&table::REFUSED, refused.map(|(code, count)| (vec![code.as_str()], load(count))));
    let enrolments = &live.enrolments;
    let refused = Why::ALL.map(|why| (vec![why.as_str()], number(enrolments.count(why))));
    page.add(&table::ENROLMENTS_REFUSED, refused);
    page.one(&table::CONNECTIONS_REFUSED, load(&live.connections_refused));
    page.one(&table::WRITER_QUEUE, load(&live.queued));
    page.one(&table::WRITER_BATCHES, load(&live.batches));
    page.one(&table::PART_HITS, load(&live.part_hits));
    page.one(&table::PART_MISSES, load(&live.part_misses));
}

fn load(counter: &AtomicU64) -> f64 {
    number(counter.load(Ordering::Relaxed))
}

fn about_fleet(page: &mut Page, view: &View<'_>) {
    let hosts = &view.fleet.hosts;
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut unassigned, mut imbalanced) = (0, 0);
    for (id, host) in hosts {
        let state = liveness(host, view.config, view.now);
        *states.entry(state.as_str()).or_default() += 1;
        if is_watched(state) {
            unassigned += u64::from(!view.config.place(id, host.kind).assigned);
            imbalanced += u64::from(imbalance(host) > 0);
        }
    }
    let count = |state: &&str| states.get(state).copied().unwrap_or_default();
    let samples = HOST_STATES.iter().map(|state| (vec![*state], number(count(state))));
    page.add(&table::HOSTS, samples);
    sleep::about_fleet(page, view);
    page.one(&table::HOSTS_UNASSIGNED, number(unassigned));
    page.one(&table::HOSTS_IMBALANCED, number(imbalanced));
    let unobserved = Reason::ALL.iter().map(|reason| {
        let sum = hosts.values().map(|host| unobserved(host, *reason)).sum();
        (vec![reason.as_str()], number(sum))
    });
    page.add(&table::FLEET_PARTS_UNOBSERVED, unobserved);
    let blind = Reason::ALL.iter().map(|reason| {
        let of = view.blind.iter().filter(|blind| blind.reason == *reason);
        (vec![reason.as_str()], number(of.map(|blind| blind.count).sum()))
    });
    page.add(&table::FLEET_PARTS_BLIND, blind);
    page.add(&table::FINDINGS_OPEN, by_kind(view.open.iter().filter(asks_for_a_person)));
    intent::about_drift(page, &view.open);
    owners::about_owners(page, view);
    page.add(&table::FINDINGS_EXCEPTED, by_kind(view.excepted.iter()));
}

/// Whether somebody should look: it was neither meant nor is it noise. What was not judged yet is
/// told by its class alone, since a moment later most of it is one or the other.
pub fn asks_for_a_person(count: &&OpenCount) -> bool {
    count.class != FindingClass::Unjudged && !count.class.is_quiet()
}

/// Sums of counts by kind, domain and severity; closed lists, so each begins at 0.
fn by_kind<'a>(counts: impl Iterator<Item = &'a OpenCount>) -> Vec<(Vec<&'static str>, f64)> {
    let mut open: BTreeMap<_, u64> = BTreeMap::new();
    for count in counts {
        *open.entry((count.kind, count.domain, count.severity)).or_default() += count.count;
    }
    let mut samples = Vec::new();
    for kind in FindingKind::ALL {
        for domain in Domain::ALL {
            for severity in Severity::ALL {
                let count = open.get(&(kind, domain, severity)).copied().unwrap_or_default();
                let labels = vec![kind.as_str(), domain.as_str(), severity.as_str()];
                samples.push((labels, number(count)));
            }
        }
    }
    samples
}

fn imbalance(host: &HostView) -> u64 {
    host.sources.values().fold(0, |sum, source| sum.saturating_add(source.imbalance))
}

fn unobserved(host: &HostView, reason: Reason) -> u64 {
    let counts = host.sources.values().filter_map(|source| source.unobserved.get(&reason));
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

fn about_each_host(page: &mut Page, view: &View<'_>) {
    let all = view.fleet.hosts.iter();
    let states: Vec<(&HostId, &HostView, Liveness)> = all
        .map(|(id, host)| (id, host, liveness(host, view.config, view.now)))
        .filter(|(_, _, state)| is_watched(*state))
        .collect();
    let last = states.iter().map(|(id, host, _)| (vec![id.as_str()], seconds(host.last_seen)));
    page.add(&table::LAST_REPORT, last);
    let shown: Vec<(&str, &HostView)> = states
        .iter()
        .filter(|(_, _, state)| *state != Liveness::Dormant)
        .map(|(id, host, _)| (id.as_str(), *host))
        .collect();
    let places = states.iter().filter(|(_, _, state)| *state != Liveness::Dormant);
    let labels = view.config.owner_labels();
    let places =
        places.map(|(id, host, _)| (owners::of_host(view.config, &labels, (id, host)), 1.0));
    page.add(&table::HOST_INFO, places);
    sleep::about_each_host(page, view);
    owners::about_drift(page, view, &shown);
    about_drift(page, view, &shown);
    about_blindness(page, view, &shown);
    // Until a host is heard again after a start of the collector, nothing is known of its agent.
    let heard: Vec<(&str, &HostView)> =
        shown.into_iter().filter(|(_, host)| host.status.is_some()).collect();
    about_agents(page, &heard);
    about_sources(page, &heard);
}

fn about_drift(page: &mut Page, view: &View<'_>, shown: &[(&str, &HostView)]) {
    let drifts = view.open.iter().filter(|count| count.kind == FindingKind::Drift);
    let mut open: BTreeMap<_, u64> = BTreeMap::new();
    for count in drifts.filter(asks_for_a_person) {
        let key = (count.host.as_str(), count.domain, count.severity);
        *open.entry(key).or_default() += count.count;
    }
    let mut samples = Vec::new();
    for (host, _) in shown {
        for domain in Domain::ALL {
            for severity in Severity::ALL {
                let count = open.get(&(*host, domain, severity)).copied().unwrap_or_default();
                samples.push((vec![*host, domain.as_str(), severity.as_str()], number(count)));
            }
        }
    }
    page.add(&table::DRIFT_OPEN, samples);
}

fn about_blindness(page: &mut Page, view: &View<'_>, shown: &[(&str, &HostView)]) {
    let counts = view.blind.iter().map(|blind| ((blind.host.as_str(), blind.reason), blind.count));
    let counts: BTreeMap<_, _> = counts.collect();
    let mut samples = Vec::new();
    for (host, _) in shown {
        for reason in Reason::ALL {
            let count = counts.get(&(*host, reason)).copied().unwrap_or_default();
            samples.push((vec![*host, reason.as_str()], number(count)));
        }
    }
    page.add(&table::PARTS_BLIND, samples);
}

fn about_agents(page: &mut Page, heard: &[(&str, &HostView)]) {
    let mut each = |metric: &Metric, value: fn(&HostView, &AgentStatus) -> f64| {
        let sample = |(id, host): &(&'_ str, &HostView)| {
            host.status.as_ref().map(|status| (vec![(*id).to_owned()], value(host, status)))
        };
        page.add(metric, heard.iter().filter_map(sample));
    };
    each(&table::CLOCK_SKEW, |host, _| host.clock_ahead_ms.unwrap_or_default() as f64 / 1000.0);
    each(&table::LEDGER_IMBALANCE, |host, _| number(imbalance(host)));
    each(&table::WATCH_LIMITED, |_, status| f64::from(u8::from(status.watch_limited)));
    each(&table::AGENT_CPU, |_, status| number(status.usage.cpu_ms) / 1e3);
    each(&table::AGENT_MEMORY, |_, status| number(status.usage.memory_bytes));
    each(&table::AGENT_FILES, |_, status| number(status.usage.open_files));
    each(&table::SPOOL_BYTES, |_, status| number(status.spool_bytes));
    each(&table::SPOOL_LIMIT, |_, status| number(status.spool_limit_bytes));
}

fn about_sources(page: &mut Page, heard: &[(&str, &HostView)]) {
    let mut success: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let mut stopped: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let mut micros: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (id, host) in heard {
        let over = host.status.as_ref().map(|status| &status.over_budget);
        for (source, state) in &host.sources {
            let key = (*id, source_label(source.as_str()));
            let is_stopped = over.is_some_and(|over| over.contains_key(source));
            *stopped.entry(key).or_default() |= is_stopped;
            *success.entry(key).or_insert(true) &= state.last_read.success;
            let sum = micros.entry(key).or_default();
            *sum = sum.saturating_add(state.last_read.micros);
        }
    }
    let labels = |(id, source): (&'_ str, &'_ str)| vec![id.to_owned(), source.to_owned()];
    let worst = success.into_iter().map(|(key, ok)| (labels(key), f64::from(u8::from(ok))));
    page.add(&table::SOURCE_SUCCESS, worst);
    let stopped = stopped.into_iter().map(|(key, is)| (labels(key), f64::from(u8::from(is))));
    page.add(&table::SOURCE_OVER_BUDGET, stopped);
    let time = micros.into_iter().map(|(key, micros)| (labels(key), number(micros) / 1e6));
    page.add(&table::SOURCE_READ, time);
    let mut samples = Vec::new();
    for (id, host) in heard {
        for reason in Reason::ALL {
            samples.push((vec![*id, reason.as_str()], number(unobserved(host, reason))));
        }
    }
    page.add(&table::PARTS_UNOBSERVED, samples);
}

#[cfg(test)]
mod tests;
