//! `driftline suspects`: which changes go together with a rise in cases, and what people say of it.

use driftline_collector::api::suspects::{BaseRate, SuspectsAnswer};
use driftline_collector::store::{Outcome, SuspectRecord};
use serde_json::{Value, json};

use crate::client::Client;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// Ranks the changes the collector saw by how well they go together with a rise in cases.
#[derive(clap::Args)]
pub(crate) struct Suspects {
    /// Only those of this service.
    #[arg(long, default_value = "", hide_default_value = true)]
    service: String,
    /// Only those of this tier: supported, possible, coincident, refuted or undetermined.
    #[arg(long, default_value = "", hide_default_value = true)]
    tier: String,
    /// At most this many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Say that this suspect, by its number, is right: the change and the rise belong together.
    #[arg(long, value_name = "NUMBER", conflicts_with = "reject")]
    confirm: Option<i64>,
    /// Say that this suspect, by its number, is wrong.
    #[arg(long, value_name = "NUMBER")]
    reject: Option<i64>,
    /// List instead how often people confirmed suspects, by sort of change.
    #[arg(long, conflicts_with_all = ["confirm", "reject"])]
    base_rates: bool,
    /// Why, in a sentence; with --confirm or --reject.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

impl Row for SuspectRecord {
    const NAME: &'static str = "suspect";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] = &[
        "number", "tier", "changed", "service", "hosts", "cases", "ratio", "p", "q", "what",
        "reason", "said",
    ];
    const FIRST_LINE: usize = 7;

    fn cells(&self) -> Vec<String> {
        let evidence = &self.evidence;
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let cases = match (evidence.observed, evidence.expected) {
            (Some(observed), Some(expected)) => format!("{observed} ({expected:.1} expected)"),
            (Some(observed), None) => observed.to_string(),
            (None, _) => "-".to_owned(),
        };
        let service = self.candidate.service.as_deref().unwrap_or("*");
        vec![
            self.number.to_string(),
            evidence.tier.as_str().to_owned(),
            output::moment(self.at),
            output::printable(service),
            self.host_count.to_string(),
            cases,
            number(evidence.rate_ratio, 2),
            number(evidence.p_value, 4),
            number(evidence.q_value, 4),
            output::printable(&self.parts.join(" ")),
            evidence.reason.map_or("-", |reason| reason.as_str()).to_owned(),
            self.outcome.as_ref().map_or("-", |said| said.outcome.as_str()).to_owned(),
        ]
    }
}

impl Row for BaseRate {
    const NAME: &'static str = "sort of change was judged";
    const WHOLE: usize = 1;
    const HEADINGS: &'static [&'static str] = &["what changed", "confirmed", "rejected", "rate"];

    fn cells(&self) -> Vec<String> {
        let counts = [self.confirmed, self.rejected].map(|count| count.to_string());
        let [confirmed, rejected] = counts;
        vec![output::printable(&self.name), confirmed, rejected, format!("{:.2}", self.rate)]
    }
}

impl Suspects {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let confirmed = self.confirm.map(|number| (number, Outcome::Confirmed));
        let rejected = self.reject.map(|number| (number, Outcome::Rejected));
        if let Some((number, outcome)) = confirmed.or(rejected) {
            let path = format!("/api/v1/suspects/{number}/outcome");
            let said = json!({ "outcome": outcome, "reason": self.reason });
            let _: Value = client.post(&path, &said).await?;
            return Ok(Verdict::Fine);
        }
        if self.base_rates {
            let said: Value = client.get("/api/v1/suspects/outcomes", &[]).await?;
            let by_kind = said.get("by_kind").cloned().unwrap_or_default();
            output::print(output, &serde_json::from_value::<Vec<BaseRate>>(by_kind)?)?;
            return Ok(Verdict::Fine);
        }
        let limit = self.limit.to_string();
        let query = [
            ("service", self.service.as_str()),
            ("tier", self.tier.as_str()),
            ("limit", limit.as_str()),
        ];
        let found: SuspectsAnswer = client.get("/api/v1/suspects", &query).await?;
        output::print(output, &found.suspects)?;
        if output == Output::Table {
            // No suspect may mean that nothing was, or that nothing could be compared.
            eprintln_message(&output::printable(&found.known.sentence(output::moment)));
        }
        Ok(Verdict::Fine)
    }
}
