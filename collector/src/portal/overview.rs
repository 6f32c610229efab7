//! The first page: how the fleet stands, what is open, what changed.

use askama::Template;
use driftline_protocol::ids::HostId;
use jiff::SignedDuration;

use super::timeline::{Group, group};
use super::{Frame, Moment, PageError, Reader, STYLE_PATH, chart, host_state, link};
use crate::analysis::change::ChangeKind;
use crate::analysis::finding::Severity;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{ChangeFilter, FindingFilter, MAX_LIMIT};

/// How many changes the first page shows: the newest screenful.
const RECENT: usize = 40;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    style: &'static str,
    states: Vec<(&'static str, usize)>,
    severities: Vec<(&'static str, usize)>,
    chart: String,
    hosts: Vec<HostRow>,
    groups: Vec<Group>,
}

struct HostRow {
    name: String,
    link: String,
    kind: &'static str,
    state: &'static str,
    seen: Moment,
    open: usize,
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
    let mut open = store.findings(&FindingFilter {
        open_only: true,
        limit: MAX_LIMIT,
        ..FindingFilter::default()
    })?;
    let mut permits = Permits::at(store, standards, frame.now)?;
    let mut unpermitted = Vec::with_capacity(open.len());
    for record in open.drain(..) {
        if permits.of(&record.finding)?.is_none() {
            unpermitted.push(record);
        }
    }
    let open = unpermitted;
    let two_days = SignedDuration::from_hours(chart::HOURS);
    let recent = store.changes(&ChangeFilter {
        kinds: ChangeKind::ALL.into_iter().filter(|kind| kind.is_semantic()).collect(),
        from: frame.now.checked_sub(two_days).ok(),
        limit: MAX_LIMIT,
        ..ChangeFilter::default()
    })?;
    let on = |id: &HostId| open.iter().filter(|r| r.finding.id.host == *id).count();
    let rows = hosts.iter().map(|host| HostRow {
        name: host.id.to_string(),
        link: link::host(&host.id),
        kind: frame.config.place(&host.id, host.kind).kind.as_str(),
        state: host_state(host, frame),
        seen: Moment::new(host.last_seen, frame.now),
        open: on(&host.id),
        changes: recent.iter().filter(|change| change.host == host.id).count(),
    });
    let mut rows: Vec<HostRow> = rows.collect();
    rows.sort_by(|a, b| (b.open, &a.name).cmp(&(a.open, &b.name)));
    let states = ["alive", "stale", "dormant", "retired", "imported"];
    let severities = Severity::ALL;
    let page = Page {
        style: STYLE_PATH,
        states: states.map(|s| (s, rows.iter().filter(|row| row.state == s).count())).into(),
        severities: severities
            .map(|s| (s.as_str(), open.iter().filter(|r| r.finding.severity == s).count()))
            .into(),
        chart: chart::bars(&chart::per_hour(recent.iter().map(|change| change.at), frame.now)),
        groups: group(recent.get(..RECENT.min(recent.len())).unwrap_or_default(), frame),
        hosts: rows,
    };
    Ok(page.render()?)
}
