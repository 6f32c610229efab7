//! `driftline cases`: cases as the collector knows them, with what their words mean there.

use driftline_collector::api::cases::ShownCase;

use crate::Verdict;
use crate::client::Client;
use crate::moment;
use crate::output::{self, Output, Row};

/// Lists cases, newest opened first.
#[derive(clap::Args)]
pub(crate) struct Cases {
    /// Only from this source.
    #[arg(long, default_value = "", hide_default_value = true)]
    source: String,
    /// Only with this id.
    #[arg(long, default_value = "", hide_default_value = true)]
    id: String,
    /// Opened at or after, such as 2026-11-22, 2026-11-22T13:00:00Z or -2h.
    #[arg(long, value_parser = moment::argument, allow_hyphen_values = true)]
    from: Option<String>,
    /// Opened before.
    #[arg(long, value_parser = moment::argument, allow_hyphen_values = true)]
    to: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Row for ShownCase {
    const NAME: &'static str = "case is known";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] = &[
        "opened", "case", "source", "service", "site", "category", "priority", "status", "mapped",
    ];
    const FIRST_LINE: usize = 5;

    fn cells(&self) -> Vec<String> {
        let word = |word: &str| {
            if word.is_empty() { "-".to_owned() } else { output::printable(word) }
        };
        vec![
            output::moment(self.case.opened_at),
            output::printable(&self.case.id),
            output::printable(&self.case.source),
            word(&self.mapped_service),
            word(&self.mapped_site),
            word(&self.mapped_category),
            word(&self.case.facts.priority),
            self.case.facts.status.as_str().to_owned(),
            if self.mapped { "yes" } else { "no" }.to_owned(),
        ]
    }
}

impl Cases {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let limit = self.limit.to_string();
        let query = [
            ("source", self.source.as_str()),
            ("id", self.id.as_str()),
            ("from", self.from.as_deref().unwrap_or_default()),
            ("to", self.to.as_deref().unwrap_or_default()),
            ("limit", limit.as_str()),
        ];
        let cases: Vec<ShownCase> = client.list("cases", &query).await?;
        output::print(output, &cases)?;
        Ok(Verdict::Fine)
    }
}
