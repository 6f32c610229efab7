//! `driftline finding show|acknowledge|assign|note|accept|log N`: what persons do about a finding.

use driftline_collector::store::{Act, ActRecord};
use serde_json::{Value, json};

use super::accept::Accept;
use super::show;
use crate::client::Client;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// What is done about a finding, by its number in `driftline findings`.
#[derive(clap::Subcommand)]
pub(crate) enum FindingCommand {
    /// Show one finding with all that is known of it: what should be and is, the class with its
    /// rule and its sentence, the owner, what was done, what its rule asks for, and its page.
    Show {
        /// The finding's number.
        number: i64,
    },
    /// Say that you have seen it and see to it; it goes to nobody else then.
    Acknowledge {
        /// The finding's number.
        number: i64,
        /// What there is to say.
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Give it to somebody.
    Assign {
        /// The finding's number.
        number: i64,
        /// To whom.
        to: String,
    },
    /// Write something down.
    Note {
        /// The finding's number.
        number: i64,
        /// What.
        text: String,
    },
    /// Say that it may be so: the baseline moves to what the host has, or, with --until, it is an
    /// exception until then. Of several findings each is accepted by itself, and what was not is
    /// said.
    Accept(Accept),
    /// List what was done, newest first.
    Log {
        /// The finding's number.
        number: i64,
    },
}

impl Row for ActRecord {
    const NAME: &'static str = "line in the log of this finding";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] = &["at", "who", "act", "text"];

    fn cells(&self) -> Vec<String> {
        vec![
            output::moment(self.at),
            output::printable(&self.who),
            self.act.as_str().to_owned(),
            output::printable(&self.text),
        ]
    }
}

impl FindingCommand {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let (number, act, text) = match self {
            Self::Show { number } => {
                show::run(client, number, output).await?;
                return Ok(Verdict::Fine);
            }
            Self::Acknowledge { number, note } => (number, Act::Acknowledge, note),
            Self::Assign { number, to } => (number, Act::Assign, to),
            Self::Note { number, text } => (number, Act::Note, text),
            Self::Accept(accept) => return accept.run(client, output).await,
            Self::Log { number } => {
                let acts: Vec<ActRecord> =
                    client.list(&format!("findings/{number}/acts"), &[]).await?;
                output::print(output, &acts)?;
                return Ok(Verdict::Fine);
            }
        };
        let path = format!("/api/v1/findings/{number}/acts");
        let _: Value = client.post(&path, &json!({ "act": act, "text": text })).await?;
        eprintln_message(&format!("finding {number}: {} is in its log", act.as_str()));
        Ok(Verdict::Fine)
    }
}
