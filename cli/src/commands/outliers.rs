//! `driftline outliers`: what is odd among hosts that should be alike.

use driftline_collector::analysis::peers::Outlier;
use driftline_protocol::item::{ItemKey, ItemValue};

use crate::Verdict;
use crate::client::Client;
use crate::output::{self, Output, Row};

/// Lists what is odd, the oddest first.
#[derive(clap::Args)]
pub(crate) struct Outliers {
    /// Hold the hosts of this group of the collector's configuration against each other; without
    /// it, all hosts of one kind.
    #[arg(long)]
    group: Option<String>,
    /// Only what is odd about this host.
    #[arg(long)]
    host: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Row for Outlier {
    const NAME: &'static str = "host differs from peers that agree";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] =
        &["host", "shared by", "part", "item", "here", "common"];
    const FIRST_LINE: usize = 3;

    fn cells(&self) -> Vec<String> {
        let item = match (&self.key, self.items) {
            (Some(key), _) => output::printable(ItemKey::as_str(key)),
            (None, 0) => "missing".to_owned(),
            (None, items) => format!("{items} items"),
        };
        vec![
            self.host.to_string(),
            format!("{} of {}", self.sharing, self.peers),
            output::printable(self.part.as_str()),
            item,
            value(self.current.as_ref()),
            value(self.common.as_ref()),
        ]
    }
}

impl Outliers {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let limit = self.limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(self.group.as_deref().map(|group| ("group", group)));
        query.extend(self.host.as_deref().map(|host| ("host", host)));
        let outliers: Vec<Outlier> = client.list("outliers", &query).await?;
        output::print(output, &outliers)?;
        Ok(Verdict::Fine)
    }
}

fn value(value: Option<&ItemValue>) -> String {
    value.map_or_else(|| "-".to_owned(), output::one_line)
}
