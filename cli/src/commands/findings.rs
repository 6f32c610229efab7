//! `driftline findings`: what is open. Asked with `--check`, something open is exit code 1.

use driftline_collector::analysis::finding::{Finding, FindingKind, Status};
use driftline_collector::analysis::sight;
use driftline_collector::store::{FindingRecord, Handled};
use driftline_collector::words::either;
use driftline_protocol::item::ItemKey;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// How many pages are read: 100,000 findings, of which the worst come first.
const PAGES_MOST: usize = 10;

/// Lists open drift and deviations.
#[derive(clap::Args)]
pub(crate) struct Findings {
    /// Only of this host.
    #[arg(long, default_value = "", hide_default_value = true)]
    host: String,
    /// Those that ended, those an exception permits, and what was meant or is noise, as well.
    #[arg(long)]
    all: bool,
    /// Only of these classes, separated by commas, such as expected,flapping; those that were meant
    /// or are noise as well.
    #[arg(long, default_value = "", hide_default_value = true)]
    class: String,
    /// Only drift, deviation or discrepancy.
    #[arg(long, value_parser = ["drift", "deviation", "discrepancy"])]
    kind: Option<String>,
    /// Only as bad as this.
    #[arg(long, value_parser = ["critical", "warning", "info"])]
    severity: Option<String>,
    /// Only of hosts at this site.
    #[arg(long)]
    site: Option<String>,
    /// Only of hosts of this group.
    #[arg(long)]
    group: Option<String>,
    /// Only of files and tables that follow this pattern, such as '/etc/ssh/*'.
    #[arg(long)]
    part: Option<String>,
    /// Only those this owner or team answers for or was given; `nobody` for those that are
    /// nobody's.
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// Exit with 1 when anything is open.
    #[arg(long)]
    check: bool,
}

/// A finding, what was meant by it, and the exception that permits it.
#[derive(Serialize, Deserialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) record: FindingRecord,
    pub(super) class: String,
    /// Whether somebody should look at it.
    pub(super) asks: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) excepted_by: Option<String>,
    owner: String,
    #[serde(flatten)]
    handled: Handled,
    /// What `driftline finding accept --etag` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl Row for Shown {
    const NAME: &'static str = "finding is open";
    const WHOLE: usize = 6;
    const HEADINGS: &'static [&'static str] = &[
        "number",
        "severity",
        "kind",
        "class",
        "owner",
        "host",
        "part",
        "item",
        "should be",
        "now",
        "since",
    ];

    const FIRST_LINE: usize = 7;

    fn cells(&self) -> Vec<String> {
        let finding = &self.record.finding;
        let [agreed, now] = sides(finding);
        vec![
            self.record.number.to_string(),
            finding.severity.as_str().to_owned(),
            match &finding.id.rule {
                Some(rule) => rule.to_string(),
                None => finding.id.kind.as_str().to_owned(),
            },
            match finding.id.kind {
                FindingKind::Drift => self.class.clone(),
                FindingKind::Deviation | FindingKind::Discrepancy => "-".to_owned(),
            },
            output::printable(&self.owner_words()),
            finding.id.host.to_string(),
            output::printable(finding.id.part.as_str()),
            output::printable(finding.id.key.as_ref().map_or("-", ItemKey::as_str)),
            agreed,
            now,
            self.since(),
        ]
    }
}

/// What should be and what is, for a person: of a text the lines that differ, and a value that only
/// stands elsewhere as it is.
pub(crate) fn sides(finding: &Finding) -> [String; 2] {
    sight::sides(finding, |desired, current| match sight::places(finding) {
        Some(_) => [desired, current].map(output::value),
        None => output::values(desired, current),
    })
}

impl Shown {
    /// Who answers for it, and whether somebody has said so. Whoever it was given to comes before
    /// whoever owns it by the configuration.
    pub(super) fn owner_words(&self) -> String {
        let owner = self.handled.assigned_to.as_ref().unwrap_or(&self.owner);
        let seen = if self.handled.acknowledged_by.is_some() { " (seen)" } else { "" };
        format!("{owner}{seen}")
    }

    /// Since when it is open, and what became of it, which `--all` shows beside what is open.
    fn since(&self) -> String {
        let since = output::moment(self.record.finding.first_seen);
        match (&self.record.finding.status, &self.excepted_by) {
            (Status::Resolved { at, .. }, _) => format!("{since} until {}", output::moment(*at)),
            (Status::Open, Some(name)) => {
                output::printable(&format!("{since}, permitted by {name}"))
            }
            (Status::Open, None) => since,
        }
    }
}

impl Findings {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let open = if self.all { "false" } else { "true" };
        let order = if self.all { "newest" } else { "worst" };
        let mut query = vec![
            ("host", self.host.as_str()),
            ("open", open),
            ("order", order),
            ("limit", "10000"),
        ];
        let narrows = [
            ("class", Some(&self.class)),
            ("owner", Some(&self.owner)),
            ("kind", self.kind.as_ref()),
            ("severity", self.severity.as_ref()),
            ("site", self.site.as_ref()),
            ("group", self.group.as_ref()),
            ("part", self.part.as_ref()),
        ];
        for (name, asked) in narrows {
            query.extend(asked.map(|asked| (name, asked.as_str())));
        }
        let (mut findings, more): (Vec<Shown>, bool) =
            client.pages("findings", &query, PAGES_MOST).await?;
        if more {
            eprintln_message("there are more findings than are read; --host narrows them");
        }
        let found = findings.iter().any(|shown| shown.asks);
        if !self.all && self.class.is_empty() {
            let permitted = leave_out(&mut findings, |shown| shown.excepted_by.is_some());
            let quiet = leave_out(&mut findings, |shown| !shown.asks);
            for (many, one, several) in [
                (permitted, "is permitted by an exception", "are permitted by exceptions"),
                (quiet, "was meant or is noise", "were meant or are noise"),
            ] {
                if many > 0 {
                    let why = either(many, one, several);
                    eprintln_message(&format!("{many} more {why}; see --all"));
                }
            }
        }
        output::print(output, &findings)?;
        Ok(if self.check && found { Verdict::Found } else { Verdict::Fine })
    }
}

/// Leaves out what `is_out`; says how many that were.
fn leave_out(findings: &mut Vec<Shown>, is_out: impl Fn(&Shown) -> bool) -> usize {
    let before = findings.len();
    findings.retain(|shown| !is_out(shown));
    before - findings.len()
}
