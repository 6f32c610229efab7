//! The report of Puppet's, or OpenVox', last run: `last_run_report.yaml`, report format 4 to 12
//! (<https://www.puppet.com/docs/puppet/7/format_report.html>).
//!
//! A report lists every resource of a catalogue and can have tens of megabytes, nearly all of it
//! about what did not change. So it is read line by line as Ruby's Psych writes it (in blocks, two
//! blanks a level), and what is kept is bounded by what changed. Only events with the status
//! `success` count: what a run without changes (`noop`) would do, what failed, and what was only
//! looked at, changed nothing.
//!
//! A file is known by its resource's title, since a report does not tell the attribute `path`: one
//! with a title of its own is nobody's. Nor does it name what an `exec`, an `augeas` or a module's
//! own type wrote. Of the digest only the message tells in all versions (`content` is in base64
//! since 7), and of a `Sensitive` content nothing does.

use std::path::Path;

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use super::known::{Effect, Sum};
use super::run::{Outcome, Run, Told};
use crate::sources::look::Look;
use crate::sources::table::Trouble;

mod lines;

use lines::{Event, Report, Resource};

/// Where the report of the last run stands (`lastrunreport` of puppet.conf): packages of the
/// vendor, of Debian, and of old.
pub(super) const REPORTS: [&str; 3] = [
    "/opt/puppetlabs/puppet/cache/state/last_run_report.yaml",
    "/var/cache/puppet/state/last_run_report.yaml",
    "/var/lib/puppet/state/last_run_report.yaml",
];

/// The largest report that is read, in bytes: 100,000 resources.
const REPORT_BYTES: u64 = 256 * 1024 * 1024;

/// Kinds of resources whose titles are names of what other sources tell of.
const KINDS: [(&str, &str); 4] =
    [("User", "user"), ("Group", "group"), ("Package", "package"), ("Service", "service")];

pub(super) fn read(look: &mut Look<'_>) -> Result<Option<Told>, Trouble> {
    let mut newest: Option<Run> = None;
    let mut told = None;
    for path in REPORTS {
        let mut report = Report::default();
        if !look.pieces(Path::new(path), REPORT_BYTES, &mut |piece| report.take(piece))? {
            continue;
        }
        let run = run(report.finish()).map_err(Trouble::Malformed)?;
        told.get_or_insert_with(Told::default);
        // An installation that another took the place of leaves its last report behind.
        if newest.as_ref().is_none_or(|newest| newest.began < run.began) {
            newest = Some(run);
        }
    }
    Ok(told.map(|told| Told { runs: newest.into_iter().collect(), ..told }))
}

/// The run that a whole report is about, for tests and fuzzing.
///
/// # Errors
/// [`Malformed`](crate::formats::Malformed) for what is no report.
pub fn reads(bytes: &[u8]) -> Result<Run, crate::formats::Malformed> {
    let mut report = Report::default();
    report.take(bytes);
    run(report.finish())
}

fn run(report: Report) -> Result<Run, crate::formats::Malformed> {
    let malformed = |what| crate::formats::Malformed { line: 1, what };
    let began = report.time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
    let began = began.ok_or_else(|| malformed("a report without a time"))?;
    let words = [("environment", report.environment), ("version", report.configuration_version)];
    // It becomes a key.
    let id = report.transaction_uuid.filter(|id| is_name(id));
    let ended = report.last_time.as_deref().and_then(|time| time.parse().ok());
    let ended = ended.filter(|ended: &Timestamp| *ended >= began);
    Ok(Run {
        ended,
        outcome: match report.status.as_deref() {
            Some("changed" | "unchanged") => Outcome::Success,
            _ => Outcome::Failed,
        },
        words: words.into_iter().filter_map(|(name, word)| Some((name, word?))).collect(),
        effects: report.effects,
        left_out: report.left_out,
        ..Run::new(id.unwrap_or_else(|| began.to_string()), began)
    })
}

/// What a resource's events say was changed.
fn effects(resource: &Resource) -> Vec<Effect> {
    let done = |event: &&Event| {
        let status = event.status.as_deref();
        status == Some("success")
            || (status == Some("noop") && mutant::active(Mutant::NoopRunsChange))
    };
    let (Some(kind), Some(title)) = (&resource.kind, &resource.title) else { return Vec::new() };
    if kind == "File" {
        let path = if title.len() > 1 { title.trim_end_matches('/') } else { title };
        let events = resource.events.iter().filter(done);
        return events.filter_map(|event| file(path, event)).collect();
    }
    let known = KINDS.iter().find(|(name, _)| name == kind).filter(|_| is_name(title));
    // That a service was started is no setting of its unit.
    let is_kept = |event: &Event| kind != "Service" || event.property.as_deref() == Some("enable");
    let changed = resource.events.iter().any(|event| done(&event) && is_kept(event));
    let effect = known.filter(|_| changed);
    effect.map(|(_, kind)| Effect::Named(kind, title.clone())).into_iter().collect()
}

fn file(path: &str, event: &Event) -> Option<Effect> {
    let path = path.starts_with('/').then(|| path.to_owned())?;
    let wanted = event.desired.clone().filter(|wanted| !wanted.is_empty());
    let message = event.message.as_deref().unwrap_or_default();
    match event.property.as_deref()? {
        "ensure" if event.desired.as_deref() == Some("absent") => Some(Effect::Gone(path)),
        "ensure" if event.desired.as_deref() != Some("file") => None,
        "ensure" | "content" => Some(Effect::Content(path, Sum::last_of(message))),
        "mode" => Some(Effect::Mode(path, u32::from_str_radix(&wanted?, 8).ok()?)),
        "owner" => Some(Effect::Owner(path, wanted?)),
        "group" => Some(Effect::Group(path, wanted?)),
        _ => None,
    }
}

/// Whether a title is a name, and not a text that a person wrote: it becomes a key, which no
/// redactor looks at.
fn is_name(title: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || "._+-@:".contains(c);
    (1..=128).contains(&title.len()) && title.chars().all(sign)
}
