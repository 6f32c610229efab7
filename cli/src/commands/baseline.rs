//! `driftline baseline approve HOST`: agree to what is.

use serde_json::{Value, json};

use crate::client::Client;
use crate::{Verdict, eprintln_message};

/// Agrees to states of hosts.
#[derive(clap::Subcommand)]
pub(crate) enum Baseline {
    /// Agree to the present state of a host: open drift is accepted, and drift counts from here.
    Approve {
        /// The host's name.
        host: String,
        /// Why, for whoever asks later.
        #[arg(long)]
        reason: String,
    },
}

impl Baseline {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client) -> anyhow::Result<Verdict> {
        let Self::Approve { host, reason } = self;
        let path = format!("/api/v1/hosts/{host}/baseline");
        let _: Value = client.post(&path, &json!({ "reason": reason })).await?;
        eprintln_message(&format!("the present state of {host} is its baseline now"));
        Ok(Verdict::Fine)
    }
}
