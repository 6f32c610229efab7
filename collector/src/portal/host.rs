//! One host: how it stands, what drifted, what it reports, what changed.

use askama::Template;
use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::wire::{AgentStatus, Budget, Usage};
use jiff::SignedDuration;

use super::findings::{FindingRow, finding_rows};
use super::timeline::{Group, group};
use super::{Frame, Moment, PageError, Reader, STYLE_PATH, chart, host_state, link};
use crate::analysis::agreement::Subject;
use crate::analysis::change::ChangeKind;
use crate::approvals::held_to;
use crate::config::Place;
use crate::owners::Owners;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{ApprovalRecord, ChangeFilter, HostRecord, MAX_LIMIT, WorstFilter};
use crate::words::counted;

/// How many changes and events the page shows before it points to the timeline.
const RECENT: u32 = 30;

#[derive(Template)]
#[template(path = "host.html")]
struct Page {
    style: &'static str,
    name: String,
    place: Place,
    findings_of: String,
    state: &'static str,
    agent: String,
    usage: Option<String>,
    stopped: Vec<Stopped>,
    seen: Moment,
    enrolled: Moment,
    equality: &'static str,
    baselines: Vec<Approval>,
    findings: Vec<FindingRow>,
    sections: Vec<SectionRow>,
    chart: String,
    groups: Vec<Group>,
    timeline: String,
    events: Vec<(Moment, &'static str, String)>,
}

/// A source whose last pass passed its budget.
struct Stopped {
    source: String,
    used: &'static str,
    setting: &'static str,
}

/// The newest approval of a baseline the host is held to.
struct Approval {
    /// The group it is of; none where it is the host's own.
    group: Option<String>,
    link: String,
    at: Moment,
    by: String,
    reason: String,
}

struct SectionRow {
    source: String,
    link: String,
    domain: &'static str,
    generation: u64,
    observed: Moment,
    parts: usize,
    unobserved: usize,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::NotFound`] for an unknown host, [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, standards): (&dyn Reader, &Standards),
    frame: &Frame,
    id: &str,
) -> Result<String, PageError> {
    let permits = Permits::at(store, standards, frame.now)?;
    let owners = Owners::at(store, standards, frame.now);
    let unknown = || PageError::NotFound { what: "host" };
    let id: HostId = id.parse().map_err(|_| unknown())?;
    let record = store.host(&id)?.ok_or_else(unknown)?;
    let kinds: Vec<_> = ChangeKind::ALL.into_iter().filter(|kind| kind.is_semantic()).collect();
    let from = frame.now.checked_sub(SignedDuration::from_hours(chart::HOURS)).ok();
    let of_host = ChangeFilter { host: Some(id.clone()), kinds, ..ChangeFilter::default() };
    let recent = store.changes(&ChangeFilter { from, limit: MAX_LIMIT, ..of_host.clone() })?;
    let newest = store.changes(&ChangeFilter { limit: RECENT, ..of_host })?;
    let open = WorstFilter {
        hosts: Some([id.clone()].into()),
        limit: MAX_LIMIT,
        ..WorstFilter::default()
    };
    let events = store.events(Some(&id), RECENT)?.into_iter();
    let place = frame.config.place(&id, record.kind);
    let baselines = held_to(store, &id, &place.groups)?;
    let page = Page {
        style: STYLE_PATH,
        name: id.to_string(),
        findings_of: link::findings_of(&place.service),
        place,
        state: host_state(&record, frame),
        agent: record.agent_version.clone(),
        usage: frame.agent.as_ref().map(usage),
        stopped: frame.agent.iter().flat_map(|agent| &agent.over_budget).map(stopped).collect(),
        seen: Moment::new(frame.last_seen(&record), frame.now),
        enrolled: Moment::new(record.enrolled_at, frame.now),
        equality: equality(&record),
        baselines: baselines.into_iter().map(|newest| approval(newest, frame)).collect(),
        findings: finding_rows(&store.worst_findings(&open)?, (permits, owners), frame)?,
        sections: sections(store, frame, &id)?,
        chart: chart::bars(&chart::per_hour(recent.iter().map(|change| change.at), frame.now)),
        groups: group(&newest, frame),
        timeline: link::timeline(&id),
        events: events
            .map(|event| (Moment::new(event.at, frame.now), event.kind.as_str(), event.detail))
            .collect(),
    };
    Ok(page.render()?)
}

fn approval(newest: ApprovalRecord, frame: &Frame) -> Approval {
    let group = match &newest.subject {
        Subject::Host(_) => None,
        Subject::Group(_) => Some(newest.subject.to_string()),
    };
    Approval {
        group,
        link: link::baseline(&newest.subject),
        at: Moment::new(newest.at, frame.now),
        by: newest.who,
        reason: newest.why,
    }
}

/// What the agent itself uses, for people.
fn usage(agent: &AgentStatus) -> String {
    let Usage { cpu_ms, memory_bytes, open_files } = agent.usage;
    let megabytes = memory_bytes / 1_000_000;
    format!(
        "{megabytes} MB of memory, {} s of CPU time since it started, {}",
        cpu_ms / 1_000,
        counted(open_files, "open file")
    )
}

fn stopped((source, budget): (&SourceName, &Budget)) -> Stopped {
    let (used, setting) = match budget {
        Budget::Cpu => ("more CPU time", "cpu_seconds"),
        Budget::Memory => ("more memory", "memory_bytes"),
        Budget::Reads => ("more reading", "read_bytes"),
    };
    Stopped { source: source.to_string(), used, setting }
}

/// What equal fingerprints on two hosts mean.
fn equality(record: &HostRecord) -> &'static str {
    if record.site_key {
        "fingerprints are made under the site key: equal secrets on two hosts show"
    } else {
        "fingerprints are made under this host's own key: whether two hosts share a secret is \
         unknown"
    }
}

fn sections(store: &dyn Reader, frame: &Frame, id: &HostId) -> Result<Vec<SectionRow>, PageError> {
    let mut rows = Vec::new();
    for section in store.sections(id)? {
        let parts = store.section_parts(id, &section.source)?;
        rows.push(SectionRow {
            source: section.source.to_string(),
            link: link::section(id, &section.source),
            domain: section.domain.as_str(),
            generation: section.generation.0,
            observed: Moment::new(section.observed_at, frame.now),
            parts: parts.len(),
            unobserved: parts.iter().filter(|part| part.unread.is_some()).count(),
        });
    }
    Ok(rows)
}
