//! How the value of an item reads on a page: short, whole, and with secrets as what they are.

use driftline_protocol::item::{Item, ItemValue};

use crate::analysis::change::ChangeKind;
use crate::analysis::classify::ChangeClass;
use crate::analysis::lines::{LineChange, line_diff};
use crate::store::ChangeRecord;

/// The longest value shown in a table, in characters; the change's own page shows all of it.
const SHORT: usize = 160;

/// A value as one line of text. `—` stands for no item.
pub(super) fn short(item: Option<&Item>) -> String {
    let Some(item) = item else { return "—".to_owned() };
    cut(&one_line(&item.value))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHORT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

fn one_line(value: &ItemValue) -> String {
    match value {
        ItemValue::Nothing => "(set)".to_owned(),
        ItemValue::Flag(true) => "yes".to_owned(),
        ItemValue::Flag(false) => "no".to_owned(),
        ItemValue::Integer(number) => number.to_string(),
        ItemValue::Text(text) if text.is_empty() => "(empty)".to_owned(),
        ItemValue::Text(text) => shorten_markers(text),
        ItemValue::Fingerprint(fingerprint) => shorten_markers(&fingerprint.to_string()),
        ItemValue::List(values) => join(values.iter(), ", "),
        ItemValue::Set(values) => format!("{{{}}}", join(values.iter(), ", ")),
        ItemValue::Lines(lines) if lines.len() == 1 => "1 line".to_owned(),
        ItemValue::Lines(lines) => format!("{} lines", lines.len()),
    }
}

fn join<'a>(values: impl Iterator<Item = &'a ItemValue>, separator: &str) -> String {
    values.map(one_line).collect::<Vec<_>>().join(separator)
}

/// A value as all its lines, for the page of one change or one part.
pub(super) fn lines(value: &ItemValue) -> Vec<String> {
    match value {
        ItemValue::Lines(lines) => lines.iter().map(|line| shorten_markers(line)).collect(),
        ItemValue::List(values) => values.iter().map(one_line).collect(),
        ItemValue::Set(values) => values.iter().map(one_line).collect(),
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Text(_)
        | ItemValue::Fingerprint(_) => vec![one_line(value)],
    }
}

/// Fingerprints as people compare them: eight digits tell two secrets apart, forty only tire the
/// eye.
fn shorten_markers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, marker)) = rest.split_once("{secret:") {
        shown.push_str(before);
        let Some((inside, after)) = marker.split_once('}') else {
            shown.push_str("{secret:");
            rest = marker;
            continue;
        };
        let digest = inside.split_once(':').map_or(inside, |(_, digest)| digest);
        shown.push_str("‹secret ");
        shown.extend(digest.chars().take(8));
        shown.push('›');
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// One change as a row of a table.
pub(super) struct Row {
    /// The address of its own page.
    pub link: String,
    /// What happened, in one word.
    pub kind: &'static str,
    /// The item, or what stands for the part as a whole.
    pub key: String,
    /// The value before.
    pub before: String,
    /// The value after.
    pub after: String,
    /// What was meant by it, as a name of the style sheet; empty where nobody judged it.
    pub class: &'static str,
    /// The same for people.
    pub class_words: String,
    /// Why, in a sentence.
    pub because: String,
}

impl Row {
    /// The row of `record`.
    pub(super) fn new(record: &ChangeRecord) -> Self {
        let change = &record.change;
        let whole = match change.kind {
            ChangeKind::Cosmetic => "bytes differ, meaning does not",
            ChangeKind::Recast => "read differently, not changed",
            ChangeKind::Added | ChangeKind::Removed | ChangeKind::Modified | ChangeKind::Moved => {
                "the whole part"
            }
        };
        let key = change.key.as_ref().map_or_else(|| whole.to_owned(), readable_key);
        let place = |item: Option<&Item>| {
            item.and_then(|item| item.rank)
                .map_or("—".to_owned(), |rank| format!("place {}", rank + 1))
        };
        let (before, after) = match change.kind {
            ChangeKind::Moved => (place(change.before.as_ref()), place(change.after.as_ref())),
            ChangeKind::Added
            | ChangeKind::Removed
            | ChangeKind::Modified
            | ChangeKind::Cosmetic
            | ChangeKind::Recast => sides(change.before.as_ref(), change.after.as_ref()),
        };
        let decision = record.classified.as_ref().map(|classified| &classified.decision);
        let class = decision.and_then(|decision| decision.class);
        Self {
            link: super::link::change(record.id),
            kind: change.kind.as_str(),
            key,
            before,
            after,
            class: class.map_or("", ChangeClass::as_str),
            class_words: class_words(class),
            because: decision.map_or_else(String::new, |decision| decision.says.clone()),
        }
    }
}

/// A class as people read it.
pub(super) fn class_words(class: Option<ChangeClass>) -> String {
    class.map_or_else(|| "no class".to_owned(), |class| class.as_str().replace('_', " "))
}

/// Two values beside each other; of a text that no format claims, only the lines that differ.
pub(super) fn sides(before: Option<&Item>, after: Option<&Item>) -> (String, String) {
    if let (Some(before), Some(after)) = (before, after)
        && let (ItemValue::Lines(before), ItemValue::Lines(after)) = (&before.value, &after.value)
    {
        return differing(before, after);
    }
    (short(before), short(after))
}

/// How many lines of a text a table shows of each side; the change's own page shows all.
const SHOWN_LINES: usize = 5;

/// The lines that went and the lines that came.
fn differing(before: &[String], after: &[String]) -> (String, String) {
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for line in line_diff(before, after) {
        match line {
            LineChange::Removed(text) => removed.push(shorten_markers(&text)),
            LineChange::Added(text) => added.push(shorten_markers(&text)),
            LineChange::Same(_) | LineChange::Skipped(_) => {}
        }
    }
    (few(&removed), few(&added))
}

fn few(lines: &[String]) -> String {
    if lines.is_empty() {
        return "—".to_owned();
    }
    let mut shown: Vec<String> = lines.iter().take(SHOWN_LINES).map(|line| cut(line)).collect();
    if let more @ 1.. = lines.len().saturating_sub(SHOWN_LINES) {
        shown.push(format!("… {more} more lines"));
    }
    shown.join("\n")
}

/// A key as people read it: segments apart, escapes undone, attributes by their name.
pub(super) fn readable_key(key: &driftline_protocol::item::ItemKey) -> String {
    if key.is_attribute() {
        return key.as_str().trim_start_matches('@').to_owned();
    }
    key.segments().collect::<Vec<_>>().join(" › ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_shortened_wherever_they_stand() {
        let text =
            "pg://app:{secret:0011223344556677:aabbccddeeff00112233445566778899}@db {secret:x";
        assert_eq!(shorten_markers(text), "pg://app:‹secret aabbccdd›@db {secret:x");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let item = Item { value: ItemValue::text("ü".repeat(500)), rank: None };
        assert_eq!(short(Some(&item)).chars().count(), SHORT + 1);
    }
}
