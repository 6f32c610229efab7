//! `driftline changes`: what changed, newest first.

use driftline_collector::analysis::change::ChangeKind;
use driftline_collector::analysis::classify::ChangeClass;
use driftline_collector::store::ChangeRecord;
use driftline_protocol::item::ItemKey;
use serde::Serialize;

use crate::Verdict;
use crate::client::Client;
use crate::moment;
use crate::output::{self, Output, Row};

/// What means something to a host's users; comments and re-readings are asked for by name.
pub(super) const SEMANTIC: &str = "added,removed,modified,moved";

/// Lists changes, newest first.
#[derive(clap::Args)]
pub(crate) struct Changes {
    /// Only of this host.
    #[arg(long, default_value = "", hide_default_value = true)]
    host: String,
    /// Only of this source.
    #[arg(long, default_value = "", hide_default_value = true)]
    source: String,
    /// Only of this file or table.
    #[arg(long, default_value = "", hide_default_value = true)]
    part: String,
    /// Only of these kinds, separated by commas: added, removed, modified, moved, cosmetic, recast.
    #[arg(long, default_value = SEMANTIC)]
    kind: String,
    /// Only of these classes, separated by commas: expected, early, late, out_of_scope, unapproved,
    /// unauthorised, emergency, excepted, reverted, flapping, volatile, routine.
    #[arg(long, default_value = "", hide_default_value = true)]
    class: String,
    /// Not before this time: 2026-11-22T13:00:00Z, 2026-11-22, or back from now: -2h.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    from: Option<String>,
    /// Before this time, in the same forms.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    to: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Row for ChangeRecord {
    const NAME: &'static str = "change matches";
    const WHOLE: usize = 4;
    const HEADINGS: &'static [&'static str] = HEADINGS;
    const FIRST_LINE: usize = FIRST_LINE;

    fn cells(&self) -> Vec<String> {
        let change = &self.change;
        let [before, after] = output::values(change.before.as_ref(), change.after.as_ref());
        vec![
            output::moment(self.at),
            self.host.to_string(),
            change.kind.as_str().to_owned(),
            class(self).to_owned(),
            output::printable(change.part.as_str()),
            output::printable(change.key.as_ref().map_or("-", ItemKey::as_str)),
            before,
            after,
        ]
    }
}

const HEADINGS: &[&str] = &["time", "host", "kind", "class", "part", "item", "before", "after"];

/// Time, host, kind, class and part stand on the first line where one line is too short for all.
const FIRST_LINE: usize = 5;

/// What was meant, in a word.
fn class(record: &ChangeRecord) -> &'static str {
    let decision = record.classified.as_ref().map(|classified| &classified.decision);
    decision.and_then(|decision| decision.class).map_or("-", ChangeClass::as_str)
}

/// What a person wants to hear of once: one change, or a part that came or went as a whole.
#[derive(Serialize)]
#[serde(transparent)]
struct Told {
    first: ChangeRecord,
    /// How many items came or went with the part; 0 for one change of its own.
    #[serde(skip)]
    items: usize,
}

impl Row for Told {
    const NAME: &'static str = ChangeRecord::NAME;
    const WHOLE: usize = ChangeRecord::WHOLE;
    const HEADINGS: &'static [&'static str] = HEADINGS;
    const FIRST_LINE: usize = FIRST_LINE;

    fn cells(&self) -> Vec<String> {
        let mut cells = self.first.cells();
        if self.items > 0 {
            cells.truncate(FIRST_LINE);
            cells.push(format!("the whole, {} items", self.items));
            cells.extend(["-".to_owned(), "-".to_owned()]);
        }
        cells
    }
}

/// The same list with one row for a part that came or went as a whole: its attributes come and go
/// with nothing else. Changes of one version stand together, as the collector lists them.
fn folded(changes: Vec<ChangeRecord>) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    for group in changes.chunk_by(of_one_part) {
        let attribute = |record: &ChangeRecord| {
            record.change.key.as_ref().is_some_and(|key| key.as_str() == "@mode")
        };
        match group.first() {
            Some(first) if came_or_went(first) && group.iter().any(attribute) => {
                told.push(Told { first: first.clone(), items: group.len() });
            }
            Some(_) | None => {
                told.extend(group.iter().map(|one| Told { first: one.clone(), items: 0 }));
            }
        }
    }
    told
}

fn of_one_part(a: &ChangeRecord, b: &ChangeRecord) -> bool {
    a.host == b.host
        && a.source == b.source
        && a.generation == b.generation
        && a.change.part == b.change.part
        && a.change.kind == b.change.kind
}

fn came_or_went(record: &ChangeRecord) -> bool {
    matches!(record.change.kind, ChangeKind::Added | ChangeKind::Removed)
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
            ("class", &self.class),
            ("from", self.from.as_deref().unwrap_or_default()),
            ("to", self.to.as_deref().unwrap_or_default()),
            ("limit", &limit),
        ];
        let changes: Vec<ChangeRecord> = client.list("changes", &query).await?;
        match output {
            Output::Table => output::print(output, &folded(changes))?,
            Output::Json | Output::Ndjson => output::print(output, &changes)?,
        }
        Ok(Verdict::Fine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftline_collector::analysis::change::Change;
    use driftline_collector::store::ChangeId;
    use driftline_protocol::ids::Generation;
    use driftline_protocol::snapshot::Domain;
    use jiff::Timestamp;

    fn record((part, key, kind): (&str, &'static str, ChangeKind)) -> ChangeRecord {
        let key = key.strip_prefix('@').map_or_else(|| ItemKey::of([key]), ItemKey::attribute);
        ChangeRecord {
            id: ChangeId(1),
            host: "pbx1".parse().unwrap(),
            source: "files".parse().unwrap(),
            domain: Domain::Config,
            generation: Generation(2),
            at: Timestamp::UNIX_EPOCH,
            change: Change {
                part: part.parse().unwrap(),
                key: Some(key),
                kind,
                before: None,
                after: None,
            },
            classified: None,
        }
    }

    #[test]
    fn a_new_file_is_told_once_and_a_new_item_by_itself() {
        use ChangeKind::{Added, Modified};
        let changes = [
            ("/etc/new", "port", Added),
            ("/etc/new", "@mode", Added),
            ("/etc/new", "@owner", Added),
            ("/etc/old", "port", Added),
            ("/etc/old", "host", Added),
            ("/etc/old", "@mode", Modified),
        ];
        let told = folded(changes.into_iter().map(record).collect());
        let told: Vec<_> =
            told.iter().map(|told| (told.first.change.part.as_str(), told.items)).collect();
        assert_eq!(told, [("/etc/new", 3), ("/etc/old", 0), ("/etc/old", 0), ("/etc/old", 0)]);
    }
}
