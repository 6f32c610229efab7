//! What of a server's files it has loaded, told from when it started and what they said then.
//!
//! A file that is older than the server is what the server loaded; what it says is remembered, item
//! by item, as hashes. Once it is younger it is compared with that, so that a comment, a `touch` or
//! an edit that was taken back is no edit. A file that was younger already when it was first looked
//! at is of unknown difference, and nothing is said of it until the server starts again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::platform::Stat;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

/// How far two tellings of the same start may lie apart, in seconds: servers tell whole seconds of
/// how long they have run.
const SAME_START: i64 = 2;

/// A file written this many seconds after the start, at most, is taken for loaded, for the same
/// reason.
const SLACK: i64 = 1;

/// The most items named of one file that was edited.
const NAMED: usize = 50;

/// What is remembered of the files of one server.
#[derive(Default)]
pub(super) struct Loaded {
    started: i64,
    files: BTreeMap<PathBuf, Said>,
}

/// What a file said: the hash of each value, and the ordered items in their order.
struct Said {
    values: BTreeMap<ItemKey, u64>,
    order: Vec<ItemKey>,
}

impl Said {
    fn of(items: &RawItems) -> Self {
        let hash = |item: &RawItem| {
            let mut hasher = DefaultHasher::new();
            item.value.hash(&mut hasher);
            hasher.finish()
        };
        let mut ranked: Vec<(u32, &ItemKey)> =
            items.iter().filter_map(|(key, item)| Some((item.rank?, key))).collect();
        ranked.sort_unstable();
        Self {
            values: items.iter().map(|(key, item)| (key.clone(), hash(item))).collect(),
            order: ranked.into_iter().map(|(_, key)| key.clone()).collect(),
        }
    }

    /// The items that differ between two tellings; `order` where only places do.
    fn differences(&self, now: &Self) -> BTreeSet<ItemValue> {
        let keys: BTreeSet<&ItemKey> = self.values.keys().chain(now.values.keys()).collect();
        let differs = |key: &&&ItemKey| self.values.get(**key) != now.values.get(**key);
        let named = keys.iter().filter(differs).take(NAMED);
        let mut all: BTreeSet<_> = named.map(|key| ItemValue::text(key.as_str())).collect();
        let common = |order: &[ItemKey], other: &Self| -> Vec<ItemKey> {
            order.iter().filter(|key| other.values.contains_key(*key)).cloned().collect()
        };
        if common(&self.order, now) != common(&now.order, self) {
            all.insert(ItemValue::text("order"));
        }
        all
    }
}

impl Loaded {
    /// The server says that it started at this second of the wall clock.
    pub(super) fn started(&mut self, at: i64) {
        if (self.started - at).abs() > SAME_START {
            *self = Self { started: at, files: BTreeMap::new() };
        }
    }

    /// What of a file is not loaded: the items that differ, nothing where it is not known.
    pub(super) fn staged(&mut self, path: &Path, stat: &Stat, items: &RawItems) -> ItemValue {
        let now = Said::of(items);
        if stat.st_mtime.max(stat.st_ctime) <= self.started + SLACK {
            self.files.insert(path.to_path_buf(), now);
            return ItemValue::Set(BTreeSet::new());
        }
        match self.files.get(path) {
            Some(loaded) => ItemValue::Set(loaded.differences(&now)),
            None => ItemValue::Nothing,
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn items(pairs: &[(&str, &str)]) -> RawItems {
        let item = |(n, (key, value)): (usize, &(&str, &str))| {
            let rank = u32::try_from(n).unwrap();
            (ItemKey::of([key]), RawItem::plain(ItemValue::text(*value)).at(rank))
        };
        pairs.iter().enumerate().map(item).collect()
    }

    fn stat(at: i64) -> Stat {
        let mut stat = rustix::fs::stat("/").unwrap();
        (stat.st_mtime, stat.st_ctime) = (at, at);
        stat
    }

    fn named(value: &ItemValue) -> Vec<&str> {
        let ItemValue::Set(all) = value else { panic!("{value:?}") };
        all.iter().filter_map(ItemValue::as_text).collect()
    }

    #[test]
    fn an_edit_is_told_by_what_it_says_and_taken_back_by_a_start() {
        let (mut loaded, path) = (Loaded::default(), Path::new("/etc/k.cfg"));
        let old = items(&[("a", "1"), ("b", "2")]);
        loaded.started(1_000);
        assert_eq!(named(&loaded.staged(path, &stat(900), &old)), [""; 0]);
        assert_eq!(named(&loaded.staged(path, &stat(1_100), &old)), [""; 0], "only touched");
        let edited = items(&[("a", "1"), ("b", "3"), ("c", "4")]);
        assert_eq!(named(&loaded.staged(path, &stat(1_200), &edited)), ["b", "c"]);
        loaded.started(1_001);
        assert_eq!(named(&loaded.staged(path, &stat(1_200), &edited)), ["b", "c"], "one start");
        let turned = items(&[("b", "2"), ("a", "1")]);
        assert_eq!(named(&loaded.staged(path, &stat(1_300), &turned)), ["order"]);
        loaded.started(1_400);
        assert_eq!(named(&loaded.staged(path, &stat(1_300), &edited)), [""; 0], "started anew");
    }

    #[test]
    fn what_was_never_seen_loaded_is_not_known() {
        let mut loaded = Loaded::default();
        loaded.started(1_000);
        let value = loaded.staged(Path::new("/etc/k.cfg"), &stat(1_500), &items(&[("a", "1")]));
        assert_eq!(value, ItemValue::Nothing);
    }
}
