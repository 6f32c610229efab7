//! Findings through the API: the list, and one with the tag of it as it stands.

use axum::extract::{Path, State};
use axum::http::Uri;
use driftline_protocol::ids::HostId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::read::{
    known_if_named, next_page, no_such, not_configured, place, query, read, unknown_group,
};
use super::{Answer, Shared};
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::{FindingKind, Severity, Status};
use crate::analysis::sight::Said;
use crate::config::Config;
use crate::finding_list::{Among, FindingList, Whereabouts};
use crate::ingest::{said, sight};
use crate::owners::Owners;
use crate::permits::Permits;
use crate::serve::answer::{self, Refusal};
use crate::store::{FindingFilter, FindingRecord, Handled, WorstFilter, effective_limit};
use crate::writer::Reads;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingsQuery {
    host: Option<HostId>,
    kind: Option<FindingKind>,
    class: Option<String>,
    severity: Option<Severity>,
    site: Option<String>,
    group: Option<String>,
    part: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    order: FindingOrder,
    after: Option<String>,
    #[serde(default)]
    limit: u32,
}

/// What comes first in a list of findings.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FindingOrder {
    /// What was found last, open or not.
    #[default]
    Newest,
    /// What is worst, of what is open.
    Worst,
}

impl FindingsQuery {
    /// Refuses a site or a group that no part of the configuration has: nothing would be listed,
    /// and that reads as nothing being open.
    fn check(&self, config: &Config) -> Result<(), Refusal> {
        let sites = || config.hosts.iter().filter_map(|rule| rule.site.as_ref());
        if let Some(site) = self.site.as_ref().filter(|site| !sites().any(|one| one == *site)) {
            return Err(not_configured(("site", site, "[[host]]"), sites()));
        }
        if let Some(group) = &self.group
            && !config.groups.iter().any(|rule| rule.name == *group)
        {
            return Err(unknown_group(group, config));
        }
        Ok(())
    }

    fn list(&self, store: &dyn Reads, config: &Config) -> Result<FindingList, Refusal> {
        let classes = self.class.as_deref().map(finding_classes).transpose()?.unwrap_or_default();
        let (kind, severity, after) = (self.kind, self.severity, self.after.as_deref());
        let whereabouts = Whereabouts {
            host: self.host.clone(),
            service: None,
            site: self.site.clone(),
            group: self.group.clone(),
        };
        let hosts = whereabouts.hosts(store, config)?;
        Ok(match self.order {
            FindingOrder::Newest => FindingList::Newest(FindingFilter {
                hosts,
                kind,
                severity,
                open_only: self.open,
                classes,
                after: after.map(place).transpose()?,
                ..FindingFilter::default()
            }),
            FindingOrder::Worst => FindingList::Worst(WorstFilter {
                hosts,
                kind,
                severity,
                classes,
                after: after.map(str::parse).transpose().map_err(Refusal::malformed)?,
                ..WorstFilter::default()
            }),
        })
    }
}

/// `GET /api/v1/findings`
pub async fn findings(State(collector): Shared, uri: Uri) -> Answer {
    let asked: FindingsQuery = query(&uri)?;
    let settings = collector.settings();
    asked.check(&settings.config)?;
    let findings = read(&collector, move |store| {
        let now = Timestamp::now();
        let mut owners = Owners::at(store, &settings.standards, now);
        let mut permits = Permits::at(store, &settings.standards, now)?;
        known_if_named(store, asked.host.as_ref())?;
        let list = asked.list(store, &settings.config)?;
        let FindingsQuery { owner, part, limit, .. } = asked;
        let among = Among { owner, part, permitted: None };
        let which = (&among, effective_limit(limit));
        let (found, last) = list.page(store, (&mut owners, &mut permits), which)?;
        let last = last.map(|last| list.place(&last));
        Ok((permitted(store, found, (permits, owners))?, last))
    });
    let (findings, last) = findings.await?;
    let next = last.map(|last| next_page(&uri, ("after", &last)));
    Ok(answer::json(&json!({ "findings": findings, "more": next.is_some(), "next": next })))
}

fn finding_classes(text: &str) -> Result<Vec<FindingClass>, Refusal> {
    let class = |word: &str| {
        let found = FindingClass::named(word);
        let all = || FindingClass::all().map(FindingClass::as_str);
        found.ok_or_else(|| no_such(word, "class of a finding", all()))
    };
    text.split(',').take(FindingClass::COUNT).map(class).collect()
}

/// A finding, its class in a word, and the exception that permits it.
#[derive(Serialize)]
struct PermittedFinding {
    #[serde(flatten)]
    record: FindingRecord,
    class: &'static str,
    /// Whether somebody should look: it is open, not permitted, neither meant nor noise.
    asks: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    excepted_by: Option<String>,
    /// Who answers for it; empty when nobody does.
    owner: String,
    #[serde(flatten)]
    handled: Handled,
    /// What whoever accepts it gives back; a finding that is over has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// A finding by itself, as it is read before it is accepted.
#[derive(Serialize)]
struct One {
    #[serde(flatten)]
    shown: PermittedFinding,
    /// What its part says, where all of that is accepted and the finding says only that it is
    /// there.
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<Said>,
}

/// Says of each open finding whether an exception permits it now, and the tag of it as it stands.
fn permitted(
    store: &dyn Reads,
    found: Vec<FindingRecord>,
    (mut permits, mut owners): (Permits<'_>, Owners<'_>),
) -> Result<Vec<PermittedFinding>, Refusal> {
    owners.learn(&found)?;
    let mut all = Vec::with_capacity(found.len());
    for record in found {
        let open = record.finding.status == Status::Open;
        let by = if open { permits.of(&record.finding)? } else { None };
        let excepted_by = by.map(|exception| exception.name.clone());
        let class = record.class();
        let asks = open && excepted_by.is_none() && !class.is_quiet();
        let (owner, handled) = owners.of(&record)?;
        let class = class.as_str();
        let sight = open.then(|| sight(store, &record.finding)).transpose()?;
        let etag = sight.map(|sight| sight.etag);
        all.push(PermittedFinding { record, class, asks, excepted_by, owner, handled, etag });
    }
    Ok(all)
}

/// `GET /api/v1/findings/{number}`
pub async fn finding(State(collector): Shared, Path(number): Path<String>) -> Answer {
    let missing = || Refusal::unknown(format!("finding {number}"), "driftline findings --all");
    let wanted: i64 = number.parse().map_err(|_| missing())?;
    let filter = FindingFilter { number: Some(wanted), limit: 1, ..FindingFilter::default() };
    let standards = collector.settings().standards;
    let findings = read(&collector, move |store| {
        let found = store.findings(&filter)?;
        let now = Timestamp::now();
        let permits = Permits::at(store, &standards, now)?;
        let owners = Owners::at(store, &standards, now);
        let Some(shown) = permitted(store, found, (permits, owners))?.pop() else {
            return Ok(None);
        };
        let open = shown.etag.is_some();
        let says = if open { said(store, &shown.record.finding)? } else { None };
        Ok(Some(One { shown, says }))
    });
    Ok(answer::json(&findings.await?.ok_or_else(missing)?))
}
