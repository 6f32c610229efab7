//! How many places one change reaches: a template that sections take from, a define that a script
//! names, a variable of FreeSWITCH's preprocessor. Pure.
//!
//! Such a change is one change, and this says how far it goes. Places are what can be seen: a
//! reference inside a secret, which is a fingerprint here, is none.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue, Items};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Observed;
use serde::Serialize;

/// The most places that are named; the others are counted.
pub const NAMED: usize = 5;

/// How many templates in a row are followed.
const DEPTH: usize = 32;

/// Where one change is felt beside the item itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// How many places.
    pub places: u64,
    /// The first of them by file and name.
    pub first: Vec<Place>,
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Its file.
    pub part: PartName,
    /// The section, or the item that names what changed.
    pub key: ItemKey,
}

/// Whether a change of this key in a file read by `parser` may be felt elsewhere.
pub fn may_reach(parser: &str, key: &ItemKey) -> bool {
    Means::of(parser, key).is_some()
}

/// The places a change of `key` in `part` reaches, of all files as they are after it; `None` where
/// that is at most one.
pub fn reach<'a, O: Borrow<Observed>>(
    (part, key): (&PartName, &ItemKey),
    own: &Observed,
    all: impl Iterator<Item = (&'a PartName, O)>,
) -> Option<Reach> {
    let means = Means::of(&own.reading.parser, key)?;
    let mut found = BTreeSet::new();
    match means {
        Means::Section(segments) => {
            let heirs = heirs(&own.items, &segments)?;
            found.extend(heirs.into_iter().map(|key| Place { part: part.clone(), key }));
        }
        Means::Word(word) => {
            let family = family_of(own);
            for (file, seen) in all {
                let seen = seen.borrow();
                if family_of(seen) != family {
                    continue;
                }
                let naming = seen.items.iter().filter(|(other, item)| {
                    (file != part || *other != key) && names(other, &item.value, &word)
                });
                let place =
                    |(key, _): (&ItemKey, _)| Place { part: file.clone(), key: key.clone() };
                found.extend(naming.map(place));
            }
        }
    }
    let places = u64::try_from(found.len()).unwrap_or(u64::MAX);
    (places > 1).then(|| Reach { places, first: found.into_iter().take(NAMED).collect() })
}

/// What a key is, where it can be felt elsewhere.
enum Means {
    /// Something of a section, which may be a template.
    Section(Vec<String>),
    /// A name that stands elsewhere as this word.
    Word(Word),
}

/// How a name stands where it is used.
enum Word {
    /// As a word of its own.
    Bare(String),
    /// As it is, with signs around it.
    Exact(String),
}

impl Word {
    fn text(&self) -> &str {
        let (Self::Bare(text) | Self::Exact(text)) = self;
        text
    }
}

impl Means {
    fn of(parser: &str, key: &ItemKey) -> Option<Self> {
        if key.is_attribute() {
            return None;
        }
        let segments: Vec<String> = key.segments().collect();
        let after = |names: &[&str]| {
            let at = segments.iter().position(|segment| names.contains(&segment.as_str()))?;
            segments.get(at + 1).filter(|name| !name.is_empty()).cloned()
        };
        match family(parser) {
            Family::Asterisk => Some(Self::Section(segments)),
            Family::Script => {
                let kinds =
                    ["define", "trydef", "redefine", "defexp", "subst", "substdef", "substdefs"];
                after(&kinds).map(|name| Self::Word(Word::Bare(name)))
            }
            Family::FreeSwitch => {
                let set = ["set", "stun-set", "env-set", "exec-set"];
                let of_it = segments.iter().any(|segment| segment.starts_with("X-PRE-PROCESS"));
                let name = after(&set).filter(|_| of_it)?;
                Some(Self::Word(Word::Exact(format!("$${{{name}}}"))))
            }
            Family::Other => None,
        }
    }
}

/// Files that speak of one another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Asterisk,
    Script,
    FreeSwitch,
    Other,
}

fn family_of(seen: &Observed) -> Family {
    family(&seen.reading.parser)
}

fn family(parser: &str) -> Family {
    match parser {
        "asterisk" | "asterisk_channels" | "asterisk_dialplan" => Family::Asterisk,
        "kamailio" | "opensips" => Family::Script,
        "freeswitch" => Family::FreeSwitch,
        _ => Family::Other,
    }
}

/// The sections that take what `segments` says from the template it stands in; `None` where it
/// stands in none. A section that says it itself takes nothing, and nobody takes it through that
/// one.
fn heirs(items: &Items, segments: &[String]) -> Option<Vec<ItemKey>> {
    let template = ItemValue::text("template");
    let is_template = |key: &ItemKey| items.get(key).is_some_and(|item| item.value == template);
    let length = (1..=segments.len()).find(|length| {
        segments.get(..*length).is_some_and(|path| is_template(&ItemKey::of(path)))
    })?;
    let said = segments.get(length..).unwrap_or_default();
    // Codecs and access rules go on where a template's end.
    let adds = said.first().is_some_and(|name| name.contains(',') || name == "(inherits)");
    let all: Vec<(Vec<String>, Vec<String>)> = items
        .iter()
        // Asked of each change of a file, so what most keys fail costs no copy of them.
        .filter(|(key, _)| key.as_str().ends_with("(inherits)"))
        .filter_map(|(key, item)| {
            let mut path: Vec<String> = key.segments().collect();
            let inherits =
                path.pop().filter(|last| last == "(inherits)").and(texts(&item.value))?;
            Some((path, inherits))
        })
        .collect();
    let mut names = BTreeSet::from([segments.first()?.to_ascii_lowercase()]);
    let mut found = BTreeSet::new();
    for _ in 0..DEPTH {
        let mut more = BTreeSet::new();
        for (path, inherits) in &all {
            let takes = inherits.iter().any(|name| names.contains(&name.to_ascii_lowercase()));
            let own = ItemKey::of(path.iter().chain(said));
            let says_it = !said.is_empty() && !adds && items.contains_key(&own);
            let key = ItemKey::of(path);
            if !takes || says_it || found.contains(&key) {
                continue;
            }
            if is_template(&key) {
                more.extend(path.first().map(|name| name.to_ascii_lowercase()));
            }
            found.insert(key);
        }
        if more.is_subset(&names) || mutant::active(Mutant::HeirsOfHeirsAreForgotten) {
            break;
        }
        names.extend(more);
    }
    // Nobody sees a template but through those that take from it.
    Some(found.into_iter().filter(|key| !is_template(key)).collect())
}

fn texts(value: &ItemValue) -> Option<Vec<String>> {
    match value {
        ItemValue::List(values) => {
            Some(values.iter().filter_map(ItemValue::as_text).map(str::to_owned).collect())
        }
        ItemValue::Text(text) => Some(vec![text.clone()]),
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Fingerprint(_)
        | ItemValue::Set(_)
        | ItemValue::Lines(_) => None,
    }
}

/// Whether an item names the word, in its key or in its value.
fn names(key: &ItemKey, value: &ItemValue, word: &Word) -> bool {
    // A key writes two signs otherwise than its segments, and no name of a script holds them.
    let absent = !word.text().contains(['~', '/', '@']) && !key.as_str().contains(word.text());
    (!absent && key.segments().any(|segment| stands_in(&segment, word))) || says(value, word)
}

fn says(value: &ItemValue, word: &Word) -> bool {
    match value {
        ItemValue::Text(text) => stands_in(text, word),
        ItemValue::Lines(lines) => lines.iter().any(|line| stands_in(line, word)),
        ItemValue::List(values) => values.iter().any(|value| says(value, word)),
        ItemValue::Set(values) => values.iter().any(|value| says(value, word)),
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Fingerprint(_) => false,
    }
}

fn stands_in(text: &str, word: &Word) -> bool {
    match word {
        Word::Exact(word) => text.contains(word.as_str()),
        Word::Bare(word) => text.match_indices(word.as_str()).any(|(at, found)| {
            let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let after = text.get(at + found.len()..).and_then(|text| text.chars().next());
            !part(before) && !part(after)
        }),
    }
}
