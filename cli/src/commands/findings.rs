//! `driftline findings`: what is open. Asked with `--check`, something open is exit code 1.

use driftline_collector::analysis::finding::Status;
use driftline_collector::store::FindingRecord;
use driftline_protocol::item::ItemKey;

use crate::Verdict;
use crate::client::Client;
use crate::output::{self, Output, Row};

/// Lists open drift and deviations.
#[derive(clap::Args)]
pub(crate) struct Findings {
    /// Only of this host.
    #[arg(long, default_value = "")]
    host: String,
    /// Those that ended as well.
    #[arg(long)]
    all: bool,
    /// Exit with 1 when anything is open.
    #[arg(long)]
    check: bool,
}

impl Row for FindingRecord {
    const NAME: &'static str = "finding is open";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] =
        &["severity", "kind", "host", "part", "item", "agreed", "now", "since"];

    const FIRST_LINE: usize = 4;

    fn cells(&self) -> Vec<String> {
        let finding = &self.finding;
        vec![
            finding.severity.as_str().to_owned(),
            match &finding.id.rule {
                Some(rule) => rule.to_string(),
                None => finding.id.kind.as_str().to_owned(),
            },
            finding.id.host.to_string(),
            output::printable(finding.id.part.as_str()),
            output::printable(finding.id.key.as_ref().map_or("-", ItemKey::as_str)),
            output::value(finding.desired.as_ref()),
            output::value(finding.current.as_ref()),
            output::moment(finding.first_seen),
        ]
    }
}

impl Findings {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let open = if self.all { "false" } else { "true" };
        let query = [("host", self.host.as_str()), ("open", open), ("limit", "10000")];
        let findings: Vec<FindingRecord> = client.list("findings", &query).await?;
        output::print(output, &findings)?;
        let found = findings.iter().any(|record| record.finding.status == Status::Open);
        Ok(if self.check && found { Verdict::Found } else { Verdict::Fine })
    }
}
