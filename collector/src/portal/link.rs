//! Addresses: every link of the portal is made here, and every query read here.

use std::collections::BTreeMap;

use driftline_protocol::ids::{HostId, PartName, SourceName};
use jiff::Timestamp;

use super::PageError;
use crate::analysis::agreement::Subject;
use crate::moment;
use crate::store::ChangeId;

/// The fields of a query, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the part of a URL after the question mark. Empty fields count as absent, so that a
    /// form with untouched fields is the same view as the bare address.
    pub fn parse(raw: &str) -> Self {
        let pairs = form_urlencoded::parse(raw.as_bytes());
        Self(pairs.into_owned().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// One field, if it was given.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// A moment as people type it at `now`, and as Grafana writes it into links.
    ///
    /// # Errors
    /// [`PageError::Query`] when it is none.
    pub fn moment(
        &self,
        field: &'static str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PageError> {
        let Some(text) = self.get(field) else { return Ok(None) };
        let moment = moment::parse(text, now);
        moment.map(Some).ok_or(PageError::Query { field, rule: moment::FORMS })
    }

    /// Any id.
    ///
    /// # Errors
    /// [`PageError::Query`] with `rule` when the text is not one.
    pub fn id<T: std::str::FromStr>(
        &self,
        field: &'static str,
        rule: &'static str,
    ) -> Result<Option<T>, PageError> {
        let Some(text) = self.get(field) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| PageError::Query { field, rule })
    }

    /// The address of this view without one field.
    pub fn without(&self, path: &str, field: &str) -> String {
        let fields = self.0.iter().filter(|(name, _)| *name != field);
        address(path, fields.map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The address of this view with one field replaced.
    pub fn with(&self, path: &str, field: &str, value: &str) -> String {
        let mut fields = self.0.clone();
        fields.insert(field.to_owned(), value.to_owned());
        address(path, fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

fn address<'a>(path: &str, fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The open findings on the hosts behind a service.
pub(super) fn findings_of(service: &str) -> String {
    address("/findings", [("service", service)].into_iter())
}

/// The open findings of one of the lists that [`super::findings`] knows by a word.
pub(super) fn findings(which: &str) -> String {
    address("/findings", [("class", which)].into_iter())
}

/// Those of one severity.
pub(super) fn findings_of_severity(severity: &str, which: &str) -> String {
    address("/findings", [("class", which), ("severity", severity)].into_iter())
}

/// Those of one host.
pub(super) fn findings_on(host: &HostId, which: &str) -> String {
    address("/findings", [("class", which), ("host", host.as_str())].into_iter())
}

/// The page of a host.
pub(super) fn host(host: &HostId) -> String {
    format!("/hosts/{host}")
}

/// The parts of one section of a host.
pub(super) fn section(host: &HostId, source: &SourceName) -> String {
    format!("/hosts/{host}/{source}")
}

/// One part of a host.
pub(super) fn part(host: &HostId, source: &SourceName, part: &PartName) -> String {
    address(&section(host, source), [("part", part.as_str())].into_iter())
}

/// What was agreed of a host or a group.
pub(super) fn baseline(subject: &Subject) -> String {
    let name = subject.to_string();
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/baselines/{}", name.replace("%40", "@").replace('+', "%20"))
}

/// One change.
pub(super) fn change(id: ChangeId) -> String {
    format!("/changes/{}", id.0)
}

/// One change request, by `source/id`.
pub(super) fn request(name: &str) -> String {
    let (source, id) = name.split_once('/').unwrap_or((name, ""));
    address("/requests", [("source", source), ("id", id)].into_iter())
}

/// The timeline of one host.
pub(super) fn timeline(host: &HostId) -> String {
    address("/timeline", [("host", host.as_str())].into_iter())
}
