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
        let _: Value =
            client.post(&format!("/api/v1/hosts/{}/reinstate", self.host), &json!({})).await?;
        eprintln_message(&format!("{} may report again", self.host));
        Ok(Verdict::Fine)
    }
}
