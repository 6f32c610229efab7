//! The first page: how the fleet stands, what is open, what changed.

use askama::Template;
use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use jiff::SignedDuration;

use super::timeline::{Group, group};
use super::{Frame, Moment, PageError, Reader, STYLE_PATH, chart, findings, host_state, link};
use crate::analysis::change::ChangeKind;
use crate::analysis::finding::Severity;
use crate::metrics::enrolments::Refused;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{ChangeFilter, HostRecord, MAX_LIMIT, OpenCount};
use crate::words::{counted, either};

/// How many changes the first page shows: the newest screenful.
const RECENT: usize = 40;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    style: &'static str,
    states: Vec<(&'static str, usize)>,
    /// What asks for somebody, by severity, with the list of it.
    severities: Vec<(&'static str, u64, String)>,
    /// What was meant or is noise, and what an exception permits, each with its list.
    apart: Vec<(&'static str, u64, String)>,
    /// Why the newest configuration is not in use; empty where it is.
    refused_reload: String,
    /// Enrolments that were refused, by reason.
    refused_enrolments: Vec<RefusedRow>,
    chart: String,
    hosts: Vec<HostRow>,
    groups: Vec<Group>,
}

/// Enrolments refused for one reason.
struct RefusedRow {
    words: String,
    cure: &'static str,
    at: Moment,
}

fn refused(frame: &Frame) -> Vec<RefusedRow> {
    let row = |one: &Refused| {
        let many = counted(one.count, "enrolment");
        let was = either(one.count, "was", "were");
        let host = one.last.host.as_ref().map(|host| format!(" as {host}")).unwrap_or_default();
        let from = one.last.from.map(|from| format!(" from {from}")).unwrap_or_default();
        let words = format!("{many} {was} refused ({}), the last{host}{from}", one.reason);
        RefusedRow { words, cure: one.cure, at: Moment::new(one.last_at, frame.now) }
    };
    frame.refused_enrolments.iter().map(row).collect()
}

struct HostRow {
    name: String,
    link: String,
    kind: &'static str,
    state: &'static str,
    /// Whether its groups take its silence for sleep.
    asleep: bool,
    seen: Moment,
    /// How many open findings ask for somebody, and where they are listed.
    open: u64,
    open_link: String,
    /// How many were meant or are noise.
    quiet: u64,
    changes: usize,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
) -> Result<String, PageError> {
    let hosts = store.hosts()?;
    // As the list of findings and the metrics count: what is permitted, and what asks for nobody,
    // stands apart.
    let (open, permitted) =
        Permits::at(store, standards, frame.now)?.split(store.open_counts()?)?;
    let is_quiet = |count: &OpenCount| {
        count.class.is_quiet() && !mutant::active(Mutant::OverviewCountsWhatIsQuiet)
    };
    let (quiet, open): (Vec<OpenCount>, Vec<OpenCount>) = open.into_iter().partition(is_quiet);
    let two_days = SignedDuration::from_hours(chart::HOURS);
    let recent = store.changes(&ChangeFilter {
        kinds: ChangeKind::ALL.into_iter().filter(|kind| kind.is_semantic()).collect(),
        from: frame.now.checked_sub(two_days).ok(),
        limit: MAX_LIMIT,
        ..ChangeFilter::default()
    })?;
    let on = |counts: &[OpenCount], id: &HostId| -> u64 {
        counts.iter().filter(|count| count.host == *id).map(|count| count.count).sum()
    };
    let all = |counts: &[OpenCount]| -> u64 { counts.iter().map(|count| count.count).sum() };
    let row = |host: &HostRecord| {
        let place = frame.config.place(&host.id, host.kind);
        let state = host_state(host, frame);
        let silence = frame.now.duration_since(frame.last_seen(host));
        HostRow {
            name: host.id.to_string(),
            link: link::host(&host.id),
            kind: place.kind.as_str(),
            state,
            asleep: state == "stale" && frame.config.is_sleep(&place, silence),
            seen: Moment::new(frame.last_seen(host), frame.now),
            open: on(&open, &host.id),
            open_link: link::findings_on(&host.id, findings::ASKING),
            quiet: on(&quiet, &host.id),
            changes: recent.iter().filter(|change| change.host == host.id).count(),
        }
    };
    let mut rows: Vec<HostRow> = hosts.iter().map(row).collect();
    rows.sort_by(|a, b| (b.open, &a.name).cmp(&(a.open, &b.name)));
    let states = ["alive", "stale", "dormant", "retired", "imported"];
    let of_severity = |severity: Severity| {
        let of = open.iter().filter(|count| count.severity == severity);
        let word = severity.as_str();
        (
            word,
            of.map(|count| count.count).sum(),
            link::findings_of_severity(word, findings::ASKING),
        )
    };
    let apart = [
        ("quiet: meant, or noise", all(&quiet), findings::QUIET),
        ("permitted by exceptions", all(&permitted), findings::PERMITTED),
    ];
    let apart = apart.into_iter().map(|(words, many, which)| (words, many, link::findings(which)));
    let page = Page {
        style: STYLE_PATH,
        states: states.map(|s| (s, rows.iter().filter(|row| row.state == s).count())).into(),
        severities: Severity::ALL.map(of_severity).into(),
        apart: apart.filter(|(_, many, _)| *many > 0).collect(),
        refused_reload: frame.refused_reload.clone().unwrap_or_default(),
        refused_enrolments: refused(frame),
        chart: chart::bars(&chart::per_hour(recent.iter().map(|change| change.at), frame.now)),
        groups: group(recent.get(..RECENT.min(recent.len())).unwrap_or_default(), frame),
        hosts: rows,
    };
    Ok(page.render()?)
}
