//! `driftline rules`: what hosts are held to, and what a site may decide about it.

use driftline_collector::analysis::finding::{RuleName, Severity};
use driftline_collector::analysis::rules::ParameterView;
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
    /// What it demands where no site has decided otherwise.
    #[serde(default)]
    demands: String,
    /// The parameter that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
}

/// Lists the rules hosts are held to, and after them what a site may decide about them.
#[derive(clap::Args)]
pub(crate) struct Rules {
    /// Only the parameters: what each means, what counts by default, and what was decided.
    #[arg(long)]
    parameters: bool,
}

impl Rule {
    /// Whether it is the rule of that name.
    pub(crate) fn is(&self, name: &RuleName) -> bool {
        self.rule == *name
    }

    /// What it asks for, why, and what to do.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("rule", self.rule.to_string()),
            ("asks for", self.title.clone()),
            ("why", self.reason.clone()),
        ];
        lines.extend(self.remedy.clone().map(|remedy| ("remedy", remedy)));
        lines
    }
}

impl Row for Rule {
    const NAME: &'static str = "rule is on; [rules] packs in the collector's configuration does it";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] =
        &["rule", "severity", "pack", "demands", "parameter", "title", "reference"];
    const FIRST_LINE: usize = 3;

    fn cells(&self) -> Vec<String> {
        vec![
            self.rule.to_string(),
            self.severity.as_str().to_owned(),
            output::printable(&self.pack),
            output::printable(self.expression.as_ref().unwrap_or(&self.demands)),
            output::printable(self.parameter.as_deref().unwrap_or("-")),
            output::printable(&self.title),
            output::printable(&self.reference),
        ]
    }
}

impl Row for ParameterView {
    const NAME: &'static str = "parameter is asked for by a rule that is on";
    const WHOLE: usize = 1;
    const HEADINGS: &'static [&'static str] = &["parameter", "default", "decided", "meaning"];
    const FIRST_LINE: usize = 2;

    fn cells(&self) -> Vec<String> {
        let decided = self.decided_words();
        vec![
            output::printable(&self.parameter),
            output::printable(&self.default.join(", ")),
            if decided.is_empty() { "-".to_owned() } else { output::printable(&decided) },
            output::printable(&self.meaning),
        ]
    }
}

#[derive(Deserialize)]
struct Listed {
    rules: Vec<Rule>,
    #[serde(default)]
    parameters: Vec<ParameterView>,
}

impl Rules {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let Listed { rules, parameters } = client.get("/api/v1/rules", &[]).await?;
        if self.parameters {
            output::print(output, &parameters)?;
            return Ok(Verdict::Fine);
        }
        output::print(output, &rules)?;
        // One list is one document for a program; a person reads on.
        if output == Output::Table && !parameters.is_empty() {
            output::write("\n")?;
            output::print(output, &parameters)?;
        }
        Ok(Verdict::Fine)
    }
}
