//! `driftline rollouts`: the same change on many hosts as one row.

use driftline_collector::rollouts::{Hosts, Rollout};
use driftline_protocol::item::ItemKey;

use crate::Verdict;
use crate::client::Client;
use crate::moment;
use crate::output::{self, Output, Row};

/// Lists rollouts, the newest first.
#[derive(clap::Args)]
pub(crate) struct Rollouts {
    /// Not before this time: 2026-11-22T13:00:00Z, 2026-11-22, or back from now: -2h; a week before
    /// the end of the time unless said.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    from: Option<String>,
    /// Before this time, in the same forms; now unless said.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    to: Option<String>,
    /// At most this many rollouts, the newest first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Row for Rollout {
    const NAME: &'static str = "rollout in this time";
    const WHOLE: usize = 5;
    const HEADINGS: &'static [&'static str] =
        &["change", "last", "hosts", "by wave", "class", "part", "item", "not yet", "went back"];
    const FIRST_LINE: usize = 5;

    fn cells(&self) -> Vec<String> {
        let waves: Vec<String> = self.waves.iter().map(|wave| wave.hosts.to_string()).collect();
        let item = self.item.as_ref().map_or("-", ItemKey::as_str);
        let item = format!("{item} {}", self.more_items());
        let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        vec![
            self.number.to_string(),
            output::moment(self.to),
            format!("{} of {}", self.reached.count, self.all()),
            waves.join("+"),
            or_none(self.classes.join("+")),
            output::printable(&self.parts.join(", ")),
            output::printable(item.trim_end()),
            or_none(names(&self.stragglers)),
            or_none(names(&self.went_back)),
        ]
    }
}

fn names(hosts: &Hosts) -> String {
    let names: Vec<String> = hosts.first.iter().map(ToString::to_string).collect();
    let more = hosts.count - hosts.first.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(" "))
}

impl Rollouts {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let limit = self.limit.to_string();
        let query = [
            ("from", self.from.as_deref().unwrap_or_default()),
            ("to", self.to.as_deref().unwrap_or_default()),
            ("limit", &limit),
        ];
        let rollouts: Vec<Rollout> = client.list("rollouts", &query).await?;
        output::print(output, &rollouts)?;
        Ok(Verdict::Fine)
    }
}
