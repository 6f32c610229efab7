//! `driftline doctor`: what stands in the way of a healthy collector, and what to do about it.

use crate::client::Client;
use crate::output;
use crate::{Verdict, commands};

/// Runs the command: one line for each thing that is not as it should be, exit code 1 when there is
/// any.
pub(crate) async fn run(client: &Client) -> anyhow::Result<Verdict> {
    let hosts = commands::hosts::all(client).await?;
    let mut lines = Vec::new();
    if hosts.is_empty() {
        lines.push("no host has enrolled: start an agent with this collector's address".to_owned());
    }
    for host in &hosts {
        if !["alive", "retired", "imported"].contains(&host.state.as_str()) {
            let since = output::moment(host.last_seen);
            lines.push(format!(
                "{} is {}, last heard {since}: see `journalctl -u driftline-agent` there",
                host.host, host.state
            ));
        }
        let path = format!("/api/v1/hosts/{}", host.host);
        let shown: serde_json::Value = client.get(&path, &[]).await?;
        lines.extend(sources(host.host.as_str(), &shown));
    }
    let text: String = lines.iter().map(|line| line.clone() + "\n").collect();
    output::write(if lines.is_empty() { "nothing stands in the way\n" } else { &text })?;
    Ok(if lines.is_empty() { Verdict::Fine } else { Verdict::Found })
}

/// What is wrong with the sources of one host.
fn sources(host: &str, shown: &serde_json::Value) -> Vec<String> {
    let mut lines = Vec::new();
    let sources = shown.get("sources").and_then(serde_json::Value::as_object);
    for (source, state) in sources.into_iter().flatten() {
        if state.get("success").and_then(serde_json::Value::as_bool) == Some(false) {
            lines.push(format!("{host}: source {source} failed at its last reading"));
        }
        if state.get("imbalance").and_then(serde_json::Value::as_u64).unwrap_or(0) > 0 {
            lines.push(format!(
                "{host}: versions of {source} are missing; the ledger says how many"
            ));
        }
        let unobserved = state.get("unobserved").and_then(serde_json::Value::as_object);
        for (reason, count) in unobserved.into_iter().flatten() {
            // Secrets as a whole are withheld on purpose; everything else somebody may want to
            // mend.
            if reason != "withheld" {
                lines.push(format!("{host}: {count} parts of {source} are unobserved: {reason}"));
            }
        }
    }
    lines
}
