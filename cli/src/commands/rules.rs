//! `driftline rules`: what hosts are held to.

use driftline_collector::analysis::finding::{RuleName, Severity};
use serde::{Deserialize, Serialize};

use crate::Verdict;
use crate::client::Client;
use crate::output::{self, Output, Row};

/// One rule as the collector shows it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rule {
    rule: RuleName,
    pack: String,
    title: String,
    severity: Severity,
    reason: String,
    reference: String,
    owner: Option<String>,
    remedy: Option<String>,
    source: String,
    part: String,
    key: Option<String>,
}

impl Row for Rule {
    const NAME: &'static str = "rule is on; [rules] packs in the collector's configuration does it";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] = &["rule", "severity", "title", "reference"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.rule.to_string(),
            self.severity.as_str().to_owned(),
            output::printable(&self.title),
            output::printable(&self.reference),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<Verdict> {
    let rules: Vec<Rule> = client.list("rules", &[]).await?;
    output::print(output, &rules)?;
    Ok(Verdict::Fine)
}
