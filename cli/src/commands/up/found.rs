//! The one line after the first snapshot of this start: what was found, what is open, and what
//! could not be seen. What a start before this one saw is not told: much may have changed since.

use std::time::Duration;

use driftline_collector::analysis::finding::FindingKind;
use driftline_collector::words::{counted, either};
use driftline_protocol::snapshot::{Part, Reason, Snapshot};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::client::Client;
use crate::commands::hosts::{self, HostRow};
use crate::output;

/// How often the collector is asked whether the first snapshot has arrived.
const POLL: Duration = Duration::from_millis(250);

/// Says what was found as soon as everything the agent saw since `started` has arrived; ends early
/// when `stopped`.
///
/// # Errors
/// When the collector's answer cannot be read.
pub(super) async fn say(
    client: &Client,
    started: Timestamp,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let host = loop {
        if *stopped.borrow() {
            return Ok(());
        }
        // The collector may still be starting; a failure here is told by its own log.
        if let Ok(hosts) = hosts::all(client).await
            && let Some(host) = arrived(client, hosts, started).await
        {
            break host;
        }
        tokio::time::sleep(POLL).await;
    };
    let path = format!("/api/v1/hosts/{}/snapshot", host.host);
    let snapshot: Snapshot = client.get(&path, &[]).await?;
    let host = host.host.to_string();
    let asked = [("host", host.as_str()), ("open", "true"), ("order", "worst"), ("limit", "10000")];
    let open: Vec<Open> = client.list("findings", &asked).await?;
    output::write(&line(&snapshot, &open))
}

/// An open finding.
#[derive(Deserialize)]
struct Open {
    id: OpenId,
    /// Whether somebody should look at it.
    asks: bool,
}

/// What names it.
#[derive(Deserialize)]
struct OpenId {
    kind: FindingKind,
}

/// The host that was heard since `started`, after its sources were read, and on which nothing waits
/// any more.
async fn arrived(client: &Client, hosts: Vec<HostRow>, started: Timestamp) -> Option<HostRow> {
    let heard = |host: &HostRow| host.state == "alive" && host.last_seen >= started;
    let host = hosts.into_iter().find(heard)?;
    let shown: Value = client.get(&format!("/api/v1/hosts/{}", host.host), &[]).await.ok()?;
    is_read(&shown).then_some(host)
}

/// Whether sources of a host were read, and nothing of them waits to be delivered.
fn is_read(shown: &Value) -> bool {
    let Some(sources) = shown.get("sources").and_then(Value::as_object) else { return false };
    let quiet = |source: &Value| source.get("waiting").and_then(Value::as_u64) == Some(0);
    let read = |source: &Value| source.get("read_seconds").and_then(Value::as_f64) > Some(0.0);
    sources.values().any(read) && sources.values().all(quiet)
}

fn line(snapshot: &Snapshot, open: &[Open]) -> String {
    let parts = || snapshot.sections.values().flat_map(|section| section.parts.values());
    let items = parts().filter_map(Part::observed).map(|observed| observed.items.len());
    let unobserved: Vec<Reason> = parts().filter_map(Part::unobserved_reason).collect();
    let mut reasons = String::new();
    for reason in Reason::ALL {
        let count = unobserved.iter().filter(|other| **other == reason).count();
        if count > 0 {
            let comma = if reasons.is_empty() { "" } else { ", " };
            reasons += &format!("{comma}{count} {reason}");
        }
    }
    let reasons = if reasons.is_empty() { reasons } else { format!(" ({reasons})") };
    format!(
        "{}: {}, {}, {}, {} unobserved{reasons}, {}\n",
        snapshot.host,
        counted(snapshot.sections.len(), "source"),
        counted(parts().count(), "part"),
        counted(items.sum::<usize>(), "item"),
        unobserved.len(),
        open_words(open),
    )
}

/// What asks for somebody, by kind, and how much does not.
fn open_words(open: &[Open]) -> String {
    let of = |kind: FindingKind| open.iter().filter(|one| one.asks && one.id.kind == kind).count();
    let drifts = of(FindingKind::Drift);
    let discrepancies = of(FindingKind::Discrepancy);
    let quiet = open.iter().filter(|one| !one.asks).count();
    let mut words = vec![counted(of(FindingKind::Deviation), "deviation")];
    if drifts > 0 {
        words.insert(0, counted(drifts, "drift"));
    }
    if discrepancies > 0 {
        words.push(format!(
            "{discrepancies} {}",
            either(discrepancies, "discrepancy", "discrepancies")
        ));
    }
    if quiet > 0 {
        words.push(format!("{quiet} more {} for nobody", either(quiet, "asks", "ask")));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_what_is_open_is_counted() {
        let open = |kind, asks| Open { id: OpenId { kind }, asks };
        assert_eq!(open_words(&[]), "0 deviations");
        let all = [
            open(FindingKind::Drift, true),
            open(FindingKind::Drift, false),
            open(FindingKind::Deviation, true),
            open(FindingKind::Discrepancy, true),
        ];
        let told = "1 drift, 1 deviation, 1 discrepancy, 1 more asks for nobody";
        assert_eq!(open_words(&all), told);
    }

    #[test]
    fn what_an_earlier_start_saw_is_not_told() {
        let of = |read: f64, waiting: u64| {
            let files = json!({ "waiting": waiting, "read_seconds": read });
            json!({ "sources": { "files": files } })
        };
        assert!(!is_read(&json!({ "sources": {} })));
        assert!(!is_read(&of(0.0, 0)), "it is known from before and was not read yet");
        assert!(!is_read(&of(0.2, 3)));
        assert!(is_read(&of(0.2, 0)));
    }
}
