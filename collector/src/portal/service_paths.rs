//! Each service path as it is drawn on a whiteboard: the groups a call passes, in order, each with
//! what is open on its hosts, what probes of it found, and how old that is.
//!
//! Places are reckoned here, names are put in by the template, so that they are escaped.

use std::collections::BTreeMap;

use askama::Template;
use driftline_protocol::ids::HostId;
use jiff::Timestamp;

use super::{Frame, Moment, PageError, Reader, STYLE_PATH, host_state, link};
use crate::analysis::finding::Severity;
use crate::analysis::probes::Probe;
use crate::config::ServicePath;
use crate::permits::Permits;
use crate::probed;
use crate::standards::Standards;
use crate::store::HostRecord;

/// The width of a hop, of the arrow between two, and the height of a path.
const BOX: usize = 216;
const ARROW: usize = 44;
const HEIGHT: usize = 116;

/// The longest name in a box, in characters; the whole name stands in the table below.
const NAME: usize = 24;

#[derive(Template)]
#[template(path = "service_paths.html")]
struct Page {
    style: &'static str,
    paths: Vec<Path>,
}

struct Path {
    service: String,
    sites: String,
    width: usize,
    height: usize,
    hops: Vec<Hop>,
}

/// One group of a path.
struct Hop {
    anchor: String,
    name: String,
    short: String,
    x: usize,
    /// Where the arrow to it begins; `None` for the first.
    from: Option<usize>,
    /// How it stands: a class of the style sheet, and the same in a word.
    class: &'static str,
    open: u64,
    worst: &'static str,
    hosts: Vec<HostRow>,
    /// What probes found, in a line, and when.
    probed: String,
    asked: Option<Moment>,
    probes: Vec<ProbeRow>,
}

struct HostRow {
    name: String,
    link: String,
    state: &'static str,
    open: u64,
}

struct ProbeRow {
    asked_by: String,
    target: String,
    answer: String,
    round_trip: String,
    loss: String,
    certificate: String,
    expires: Option<Moment>,
    at: Option<Moment>,
}

/// What is known of all hosts, read once for all paths.
struct Known<'a> {
    hosts: Vec<(HostRecord, Vec<String>)>,
    open: BTreeMap<HostId, BTreeMap<Severity, u64>>,
    probes: Vec<(HostId, Probe)>,
    frame: &'a Frame,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
) -> Result<String, PageError> {
    let config = &standards.config;
    let mut permits = Permits::at(store, standards, frame.now)?;
    let (mut counts, _) = permits.split(store.open_counts()?)?;
    counts.retain(|count| !count.class.is_quiet());
    let mut open: BTreeMap<HostId, BTreeMap<Severity, u64>> = BTreeMap::new();
    for count in counts {
        *open.entry(count.host).or_default().entry(count.severity).or_default() += count.count;
    }
    let mut known = Known { hosts: Vec::new(), open, probes: Vec::new(), frame };
    if !config.service_paths.is_empty() {
        for host in store.hosts()?.into_iter().filter(|host| host.retired_at.is_none()) {
            let found = probed::of_host(store, &host.id)?.into_iter();
            known.probes.extend(found.map(|probe| (host.id.clone(), probe)));
            let groups = config.place(&host.id, host.kind).groups;
            known.hosts.push((host, groups));
        }
    }
    let paths = config.service_paths.iter().enumerate().map(|(n, path)| known.path(n, path));
    Ok(Page { style: STYLE_PATH, paths: paths.collect() }.render()?)
}

impl Known<'_> {
    fn path(&self, number: usize, path: &ServicePath) -> Path {
        let hop = |(place, group): (usize, &String)| {
            let x = place * (BOX + ARROW);
            Hop {
                anchor: format!("path-{number}-{place}"),
                x,
                from: (place > 0).then(|| x.saturating_sub(ARROW)),
                ..self.hop(&path.service, group)
            }
        };
        Path {
            service: path.service.clone(),
            sites: path.sites.join(", "),
            width: (path.groups.len() * (BOX + ARROW)).saturating_sub(ARROW).max(1),
            height: HEIGHT,
            hops: path.groups.iter().enumerate().map(hop).collect(),
        }
    }

    fn hop(&self, service: &str, group: &str) -> Hop {
        let members = self.hosts.iter().filter(|(_, groups)| groups.iter().any(|g| g == group));
        let hosts: Vec<HostRow> = members.map(|(host, _)| self.host(host)).collect();
        let mine = |(_, probe): &&(HostId, Probe)| probe.service == service && probe.hop == group;
        let found: Vec<&(HostId, Probe)> = self.probes.iter().filter(mine).collect();
        let worst = self.worst(group);
        let broken = found.iter().any(|(_, probe)| !probe.answers() || !probe.is_trusted());
        let class = match worst {
            Some(Severity::Critical) => "bad",
            _ if broken => "bad",
            Some(Severity::Warning) => "warn",
            _ if hosts.is_empty() && found.is_empty() => "unknown",
            _ if hosts.iter().any(|host| host.state != "alive") => "unknown",
            Some(Severity::Info) | None => "good",
        };
        let last: Option<Timestamp> = found.iter().filter_map(|(_, probe)| probe.at).max();
        Hop {
            anchor: String::new(),
            name: group.to_owned(),
            short: group.chars().take(NAME).collect(),
            x: 0,
            from: None,
            class,
            open: hosts.iter().map(|host| host.open).sum(),
            worst: worst.map_or("", Severity::as_str),
            hosts,
            probed: summary(&found),
            asked: last.map(|at| Moment::new(at, self.frame.now)),
            probes: found.iter().map(|(host, probe)| self.probe(host, probe)).collect(),
        }
    }

    fn host(&self, host: &HostRecord) -> HostRow {
        let open = self.open.get(&host.id).map_or(0, |counts| counts.values().sum());
        HostRow {
            name: host.id.to_string(),
            link: link::host(&host.id),
            state: host_state(host, self.frame),
            open,
        }
    }

    fn worst(&self, group: &str) -> Option<Severity> {
        let members = self.hosts.iter().filter(|(_, groups)| groups.iter().any(|g| g == group));
        let counts = members.filter_map(|(host, _)| self.open.get(&host.id));
        counts.flat_map(BTreeMap::keys).min().copied()
    }

    fn probe(&self, host: &HostId, probe: &Probe) -> ProbeRow {
        let moment = |at: Timestamp| Moment::new(at, self.frame.now);
        let code = probe.code.map(|code| format!(" {code}")).unwrap_or_default();
        ProbeRow {
            asked_by: host.to_string(),
            target: probe.target.clone(),
            answer: format!("{}{code}", probe.answer),
            round_trip: probe.round_trip.map(milliseconds).unwrap_or_default(),
            loss: format!("{:.0} %", probe.loss * 100.0),
            certificate: probe.certificate.clone().unwrap_or_default(),
            expires: probe.expires.map(|at| Moment::until(at, self.frame.now)),
            at: probe.at.map(moment),
        }
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1_000.0)
}

/// What probes of a hop found, in a line.
fn summary(found: &[&(HostId, Probe)]) -> String {
    if found.is_empty() {
        return "not probed".to_owned();
    }
    let answering = found.iter().filter(|(_, probe)| probe.answers()).count();
    let slowest = found.iter().filter_map(|(_, probe)| probe.round_trip).reduce(f64::max);
    let untrusted = found.iter().filter(|(_, probe)| !probe.is_trusted()).count();
    let mut text = format!("{answering} of {} answer", found.len());
    if untrusted > 0 {
        text.push_str(&format!(", {untrusted} certificates bad"));
    } else if let Some(slowest) = slowest {
        text.push_str(&format!(", {}", milliseconds(slowest)));
    }
    text
}
