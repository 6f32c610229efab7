//! Where two places disagree about the same thing: what a server runs with against what is on its
//! disk. Pure.
//!
//! Two kinds, named as a rule is: `edited-not-reloaded` where the file moved and the server did not
//! follow, `changed-at-runtime` where the server moved and nobody wrote it down; the next restart
//! undoes the second and does the first. A part of a running section names the files it is held
//! against under `@now/file`; of a file that cannot be compared item by item it names what is not
//! loaded under `@now/loaded`. An unobserved side, and a file nobody reads, moves nothing.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue, Items};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::{Content, Observed, Part};

use super::drift::{PartView, present, resolved};
use super::finding::{Finding, FindingId, FindingKind, Resolution, RuleName, Severity, Status};

/// The file moved, the server did not follow.
pub const EDITED: &str = "edited-not-reloaded";

/// The server moved, the file did not.
pub const CHANGED: &str = "changed-at-runtime";

/// The section whose files a server is held against.
pub const FILES: &str = "files";

/// The most discrepancies of one part; a list that is wholly other is one thing to look at.
pub const FINDINGS_PER_PART: usize = 200;

/// A part of a running section that is held against files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compared {
    source: &'static str,
    part: &'static str,
    /// Whether what is on one side only is a discrepancy as well.
    whole: bool,
    /// The last names of keys that only the console changes, and the file only at a start.
    console: &'static [&'static str],
}

/// Every part that is held against files item by item.
const COMPARED: [Compared; 3] = [
    Compared { source: "kamailio_running", part: "dispatcher", whole: true, console: &["flags"] },
    Compared { source: "kamailio_running", part: "settings", whole: false, console: &[] },
    Compared { source: "freeswitch_running", part: "variables", whole: false, console: &[] },
];

/// The sections that say what is running.
pub const RUNNING: [&str; 2] = ["kamailio_running", "freeswitch_running"];

/// Which side of a comparison has just been seen anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// The files.
    Disk,
    /// The server.
    Running,
    /// Either, for all we know: one of the two is seen for the first time.
    Unknown,
}

/// What judging one part came to.
#[derive(Debug, Default, PartialEq)]
pub struct Judged {
    /// Discrepancies that opened, changed or ended.
    pub findings: Vec<Finding>,
    /// Differences beyond [`FINDINGS_PER_PART`].
    pub dropped: u64,
}

/// Whether `source` says what is running.
pub fn is_running(source: &SourceName) -> bool {
    RUNNING.contains(&source.as_str())
}

/// The files that a part of a running section is held against.
pub fn files_of(part: &Part) -> BTreeSet<PartName> {
    let Some(observed) = part.observed() else { return BTreeSet::new() };
    let named = observed.items.get(&ItemKey::momentary(["file"])).map(|item| &item.value);
    let texts: Vec<&str> = match named {
        Some(ItemValue::Text(text)) => vec![text.as_str()],
        Some(ItemValue::Set(texts)) => texts.iter().filter_map(ItemValue::as_text).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().filter_map(|text| text.parse().ok()).collect()
}

/// The discrepancies of a running part that open, change or end, given those of the part that are
/// open.
///
/// `disk` are the files of [`files_of`] as they are known; one that is missing there is read by
/// nobody.
pub fn judge<'a>(
    view: &PartView<'_>,
    disk: &BTreeMap<PartName, &Part>,
    mover: Mover,
    open: impl IntoIterator<Item = &'a Finding>,
) -> Judged {
    let mine =
        |finding: &&Finding| finding.id.kind == FindingKind::Discrepancy && view.holds(&finding.id);
    let open: Vec<&Finding> = open.into_iter().filter(mine).collect();
    let observed = match view.current {
        Some(Part::Observed(observed)) if observed.content == Content::Read => observed,
        Some(_) => return Judged::default(),
        // The server has no such thing any more, so nothing can disagree with it.
        None => return ended(view, &open),
    };
    let (differing, unknown) = match staged(observed) {
        Some(told) => told,
        None => match compare(view, observed, disk) {
            Some(differing) => (differing, BTreeSet::new()),
            None => return Judged::default(),
        },
    };
    let mut judged = Judged::default();
    let mut known = BTreeSet::new();
    for finding in &open {
        let Some(key) = &finding.id.key else { continue };
        known.insert(key.clone());
        if unknown.contains(key) {
            continue;
        }
        judged.findings.extend(match differing.get(key) {
            Some(sides) => {
                let Sides { desired, current, mover: _ } = sides.clone();
                let next = Finding { desired, current, ..(*finding).clone() };
                (next != **finding).then_some(next)
            }
            None => {
                let returned = resolved(finding, view.now, Resolution::Returned);
                Some(Finding { current: finding.desired.clone(), ..returned })
            }
        });
    }
    let mut room = FINDINGS_PER_PART.saturating_sub(known.len());
    for (key, sides) in differing.into_iter().filter(|(key, _)| !known.contains(key)) {
        if room == 0 {
            judged.dropped += 1;
            continue;
        }
        room -= 1;
        judged.findings.push(opened(view, key, sides, mover));
    }
    judged
}

fn ended(view: &PartView<'_>, open: &[&Finding]) -> Judged {
    let withdrawn = |finding: &&Finding| resolved(finding, view.now, Resolution::Withdrawn);
    Judged { findings: open.iter().map(withdrawn).collect(), dropped: 0 }
}

/// One item on both sides.
#[derive(Clone, Debug)]
struct Sides {
    desired: Option<Item>,
    current: Option<Item>,
    /// Who moved, where the item itself tells.
    mover: Option<Mover>,
}

type Differing = BTreeMap<ItemKey, Sides>;

/// What of its files a server has not loaded, and of which files that is not known; `None` for a
/// part that does not tell.
fn staged(observed: &Observed) -> Option<(Differing, BTreeSet<ItemKey>)> {
    let (mut differing, mut unknown, mut any) = (Differing::new(), BTreeSet::new(), false);
    for (key, item) in &observed.items {
        let Some(mut names) = key.of_the_moment() else { continue };
        if names.next().as_deref() != Some("loaded") {
            continue;
        }
        any = true;
        let file = ItemKey::of(names);
        match &item.value {
            ItemValue::Set(items) if items.is_empty() => {}
            ItemValue::Set(_) => {
                let current = Some(Item { value: ItemValue::text("not loaded"), rank: None });
                let desired = Some(Item { value: item.value.clone(), rank: None });
                differing.insert(file, Sides { desired, current, mover: Some(Mover::Disk) });
            }
            ItemValue::Nothing
            | ItemValue::Flag(_)
            | ItemValue::Integer(_)
            | ItemValue::Text(_)
            | ItemValue::Fingerprint(_)
            | ItemValue::List(_)
            | ItemValue::Lines(_) => {
                unknown.insert(file);
            }
        }
    }
    any.then_some((differing, unknown))
}

/// The items that differ between the server and its files; `None` where a side is unobserved or
/// nothing is compared.
fn compare(
    view: &PartView<'_>,
    running: &Observed,
    disk: &BTreeMap<PartName, &Part>,
) -> Option<Differing> {
    let compared = COMPARED
        .iter()
        .find(|c| c.source == view.source.as_str() && c.part == view.part.as_str())?;
    if disk.is_empty() {
        return None;
    }
    let mut written = Items::new();
    let mut doubtful = BTreeSet::new();
    for part in disk.values() {
        let observed = match part {
            Part::Observed(observed) if observed.content == Content::Read => observed,
            _ if mutant::active(Mutant::DiscrepanciesTakeUnreadForAbsent) => continue,
            Part::Observed(_) | Part::Unobserved(_) => return None,
        };
        for (key, item) in observed.items.iter().filter(|(key, _)| !key.is_attribute()) {
            // What two files say, the later would decide; which that is, is not known here.
            if written.insert(key.clone(), item.clone()).is_some() {
                doubtful.insert(key.clone());
            }
        }
    }
    let steady = running.items.iter().filter(|(key, _)| !key.is_attribute());
    let running: Items = steady.map(|(key, item)| (key.clone(), item.clone())).collect();
    let keys: BTreeSet<&ItemKey> = match compared.whole {
        true => written.keys().chain(running.keys()).collect(),
        false => {
            let both = |key: &&ItemKey| {
                let written = written.get(*key).map(|item| &item.value);
                running.get(*key).is_some_and(|item| is_plain(written, &item.value))
            };
            running.keys().filter(both).collect()
        }
    };
    let mut differing = Differing::new();
    for key in keys.into_iter().filter(|key| !doubtful.contains(*key)) {
        let (desired, current) = (written.get(key), running.get(key));
        let of_the_console = compared.console.iter().any(|name| ends_with(key, name));
        if same(desired, current, of_the_console) || has_differing_parent(&differing, key) {
            continue;
        }
        let unlike = desired.is_some() != current.is_some();
        let side = |item: Option<&Item>| match (unlike, item) {
            (true, Some(_)) => Some(present()),
            _ => item.map(|item| Item { rank: None, ..item.clone() }),
        };
        let mover = of_the_console.then_some(Mover::Running);
        let sides = Sides { desired: side(desired), current: side(current), mover };
        differing.insert(key.clone(), sides);
    }
    Some(differing)
}

/// Whether a written value can be held against one in force: a name that stands for another value
/// (`$${domain}`, a define) or several values cannot.
fn is_plain(written: Option<&ItemValue>, running: &ItemValue) -> bool {
    match (written, running) {
        (Some(ItemValue::Text(text)), ItemValue::Text(_)) => {
            !text.contains("$${") && !text.starts_with('{')
        }
        (Some(ItemValue::Integer(_)), ItemValue::Integer(_))
        | (Some(ItemValue::Fingerprint(_)), ItemValue::Fingerprint(_)) => true,
        _ => false,
    }
}

/// Whether both sides say the same; of flags only those count that a person sets: what the server
/// finds out by itself is no setting.
fn same(desired: Option<&Item>, current: Option<&Item>, flags: bool) -> bool {
    /// Inactive and disabled, of the dispatcher's flags.
    const DECIDED: i64 = 1 | 4;
    match (desired.map(|item| &item.value), current.map(|item| &item.value)) {
        (Some(ItemValue::Integer(desired)), Some(ItemValue::Integer(current))) if flags => {
            desired & DECIDED == current & DECIDED
        }
        (desired, current) => desired == current,
    }
}

fn ends_with(key: &ItemKey, name: &str) -> bool {
    key.as_str().rsplit('/').next() == Some(name)
}

/// Whether the thing that `key` belongs to is on one side only: then it is told once.
fn has_differing_parent(differing: &Differing, key: &ItemKey) -> bool {
    let parents = key.as_str().match_indices('/').filter_map(|(at, _)| key.as_str().get(..at));
    let mut parents = parents.filter_map(|parent| ItemKey::try_from(parent.to_owned()).ok());
    parents.any(|parent| differing.contains_key(&parent))
}

fn opened(view: &PartView<'_>, key: ItemKey, sides: Sides, mover: Mover) -> Finding {
    let Sides { desired, current, mover: own } = sides;
    // Where nobody saw who moved, an item that only the console changes was changed there.
    let mover = match (mover, own) {
        (_, Some(Mover::Disk)) => Mover::Disk,
        (Mover::Unknown, Some(own)) => own,
        (mover, _) => mover,
    };
    let rule = match mover {
        Mover::Running => CHANGED,
        Mover::Disk | Mover::Unknown => EDITED,
    };
    let id = view.id(Some(key), FindingKind::Discrepancy);
    Finding {
        id: FindingId { rule: RuleName::try_from(rule.to_owned()).ok(), ..id },
        domain: view.domain,
        severity: Severity::Warning,
        desired,
        current,
        first_seen: view.now,
        status: Status::Open,
    }
}

#[cfg(test)]
mod tests;
