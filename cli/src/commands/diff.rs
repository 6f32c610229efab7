//! `driftline diff A B`: two snapshots as a typed difference.
//!
//! A side is the file that `driftline-agent snapshot` wrote, or `host@time` for what a collector
//! knows. What either side could not observe is listed on stderr and compared with nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use anyhow::{Context, anyhow};
use driftline_collector::analysis::change::{Change, ChangeKind};
use driftline_collector::analysis::diff::{Known, diff};
use driftline_protocol::ids::{KeyId, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey};
use driftline_protocol::limits;
use driftline_protocol::snapshot::{Observed, Part, Snapshot};
use driftline_protocol::wire::SNAPSHOT_VERSION;
use serde::Serialize;

use crate::client::Client;
use crate::moment;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// The largest snapshot file, in bytes: a hundred thousand files of one kilobyte.
const SNAPSHOT_BYTES: u64 = 512 * 1024 * 1024;

/// Compares two snapshots.
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// The earlier one: a snapshot file, or HOST@TIME of a collector; TIME is 2026-11-22T13:00:00Z,
    /// 2026-11-22 13:00, 2026-11-22 (all UTC) or back from now: -2h.
    before: String,
    /// The later one, in the same forms.
    after: String,
    /// Exit with 1 when anything but comments and white space differs.
    #[arg(long)]
    check: bool,
}

/// One difference, as `driftline replay` and the API name it too.
#[derive(Serialize)]
struct DiffRow {
    section: SourceName,
    part: PartName,
    key: Option<ItemKey>,
    kind: ChangeKind,
    before: Option<Item>,
    after: Option<Item>,
}

impl Row for DiffRow {
    const NAME: &'static str = "difference";
    const WHOLE: usize = 1;
    const FIRST_LINE: usize = 3;
    const HEADINGS: &'static [&'static str] = &["kind", "part", "item", "before", "after"];

    fn cells(&self) -> Vec<String> {
        let key = self.key.as_ref().map_or("-", ItemKey::as_str);
        let [before, after] = output::values(self.before.as_ref(), self.after.as_ref());
        vec![
            self.kind.as_str().to_owned(),
            output::printable(self.part.as_str()),
            output::printable(key),
            before,
            after,
        ]
    }
}

/// The same with its source, where the table has rows that nothing else tells apart.
#[derive(Serialize)]
#[serde(transparent)]
struct Sourced<'a>(&'a DiffRow);

impl Row for Sourced<'_> {
    const NAME: &'static str = DiffRow::NAME;
    const WHOLE: usize = 2;
    const FIRST_LINE: usize = 4;
    const HEADINGS: &'static [&'static str] =
        &["kind", "source", "part", "item", "before", "after"];

    fn cells(&self) -> Vec<String> {
        let mut cells = self.0.cells();
        cells.insert(1, self.0.section.as_str().to_owned());
        cells
    }
}

/// Whether two sources tell a difference of one name.
fn look_alike(rows: &[DiffRow]) -> bool {
    let mut told = BTreeSet::new();
    !rows.iter().all(|row| told.insert((&row.part, &row.key)))
}

/// What is printed of `rows`.
fn text(output: Output, rows: &[DiffRow]) -> anyhow::Result<String> {
    if look_alike(rows) {
        let sourced: Vec<_> = rows.iter().map(Sourced).collect();
        output::text(output, &sourced)
    } else {
        output::text(output, rows)
    }
}

impl Diff {
    /// Runs the command; `client` is made only when a side names a host.
    pub(crate) async fn run(
        self,
        client: impl Fn() -> anyhow::Result<Client>,
        output: Output,
    ) -> anyhow::Result<Verdict> {
        let before = load(&self.before, &client).await?;
        let after = load(&self.after, &client).await?;
        let rows = rows(&before, &after);
        for (side, snapshot) in [(&self.before, &before), (&self.after, &after)] {
            report_unobserved(side, snapshot);
        }
        if under_other_keys(&before, &after) {
            eprintln_message(
                "the snapshots were made under different fingerprint keys: secrets, and bytes that \
                no format reads, cannot be compared and show as `recast`",
            );
        }
        if output == Output::Table && rows.is_empty() {
            eprintln_message(&format!("no {}", DiffRow::NAME));
        } else {
            output::write(&text(output, &rows)?)?;
        }
        let semantic = rows.iter().any(|row| row.kind.is_semantic());
        Ok(if self.check && semantic { Verdict::Found } else { Verdict::Fine })
    }
}

async fn load(
    side: &str,
    client: &impl Fn() -> anyhow::Result<Client>,
) -> anyhow::Result<Snapshot> {
    let path = Path::new(side);
    match side.split_once('@') {
        Some((host, time)) if !path.exists() => {
            let at = moment::argument(time).map_err(|forms| anyhow!("{time:?} {forms}"))?;
            let path = format!("/api/v1/hosts/{host}/snapshot");
            let snapshot: Snapshot = client()?.get(&path, &[("at", &at)]).await?;
            // Comparing with nothing would say "no difference" about a time nobody saw.
            anyhow::ensure!(
                !snapshot.sections.is_empty(),
                "{host} was not observed at {time}; `driftline events` says since when it is known"
            );
            Ok(snapshot)
        }
        _ => read(path),
    }
}

fn read(path: &Path) -> anyhow::Result<Snapshot> {
    let reading = || {
        format!(
            "reading the snapshot {} (`driftline-agent snapshot > FILE` writes one; HOST@TIME asks \
             the collector)",
            path.display()
        )
    };
    let mut file = File::open(path).with_context(reading)?;
    let bytes = limits::read_bounded(&mut file, SNAPSHOT_BYTES).with_context(reading)?;
    let snapshot: Snapshot = serde_json::from_slice(&bytes).with_context(reading)?;
    anyhow::ensure!(
        snapshot.version <= SNAPSHOT_VERSION,
        "{} is a snapshot of version {}, and this program knows up to {SNAPSHOT_VERSION}; use a \
         newer one",
        path.display(),
        snapshot.version,
    );
    Ok(snapshot)
}

fn rows(before: &Snapshot, after: &Snapshot) -> Vec<DiffRow> {
    let mut rows = Vec::new();
    for (source, part) in names(before).union(&names(after)) {
        let (old, new) = (find(before, source, part), find(after, source, part));
        // A section that only one side was asked for says nothing about the other.
        if !before.sections.contains_key(source) || !after.sections.contains_key(source) {
            continue;
        }
        let seen = old.and_then(Part::observed);
        let read = seen.filter(|observed| fully_read(observed));
        if old.is_some() && seen.is_none() {
            continue;
        }
        let row = |change: Change| DiffRow {
            section: source.clone(),
            part: change.part,
            key: change.key,
            kind: change.kind,
            before: change.before,
            after: change.after,
        };
        rows.extend(diff(part, Known { seen, read }, new).into_iter().map(row));
    }
    rows
}

fn fully_read(observed: &Observed) -> bool {
    observed.content == driftline_protocol::snapshot::Content::Read
}

fn names(snapshot: &Snapshot) -> BTreeSet<(SourceName, PartName)> {
    let parts = snapshot.sections.iter().flat_map(|(source, section)| {
        section.parts.keys().map(move |part| (source.clone(), part.clone()))
    });
    parts.collect()
}

fn find<'a>(snapshot: &'a Snapshot, source: &SourceName, part: &PartName) -> Option<&'a Part> {
    snapshot.sections.get(source)?.parts.get(part)
}

/// Whether no key under which the bytes of files became digests is one of both snapshots.
fn under_other_keys(before: &Snapshot, after: &Snapshot) -> bool {
    let keys = |snapshot: &Snapshot| -> BTreeSet<KeyId> {
        let parts = snapshot.sections.values().flat_map(|section| section.parts.values());
        parts.filter_map(|part| Some(part.observed()?.raw?.key)).collect()
    };
    let (old, new) = (keys(before), keys(after));
    old.is_disjoint(&new) && !old.is_empty() && !new.is_empty()
}

/// Says what of a side is compared with nothing: the part where it is one, else how many.
fn report_unobserved(side: &str, snapshot: &Snapshot) {
    let mut unobserved: BTreeMap<(&SourceName, String), Vec<&PartName>> = BTreeMap::new();
    for (source, section) in &snapshot.sections {
        for (name, part) in &section.parts {
            if let Some(reason) = part.unobserved_reason() {
                unobserved.entry((source, reason.to_string())).or_default().push(name);
            }
        }
    }
    for ((source, reason), parts) in unobserved {
        let what = match parts.as_slice() {
            [one] => format!("{source} {one} is"),
            several => format!("{} parts of {source} are", several.len()),
        };
        eprintln_message(&format!("{side}: {what} unobserved: {reason}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A snapshot with one file, whose password has the digest `d` under the key `k`.
    fn snapshot(k: char, d: char) -> Snapshot {
        let fingerprint =
            json!({"key": k.to_string().repeat(16), "digest": d.to_string().repeat(32)});
        let part = json!({"observed": {
            "reading": {"parser": "ini", "version": 2, "scope": "0".repeat(64)},
            "raw": fingerprint, "size": 9, "content": "read",
            "items": {"a/password": {"value": {"fingerprint": fingerprint}}},
        }});
        let sections = json!({"files": {"domain": "config", "parts": {"/etc/a.ini": part}}});
        let host = json!({"version": 1, "host": "h", "taken_at": "2026-01-01T00:00:00Z"});
        let mut whole: Value = host;
        whole["sections"] = sections;
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn differences_of_one_name_are_told_apart_by_their_source() {
        let twice = |key: char, digest: char| {
            let mut whole = serde_json::to_value(snapshot(key, digest)).unwrap();
            whole["sections"]["firewall"] = whole["sections"]["files"].clone();
            serde_json::from_value::<Snapshot>(whole).unwrap()
        };
        let told = |rows: &[DiffRow]| text(Output::Table, rows).unwrap();
        let once = told(&rows(&snapshot('1', 'a'), &snapshot('1', 'b')));
        assert!(!once.contains("SOURCE"), "{once}");
        let both = rows(&twice('1', 'a'), &twice('1', 'b'));
        let shown = told(&both);
        for word in ["SOURCE", " files ", " firewall "] {
            assert!(shown.contains(word), "{word} is not in:\n{shown}");
        }
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let json = serde_json::to_string_pretty(&both).unwrap();
        assert_eq!(text(Output::Json, &both).unwrap().trim_end(), json, "JSON has other fields");
    }

    #[test]
    fn a_secret_is_compared_under_one_key_only() {
        let kinds = |before: &Snapshot, after: &Snapshot| -> Vec<ChangeKind> {
            rows(before, after).into_iter().map(|row| row.kind).collect()
        };
        let (old, new, other) = (snapshot('1', 'a'), snapshot('1', 'b'), snapshot('2', 'a'));
        assert_eq!(kinds(&old, &old), []);
        assert_eq!(kinds(&old, &new), [ChangeKind::Modified]);
        assert_eq!(kinds(&old, &other), [ChangeKind::Recast]);
        assert!(under_other_keys(&old, &other) && !under_other_keys(&old, &new));
    }
}
