//! Whom an intent concerns, and how closely. Pure.
//!
//! What is named the most exactly decides: items (source, part, key), then hosts, then services,
//! then sites and groups. A request that names hosts speaks of these alone, whatever else it names;
//! a change on another host of its service is *beside* it, which is worth telling.

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::ItemKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::analysis::change::ChangeKind;
use crate::config::place::{Place, matches};

/// One change, as far as intent is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// On which host.
    pub host: &'a HostId,
    /// Where that host belongs.
    pub place: &'a Place,
    /// Whose section.
    pub source: &'a SourceName,
    /// The file or table.
    pub part: &'a PartName,
    /// The item; `None` for the part as a whole.
    pub key: Option<&'a ItemKey>,
    /// What happened.
    pub kind: ChangeKind,
    /// What it has since ([`sight::value_after`]); `None` where that cannot be told.
    ///
    /// [`sight::value_after`]: crate::analysis::sight::value_after
    pub became: Option<Digest>,
    /// When, corrected time.
    pub at: Timestamp,
}

/// Whom an intent concerns: lists of patterns with `*` and `?`, of which one must match; an empty
/// list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntentScope {
    /// Hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Services, as the configuration says them of hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Sites.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<String>,
    /// Groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Files or tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// Items.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// On what a scope matched, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It names the item, its file or its source.
    Item,
    /// It names the host.
    Host,
    /// It names the service.
    Service,
    /// It names the site or a group.
    Place,
}

impl Level {
    /// The word used in pages and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Host => "host",
            Self::Service => "service",
            Self::Place => "place",
        }
    }
}

/// How a change stands to a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is meant.
    Covers(Level),
    /// The scope names nothing at all.
    Everything,
    /// The host is concerned, and another item or another host is meant.
    Beside,
    /// It has nothing to do with it.
    Elsewhere,
}

impl IntentScope {
    /// Whether any change of `host` may be meant, or stand beside what is: decides once for a host
    /// what every one of its changes would be asked.
    pub fn may_concern(&self, host: &HostId, place: &Place) -> bool {
        let levels = self.levels(host, place);
        let said = levels.iter().filter_map(|(_, said)| *said);
        said.clone().count() == 0 || said.into_iter().any(|said| said)
    }

    /// Whether it speaks of items wherever they are.
    pub fn names_no_host(&self) -> bool {
        let Self { hosts, services, sites, groups, sources: _, parts: _, keys: _ } = self;
        [hosts, services, sites, groups].into_iter().all(Vec::is_empty)
    }

    fn levels(&self, host: &HostId, place: &Place) -> [(Level, Option<bool>); 3] {
        let Place { site, service, groups, .. } = place;
        let host = named(&self.hosts, [host.as_str()]);
        let service = named(&self.services, [service.as_str()]);
        let site = named(&self.sites, [site.as_str()]);
        let group = named(&self.groups, groups.iter().map(String::as_str));
        let place = match (site, group) {
            (None, None) => None,
            (site, group) => Some(site == Some(true) || group == Some(true)),
        };
        [(Level::Host, host), (Level::Service, service), (Level::Place, place)]
    }

    /// How `subject` stands to this scope.
    pub fn fit(&self, subject: &Subject<'_>) -> Fit {
        let levels = self.levels(subject.host, subject.place);
        let strongest = levels.into_iter().find_map(|(level, said)| Some((level, said?)));
        match (strongest, self.item(subject)) {
            (None, None) => Fit::Everything,
            (None | Some((_, true)), Some(true)) => Fit::Covers(Level::Item),
            (Some((level, true)), None) => Fit::Covers(level),
            (Some((_, true)), Some(false)) => Fit::Beside,
            (None, Some(false)) => Fit::Elsewhere,
            (Some((_, false)), _) if levels.iter().any(|(_, said)| *said == Some(true)) => {
                Fit::Beside
            }
            (Some((_, false)), _) => Fit::Elsewhere,
        }
    }

    /// Whether the item is meant; `None` where no item is named.
    fn item(&self, subject: &Subject<'_>) -> Option<bool> {
        let said = [
            named(&self.sources, [subject.source.as_str()]),
            named(&self.parts, [subject.part.as_str()]),
            named(&self.keys, subject.key.map(ItemKey::as_str)),
        ];
        let mut said = said.into_iter().flatten().peekable();
        said.peek()?;
        Some(said.all(|one| one))
    }

    /// Every list with its name, in the order of the reference.
    pub fn lists(&self) -> [(&'static str, &[String]); 7] {
        [
            ("hosts", &self.hosts),
            ("services", &self.services),
            ("sites", &self.sites),
            ("groups", &self.groups),
            ("sources", &self.sources),
            ("parts", &self.parts),
            ("keys", &self.keys),
        ]
    }

    /// What it names, in words.
    pub fn words(&self) -> String {
        let lists = self.lists().into_iter().filter(|(_, list)| !list.is_empty());
        let lists: Vec<String> = lists.map(|(name, list)| shown(name, list)).collect();
        if lists.is_empty() { "everything".to_owned() } else { lists.join("; ") }
    }

    /// Whom it concerns, in words: what it names, and that items of no named host are meant on
    /// every one, as whoever writes it must say (`hosts` `*`).
    pub fn concerns(&self) -> String {
        let of_every_host = self.names_no_host() && *self != Self::default();
        let words = self.words();
        if of_every_host { format!("hosts *; {words}") } else { words }
    }

    /// The lists that `before` had otherwise, in words, and what they were; `None` where it is the
    /// same.
    pub fn news(&self, before: &Self) -> Option<String> {
        let lists = self.lists().into_iter().zip(before.lists());
        let other = lists.filter(|((_, now), (_, was))| now != was);
        let told: Vec<String> =
            other.map(|((name, now), (_, was))| other_list(name, now, was)).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// How many names of a list are said: the sentence is kept with every change it is about.
const SHOWN: usize = 3;

fn shown(name: &str, list: &[String]) -> String {
    format!("{name} {}", first(list))
}

/// The first names of a list, and how many more there are.
fn first(list: &[String]) -> String {
    let first = list.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match list.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn other_list(name: &str, now: &[String], was: &[String]) -> String {
    let words = |list: &[String]| match list {
        [] => format!("no {name}"),
        list => shown(name, list),
    };
    let (new, old) = (words(now), words(was));
    if new != old {
        return format!("{new}, which was {old}");
    }
    // They differ in names that are not shown, or in their order alone.
    let only = |list: &[String], other: &[String]| -> Vec<String> {
        list.iter().filter(|one| !other.contains(one)).cloned().collect()
    };
    match (only(now, was).as_slice(), only(was, now).as_slice()) {
        ([], []) => format!("{name} in another order"),
        (more, []) => format!("{name} with {}", first(more)),
        ([], less) => format!("{name} without {}", first(less)),
        (more, less) => format!("{name} with {}, without {}", first(more), first(less)),
    }
}

/// Whether one of `words` follows one of `patterns`; `None` where there is no pattern.
fn named<'a>(patterns: &[String], words: impl IntoIterator<Item = &'a str>) -> Option<bool> {
    let mut words = words.into_iter();
    let any = |word: &str| patterns.iter().any(|pattern| matches(pattern, word));
    (!patterns.is_empty()).then(|| words.any(any))
}
