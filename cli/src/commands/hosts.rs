//! `driftline hosts`: who reports, and how they fare.

use driftline_protocol::ids::HostId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Verdict;
use crate::client::Client;
use crate::output::{self, Output, Row};

/// A host as the API lists it.
#[derive(Serialize, Deserialize)]
pub(crate) struct HostRow {
    /// Its name.
    pub(crate) host: HostId,
    /// How it stands.
    pub(crate) state: String,
    /// Whether it is stale and its groups take that for sleep.
    #[serde(default)]
    pub(crate) asleep: bool,
    kind: String,
    site: Option<String>,
    team: Option<String>,
    /// When it was last heard.
    pub(crate) last_seen: Timestamp,
    agent_version: String,
}

impl Row for HostRow {
    const NAME: &'static str = "host is known";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] =
        &["host", "state", "kind", "site", "team", "last seen", "agent"];

    fn cells(&self) -> Vec<String> {
        let or_dash = |text: &Option<String>| {
            text.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
        };
        vec![
            self.host.to_string(),
            format!("{}{}", self.state, if self.asleep { " (asleep)" } else { "" }),
            self.kind.clone(),
            or_dash(&self.site),
            or_dash(&self.team),
            output::moment(self.last_seen),
            output::printable(&self.agent_version),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<Verdict> {
    output::print(output, &all(client).await?)?;
    Ok(Verdict::Fine)
}

/// Every host, page after page.
pub(crate) async fn all(client: &Client) -> anyhow::Result<Vec<HostRow>> {
    const PAGE: usize = 1_000;
    let mut hosts: Vec<HostRow> = Vec::new();
    loop {
        let after = hosts.last().map(|row| row.host.to_string()).unwrap_or_default();
        let query = [("after", after.as_str()), ("limit", &PAGE.to_string())];
        let page: Vec<HostRow> = client.list("hosts", &query).await?;
        let more = page.len() >= PAGE;
        hosts.extend(page);
        if !more {
            return Ok(hosts);
        }
    }
}
