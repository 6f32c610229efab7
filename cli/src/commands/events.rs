//! `driftline events`: who did what, and what befell hosts and the store.

use driftline_collector::store::EventRecord;

use crate::client::Client;
use crate::moment;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// The most events one page of the API holds.
const PAGE_MOST: u32 = 10_000;

/// Lists events, newest first.
#[derive(clap::Args)]
pub(crate) struct Events {
    /// Only of this host.
    #[arg(long, default_value = "", hide_default_value = true)]
    host: String,
    /// Only of this kind: enrolled, name_taken, cloned, rolled_back, store_restored, retired,
    /// returned, approved, token_changed, reloaded, refused, exception_made, exception_ended,
    /// judged, reclassified, request_changed.
    #[arg(long, default_value = "", hide_default_value = true)]
    kind: String,
    /// Not before this time: 2026-11-22T13:00:00Z, 2026-11-22, or back from now: -2h.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    since: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE_MOST)))]
    limit: u32,
}

impl Row for EventRecord {
    const NAME: &'static str = "event matches";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] = &["at", "kind", "host", "what"];
    const FIRST_LINE: usize = 3;

    fn cells(&self) -> Vec<String> {
        vec![
            output::moment(self.at),
            self.kind.as_str().to_owned(),
            self.host.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            output::printable(&self.detail),
        ]
    }
}

impl Events {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let limit = self.limit.to_string();
        let query = [
            ("host", self.host.as_str()),
            ("kind", &self.kind),
            ("from", self.since.as_deref().unwrap_or_default()),
            ("limit", &limit),
        ];
        let (events, more): (Vec<EventRecord>, bool) = client.pages("events", &query, 1).await?;
        output::print(output, &events)?;
        if more {
            eprintln_message("there are more events; --limit says how many are listed");
        }
        Ok(Verdict::Fine)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use driftline_collector::store::EventKind;

    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        events: super::Events,
    }

    #[test]
    fn the_help_names_every_kind_of_event() {
        let help = Alone::command().render_long_help().to_string();
        for kind in EventKind::ALL.map(EventKind::as_str) {
            assert!(help.contains(kind), "{kind} is not in {help}");
        }
    }
}
