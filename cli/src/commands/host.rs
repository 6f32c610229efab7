//! `driftline host ID`: the sections of one host, and how much of each is unobserved.

use std::collections::BTreeMap;

use driftline_collector::store::{SectionRecord, Unread};
use serde::{Deserialize, Serialize};

use crate::Verdict;
use crate::client::Client;
use crate::output::{self, Output, Row};

/// Shows the sections of one host, and how much of each is unobserved.
#[derive(clap::Args)]
pub(crate) struct Host {
    /// The host's name.
    host: String,
}

#[derive(Serialize, Deserialize)]
struct SectionRow {
    section: SectionRecord,
    parts: u64,
    unread: BTreeMap<String, Unread>,
}

impl Row for SectionRow {
    const NAME: &'static str = "section has been reported";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] =
        &["source", "domain", "parts", "unobserved", "generation", "last version"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.section.source.to_string(),
            self.section.domain.as_str().to_owned(),
            self.parts.to_string(),
            self.unread.len().to_string(),
            self.section.generation.to_string(),
            output::moment(self.section.observed_at),
        ]
    }
}

impl Host {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let path = format!("hosts/{}/sections", self.host);
        let sections: Vec<SectionRow> = client.list(&path, &[]).await?;
        output::print(output, &sections)?;
        Ok(Verdict::Fine)
    }
}
