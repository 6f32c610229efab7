//! From what stands on a host to the part an agent reports: the agent's own formats and redactor.

use std::collections::HashMap;

use driftline_agent::content;
use driftline_protocol::canonical;
use driftline_protocol::ids::Digest;
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, RawObserved, RawPart, Redactor};
use driftline_protocol::snapshot::{Content as Read, Part, Reading, Reason};
use driftline_tests::simulation::host::{
    APT, Cell, Content, DPKG, GROUP, PASSWD, PUPPET, Place, State, UNIT,
};

/// Reads parts, each state once.
pub(crate) struct Reader {
    redactor: Redactor,
    known: HashMap<(Place, State), (Digest, Part)>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { redactor: Redactor::new([7; 32]), known: HashMap::new() }
    }

    /// The part that `state` is reported as, and its digest.
    pub(crate) fn read(&mut self, place: Place, state: &State) -> (Digest, Part) {
        let key = (place, state.clone());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let part = self.part(place, state);
        let read = (canonical::digest(&part), part);
        self.known.insert(key, read.clone());
        read
    }

    fn part(&self, place: Place, state: &State) -> Part {
        if !state.readable {
            return Part::Unobserved(Reason::Denied);
        }
        let raw = match &state.content {
            Content::Text(text) => self.file((place.1, state.mode), text.as_bytes()),
            Content::Rows(rows) => self.table(place, rows),
        };
        let mut part = self.redactor.redact(RawPart::Observed(raw)).into_inner();
        for _ in 0..state.readers {
            newer_reader(&mut part);
        }
        part
    }

    fn file(&self, (path, mode): (&str, &str), bytes: &[u8]) -> RawObserved {
        let format = content::claiming(path, bytes);
        let mut said = content::said(format, bytes, self.redactor.raw_digest(bytes));
        for (name, value) in [("type", "file"), ("mode", mode), ("owner", "root")] {
            let item = RawItem::plain(ItemValue::text(value));
            said.items.insert(ItemKey::attribute(name), item);
        }
        said
    }

    fn table(
        &self,
        place: Place,
        rows: &std::collections::BTreeMap<Vec<String>, Cell>,
    ) -> RawObserved {
        let mut items = RawItems::new();
        for (segments, cell) in rows {
            let key = match segments.split_first() {
                Some((first, rest)) if first == "@now" => ItemKey::momentary(rest),
                _ => ItemKey::of(segments),
            };
            let value = match cell {
                Cell::Text(text) => ItemValue::text(text.as_str()),
                Cell::Flag(flag) => ItemValue::Flag(*flag),
                Cell::Digest(bytes) => {
                    ItemValue::Fingerprint(self.redactor.raw_digest(bytes.as_bytes()))
                }
            };
            items.insert(key, RawItem::plain(value));
        }
        let (parser, version) = match place {
            DPKG => ("dpkg_status", 3),
            PASSWD => ("passwd", 1),
            GROUP => ("group", 1),
            APT | PUPPET => ("transactions", 1),
            UNIT => ("systemd_unit", 3),
            _ => ("listeners", 1),
        };
        // A table the kernel is asked for has no bytes of its own.
        let bytes = format!("{rows:?}");
        let has_bytes = [DPKG, PASSWD, GROUP].contains(&place);
        RawObserved {
            reading: Reading {
                parser: parser.into(),
                version,
                scope: canonical::scope_digest([""; 0]),
            },
            raw: has_bytes.then(|| self.redactor.raw_digest(bytes.as_bytes())),
            size: has_bytes.then_some(bytes.len() as u64),
            content: Read::Read,
            items,
        }
    }
}

/// What the next version of a reader says of the same bytes: numbers as numbers, and one more item.
fn newer_reader(part: &mut Part) {
    let Part::Observed(observed) = part else { return };
    observed.reading.version += 1;
    let read = observed.items.iter_mut().filter(|(key, _)| !key.is_attribute());
    for item in read.map(|(_, item)| item) {
        let number = item.value.as_text().and_then(|text| text.parse().ok());
        if let Some(number) = number {
            item.value = ItemValue::Integer(number);
        }
    }
    let more = Item { value: ItemValue::Flag(true), rank: None };
    observed.items.insert(ItemKey::of(["understood"]), more);
}
