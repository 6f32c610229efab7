//! `driftline retire HOST`, and `reinstate`: a host leaves for good, or comes back.

use serde_json::{Value, json};

use crate::client::Client;
use crate::{Verdict, eprintln_message};

/// Names the host.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// The host's name.
    host: String,
}

impl Which {
    /// Takes the host out of service: its findings end, its history stays.
    pub(crate) async fn retire(self, client: &Client) -> anyhow::Result<Verdict> {
        let _: Value =
            client.post(&format!("/api/v1/hosts/{}/retire", self.host), &json!({})).await?;
        eprintln_message(&format!("{} is retired; its history stays", self.host));
        Ok(Verdict::Fine)
    }

    /// Lets a retired host report again.
    pub(crate) async fn reinstate(self, client: &Client) -> anyhow::Result<Verdict> {
        let path = format!("/api/v1/hosts/{}", self.host);
        let shown: Value = client.get(&path, &[]).await?;
        if shown.get("state").and_then(Value::as_str) != Some("retired") {
            eprintln_message(&format!("{} is not retired, so nothing was changed", self.host));
            return Ok(Verdict::Fine);
        }
        let _: Value = client.post(&format!("{path}/reinstate"), &json!({})).await?;
        eprintln_message(&format!("{} may report again", self.host));
        Ok(Verdict::Fine)
    }
}
