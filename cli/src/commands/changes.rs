//! `driftline changes`: what changed, newest first.

use driftline_collector::store::ChangeRecord;
use driftline_protocol::item::ItemKey;

use crate::Verdict;
use crate::client::Client;
use crate::output::{self, Output, Row};

/// What means something to a host's users; comments and re-readings are asked for by name.
pub(super) const SEMANTIC: &str = "added,removed,modified,moved";

/// Lists changes, newest first.
#[derive(clap::Args)]
pub(crate) struct Changes {
    /// Only of this host.
    #[arg(long, default_value = "")]
    host: String,
    /// Only of this source.
    #[arg(long, default_value = "")]
    source: String,
    /// Only of this file or table.
    #[arg(long, default_value = "")]
    part: String,
    /// Only of these kinds, separated by commas: added, removed, modified, moved, cosmetic, recast.
    #[arg(long, default_value = SEMANTIC)]
    kind: String,
    /// Not before this time, such as 2026-11-22T13:00:00Z.
    #[arg(long, default_value = "")]
    from: String,
    /// Before this time.
    #[arg(long, default_value = "")]
    to: String,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Row for ChangeRecord {
    const NAME: &'static str = "change matches";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] =
        &["time", "host", "kind", "part", "item", "before", "after"];

    fn cells(&self) -> Vec<String> {
        let change = &self.change;
        vec![
            output::moment(self.at),
            self.host.to_string(),
            change.kind.as_str().to_owned(),
            output::printable(change.part.as_str()),
            output::printable(change.key.as_ref().map_or("-", ItemKey::as_str)),
            output::value(change.before.as_ref()),
            output::value(change.after.as_ref()),
        ]
    }
}

impl Changes {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let limit = self.limit.to_string();
        let query = [
            ("host", self.host.as_str()),
            ("source", &self.source),
            ("part", &self.part),
            ("kind", &self.kind),
            ("from", &self.from),
            ("to", &self.to),
            ("limit", &limit),
        ];
        let changes: Vec<ChangeRecord> = client.list("changes", &query).await?;
        output::print(output, &changes)?;
        Ok(Verdict::Fine)
    }
}
