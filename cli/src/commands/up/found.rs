//! The one line after the first snapshot: what was found, and what could not be seen.

use std::time::Duration;

use driftline_collector::words::counted;
use driftline_protocol::snapshot::{Part, Reason, Snapshot};
use serde_json::Value;
use tokio::sync::watch;

use crate::client::Client;
use crate::commands::hosts::{self, HostRow};
use crate::output;

/// How often the collector is asked whether the first snapshot has arrived.
const POLL: Duration = Duration::from_millis(250);

/// Says what was found as soon as everything the agent saw has arrived; ends early when `stopped`.
///
/// # Errors
/// When the collector's answer cannot be read.
pub(super) async fn say(client: &Client, stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
    let host = loop {
        if *stopped.borrow() {
            return Ok(());
        }
        // The collector may still be starting; a failure here is told by its own log.
        if let Ok(hosts) = hosts::all(client).await
            && let Some(host) = arrived(client, hosts).await
        {
            break host;
        }
        tokio::time::sleep(POLL).await;
    };
    let path = format!("/api/v1/hosts/{}/snapshot", host.host);
    let snapshot: Snapshot = client.get(&path, &[]).await?;
    let asked = [("kind", "deviation"), ("open", "true"), ("limit", "10000")];
    let deviations: Vec<Value> = client.list("findings", &asked).await?;
    output::write(&line(&snapshot, deviations.len()))
}

/// The host on which nothing waits any more.
async fn arrived(client: &Client, hosts: Vec<HostRow>) -> Option<HostRow> {
    let host = hosts.into_iter().find(|host| host.state == "alive")?;
    let shown: Value = client.get(&format!("/api/v1/hosts/{}", host.host), &[]).await.ok()?;
    let sources = shown.get("sources")?.as_object()?;
    let quiet = |source: &Value| source.get("waiting").and_then(Value::as_u64) == Some(0);
    (!sources.is_empty() && sources.values().all(quiet)).then_some(host)
}

fn line(snapshot: &Snapshot, deviations: usize) -> String {
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
        counted(deviations, "deviation"),
    )
}
