//! What a person should know: open drift and deviations, worst first.

use askama::Template;
use driftline_protocol::ids::HostId;

use super::value::{readable_key, sides};
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::analysis::finding::{Finding, Resolution, Status};
use crate::store::{FindingFilter, FindingRecord, MAX_LIMIT};

/// One finding as a row of a table.
pub(super) struct FindingRow {
    /// Its number.
    pub number: i64,
    /// The host's name.
    pub host: String,
    /// The host's page.
    pub host_link: String,
    /// Drift or deviation.
    pub kind: &'static str,
    /// The rule that is not met; empty where there is none.
    pub rule: String,
    /// How bad.
    pub severity: &'static str,
    /// The part.
    pub part: String,
    /// The part's page.
    pub part_link: String,
    /// The item.
    pub key: String,
    /// As agreed.
    pub desired: String,
    /// As it is.
    pub current: String,
    /// Since when.
    pub since: Moment,
    /// Open, or how it ended.
    pub status: &'static str,
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Page {
    style: &'static str,
    host: String,
    all: bool,
    findings: Vec<FindingRow>,
}

/// Rows for `records`, worst and oldest first.
pub(super) fn finding_rows(records: &[FindingRecord], frame: &Frame) -> Vec<FindingRow> {
    let mut records: Vec<&FindingRecord> = records.iter().collect();
    records.sort_by_key(|r| (r.finding.severity, r.finding.first_seen, r.number));
    records.into_iter().map(|record| row(record, frame)).collect()
}

fn row(record: &FindingRecord, frame: &Frame) -> FindingRow {
    let (agreed, now) = sides(record.finding.desired.as_ref(), record.finding.current.as_ref());
    let Finding { id, domain: _, severity, desired: _, current: _, first_seen, status } =
        &record.finding;
    FindingRow {
        number: record.number,
        host: id.host.to_string(),
        host_link: link::host(&id.host),
        kind: id.kind.as_str(),
        rule: id.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
        severity: severity.as_str(),
        part: id.part.to_string(),
        part_link: link::part(&id.host, &id.source, &id.part),
        key: id.key.as_ref().map_or_else(|| "the whole part".to_owned(), readable_key),
        desired: agreed,
        current: now,
        since: Moment::new(*first_seen, frame.now),
        status: match status {
            Status::Open => "open",
            Status::Resolved { by: Resolution::Returned, .. } => "returned",
            Status::Resolved { by: Resolution::Accepted, .. } => "accepted",
            Status::Resolved { by: Resolution::Retired, .. } => "host retired",
            Status::Resolved { by: Resolution::Withdrawn, .. } => "rule withdrawn",
        },
    }
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<String, PageError> {
    let all = query.get("status") == Some("all");
    let filter = FindingFilter {
        host: query.id::<HostId>("host", "the name of a host")?,
        open_only: !all,
        limit: MAX_LIMIT,
        ..FindingFilter::default()
    };
    let page = Page {
        style: STYLE_PATH,
        host: query.get("host").unwrap_or_default().to_owned(),
        all,
        findings: finding_rows(&store.findings(&filter)?, frame),
    };
    Ok(page.render()?)
}
