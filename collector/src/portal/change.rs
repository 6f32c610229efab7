//! One change: what it was, what it is, and what came with it.

use askama::Template;
use driftline_protocol::item::{Item, ItemValue};

use super::timeline::{Group, group};
use super::value::{class_words, lines, readable_key};
use super::{Frame, Moment, PageError, Reader, STYLE_PATH, link};
use crate::analysis::classify::scope::Level;
use crate::analysis::classify::{ChangeClass, Classified, Decision, Replaced, RuleKind};
use crate::analysis::lines::{LineChange, line_diff};
use crate::analysis::reach::{self, Reach};
use crate::impact::{Impact, impact};
use crate::store::{ChangeFilter, ChangeId, ChangeRecord, MAX_LIMIT};

#[derive(Template)]
#[template(path = "change.html")]
struct Page {
    style: &'static str,
    host: String,
    host_link: String,
    source: String,
    part: String,
    part_link: String,
    key: String,
    kind: &'static str,
    at: Moment,
    generation: u64,
    meant: Option<Meant>,
    rows: Vec<LineRow>,
    impact: Option<Elsewhere>,
    siblings: Vec<Group>,
}

/// Where else the change is felt.
struct Elsewhere {
    words: String,
    places: Vec<Place>,
}

struct Place {
    text: String,
    link: String,
}

/// What was meant by the change.
struct Meant {
    class: &'static str,
    words: String,
    says: String,
    rule: &'static str,
    name: String,
    link: String,
    level: &'static str,
    at: Moment,
    earlier: Vec<Before>,
}

/// What was held for it before.
struct Before {
    until: Moment,
    words: String,
    says: String,
}

struct LineRow {
    class: &'static str,
    sign: &'static str,
    text: String,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::NotFound`] for an unknown change, [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame, id: &str) -> Result<String, PageError> {
    let unknown = || PageError::NotFound { what: "change" };
    let id = id.parse().map(ChangeId).map_err(|_| unknown())?;
    let record = store.change(id)?.ok_or_else(unknown)?;
    let page = Page {
        style: STYLE_PATH,
        host: record.host.to_string(),
        host_link: link::host(&record.host),
        source: record.source.to_string(),
        part: record.change.part.to_string(),
        part_link: link::part(&record.host, &record.source, &record.change.part),
        key: record.change.key.as_ref().map_or_else(|| "the whole part".to_owned(), readable_key),
        kind: record.change.kind.as_str(),
        at: Moment::new(record.at, frame.now),
        generation: record.generation.0,
        meant: record.classified.as_ref().map(|classified| meant(classified, frame)),
        rows: rows(&record),
        impact: impact(store, &record)?.map(|impact| elsewhere(impact, &record)),
        siblings: group(&siblings(store, &record)?, frame),
    };
    Ok(page.render()?)
}

fn meant(classified: &Classified, frame: &Frame) -> Meant {
    let Decision { class, rule, name, level, says } = classified.decision.clone();
    let link = match rule {
        RuleKind::Ignore => format!("/requests#ignore-{name}"),
        RuleKind::Request | RuleKind::Claim => link::request(&name),
        RuleKind::Window | RuleKind::Blackout => "/requests".to_owned(),
        RuleKind::Exception => format!("/exceptions#{name}"),
        RuleKind::Past | RuleKind::Undone if !name.is_empty() => format!("/changes/{name}"),
        RuleKind::Past | RuleKind::Undone | RuleKind::Nothing => String::new(),
        RuleKind::Package | RuleKind::Run => String::new(),
    };
    let before = |replaced: &Replaced| Before {
        until: Moment::new(replaced.until, frame.now),
        words: class_words(replaced.decision.class),
        says: replaced.decision.says.clone(),
    };
    Meant {
        class: class.map_or("unclassed", ChangeClass::as_str),
        words: class_words(class),
        says,
        rule: rule.as_str(),
        name,
        link,
        level: level.map_or("", Level::as_str),
        at: Moment::new(classified.decided_at, frame.now),
        earlier: classified.earlier.iter().map(before).collect(),
    }
}

fn elsewhere(impact: Impact, record: &ChangeRecord) -> Elsewhere {
    let Impact { reach: Reach { places, first }, whole } = impact;
    let least = if whole { "" } else { "at least " };
    let shown = if first.len() as u64 == places { "" } else { "; the first of them:" };
    let place = |place: &reach::Place| Place {
        text: match place.part == record.change.part {
            true => readable_key(&place.key),
            false => format!("{} in {}", readable_key(&place.key), place.part),
        },
        link: link::part(&record.host, &record.source, &place.part),
    };
    Elsewhere {
        words: format!("Felt in {least}{places} places{shown}"),
        places: first.iter().map(place).collect(),
    }
}

/// The other changes of the same version.
fn siblings(store: &dyn Reader, record: &ChangeRecord) -> Result<Vec<ChangeRecord>, PageError> {
    let filter = ChangeFilter {
        host: Some(record.host.clone()),
        source: Some(record.source.clone()),
        from: Some(record.at),
        to: record.at.checked_add(jiff::SignedDuration::from_nanos(1)).ok(),
        limit: MAX_LIMIT,
        ..ChangeFilter::default()
    };
    let mut changes = store.changes(&filter)?;
    changes.retain(|other| other.id != record.id && other.generation == record.generation);
    Ok(changes)
}

fn rows(record: &ChangeRecord) -> Vec<LineRow> {
    let before = side(record.change.before.as_ref());
    let after = side(record.change.after.as_ref());
    let row = |change: LineChange| match change {
        LineChange::Same(text) => LineRow { class: "same", sign: " ", text },
        LineChange::Removed(text) => LineRow { class: "removed", sign: "−", text },
        LineChange::Added(text) => LineRow { class: "added", sign: "+", text },
        LineChange::Skipped(count) => {
            LineRow { class: "skipped", sign: "⋯", text: format!("{count} equal lines") }
        }
    };
    line_diff(&before, &after).into_iter().map(row).collect()
}

fn side(item: Option<&Item>) -> Vec<String> {
    let Some(item) = item else { return Vec::new() };
    let mut all = lines(&item.value);
    if let (Some(rank), false) = (item.rank, matches!(item.value, ItemValue::Lines(_))) {
        all.push(format!("(place {})", rank + 1));
    }
    all
}
