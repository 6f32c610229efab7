//! One pass, with sources that say, hide, fail and panic on demand.

use std::collections::BTreeMap;

use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, Generation, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::{RawItem, RawObserved, RawPart, Redactor, Sealed};
use driftline_protocol::snapshot::{Content, Domain, Part, Reading, Reason, Snapshot};

use super::memory::Memory;
use super::*;
use crate::sources::{Carry, Receipt, Sink};
use crate::spool::SpoolError;

/// What a scripted source says next.
#[derive(Clone)]
enum Say {
    Text(&'static str, &'static str),
    Raw(&'static str, RawPart),
    Same(&'static str),
    Blind(&'static str, Reason),
    Many(usize),
    Fail(Reason),
    Panic,
}
use Say::{Blind, Fail, Panic, Same, Text};

/// A source that says what a test tells it to.
#[derive(Default)]
struct Scripted {
    script: Vec<Say>,
    receipts: BTreeMap<&'static str, Receipt>,
    read_again: Vec<&'static str>,
    outside: Option<&'static str>,
}

fn observed(text: &str) -> RawObserved {
    let item = RawItem::plain(ItemValue::text(text));
    RawObserved {
        reading: Reading {
            parser: "test".into(),
            version: 1,
            scope: canonical::scope_digest([""; 0]),
        },
        raw: None,
        size: None,
        content: Content::Read,
        items: [(ItemKey::of(["text"]), item)].into(),
    }
}

fn name(text: &str) -> PartName {
    text.parse().unwrap()
}

impl Source for Scripted {
    fn name(&self) -> SourceName {
        "scripted".parse().unwrap()
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn covers(&self, part: &PartName) -> bool {
        Some(part.as_str()) != self.outside
    }

    fn read(&mut self, _machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        for say in self.script.clone() {
            match say {
                Text(part, text) => {
                    let receipt = sink.seen(name(part), RawPart::Observed(observed(text)));
                    self.receipts.insert(part, receipt);
                }
                Say::Raw(part, raw) => drop(sink.seen(name(part), raw)),
                Same(part) => {
                    if sink.same(&name(part), &self.receipts[part]) == Carry::ReadAgain {
                        self.read_again.push(part);
                    }
                }
                Blind(place, reason) => sink.blind(&name(place), reason),
                Say::Many(count) => {
                    for number in 0..count {
                        let raw = RawPart::Unobserved(Reason::Unsupported);
                        sink.seen(name(&format!("/many/{number:06}")), raw);
                    }
                }
                Fail(reason) => return Err(reason),
                Panic => panic!("a source broke an assertion on purpose"),
            }
        }
        Ok(())
    }
}

/// A machine nobody looks at, a spool in memory, and a source.
struct Bench {
    machine: Machine,
    memory: Memory,
    source: Scripted,
    _root: tempfile::TempDir,
}

const NOW: Now = Now { wall: Timestamp::UNIX_EPOCH, monotonic_ms: 0 };

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine::open(root.path(), Redactor::new([7; 32])).unwrap();
        Self { machine, memory: Memory::default(), source: Scripted::default(), _root: root }
    }

    fn pass(&mut self, script: &[Say]) -> Outcome {
        self.source.script = script.to_vec();
        pass(&mut self.source, &self.machine, &mut self.memory, NOW).unwrap()
    }

    /// The section as one line: `name=text`, `name:reason`, sorted.
    fn section(&self) -> String {
        let parts = self.memory.parts(self.machine.redactor());
        let line = |(name, part): (&PartName, &Part)| match part {
            Part::Unobserved(reason) => format!("{name}:{reason}"),
            Part::Observed(observed) => match observed.items.get(&ItemKey::of(["text"])) {
                Some(Item { value: ItemValue::Text(text), .. }) => format!("{name}={text}"),
                Some(item) => panic!("unexpected {item:?}"),
                None => format!("{name}={:?}", observed.content),
            },
        };
        parts.iter().map(line).collect::<Vec<_>>().join(" ")
    }
}

/// Runs the passes and compares the section after the last.
#[track_caller]
fn check(passes: &[&[Say]], expect: &str) -> Bench {
    let mut bench = Bench::new();
    for script in passes {
        bench.pass(script);
    }
    assert_eq!(bench.section(), expect);
    bench
}

const AB: &[Say] = &[Text("/a", "1"), Text("/b", "2")];

#[test]
fn a_part_is_gone_only_when_the_source_came_to_its_end_without_it() {
    check(&[AB, &[Text("/a", "1")]], "/a=1");
    check(&[AB, &[Text("/a", "1"), Fail(Reason::Denied)]], "/a:denied /b:denied");
    check(&[AB, &[Text("/a", "1"), Panic]], "/a:failed /b:failed");
    check(&[AB, &[Text("/a", "3"), Blind("/b", Reason::Denied)]], "/a=3 /b:denied");
    check(&[AB, &[Blind(".", Reason::TimedOut)]], ".:timed_out /a:timed_out /b:timed_out");
}

#[test]
fn a_blind_place_blinds_what_is_known_below_it_and_nothing_beside() {
    let tree: &[Say] = &[
        Text("/etc", "0"),
        Text("/etc-old", "1"),
        Text("/etc/a", "2"),
        Text("/etc/b/c", "3"),
        Text("/etd", "4"),
    ];
    check(&[tree, &[Blind("/etc", Reason::Denied)]], "/etc:denied /etc/a:denied /etc/b/c:denied");
    check(
        &[tree, &[Text("/etc", "5"), Blind("/etc", Reason::Denied), Text("/etc/a", "6")]],
        "/etc=5 /etc/a=6 /etc/b/c:denied",
    );
    check(&[tree, &[Blind("/", Reason::Denied)]], {
        "/:denied /etc:denied /etc-old:denied /etc/a:denied /etc/b/c:denied /etd:denied"
    });
}

#[test]
fn a_source_that_never_said_anything_speaks_of_itself() {
    let bench = check(&[&[Fail(Reason::Unsupported)]], ".:unsupported");
    assert_eq!(bench.memory.manifest.0.len(), 1);
    check(&[&[Fail(Reason::Unsupported)], AB], "/a=1 /b=2");
}

#[test]
fn what_is_the_same_is_carried_on() {
    let mut bench = check(&[AB, &[Same("/a"), Text("/b", "3")]], "/a=1 /b=3");
    assert_eq!(bench.pass(&[Same("/a"), Same("/b")]).generation, None);
    assert!(bench.source.read_again.is_empty());
}

/// A pass in which all is the same is settled by a sum, without a manifest; one that says anything
/// else goes on as if it had had one from the beginning.
#[test]
fn what_was_heard_before_the_first_difference_is_accounted_for() {
    let ab: &[Say] = &[Same("/a"), Same("/b")];
    for (last, expect) in [
        (ab, "/a=1 /b=2"),
        (&[Same("/b"), Same("/a")], "/a=1 /b=2"),
        (&[Same("/a")], "/a=1"),
        (&[], ""),
        (&[Same("/b"), Same("/b")], "/b=2"),
        (&[Same("/a"), Text("/b", "3")], "/a=1 /b=3"),
        (&[Same("/a"), Same("/b"), Text("/c", "3")], "/a=1 /b=2 /c=3"),
        (&[Same("/a"), Blind("/b", Reason::Denied)], "/a=1 /b:denied"),
        (&[Same("/a"), Blind("/", Reason::Denied)], "/:denied /a=1 /b:denied"),
        (&[Same("/a"), Fail(Reason::Denied)], "/a:denied /b:denied"),
        (&[Same("/a"), Same("/b"), Panic], "/a:failed /b:failed"),
    ] {
        let bench = check(&[AB, ab, last], expect);
        assert!(bench.source.read_again.is_empty(), "{expect}");
    }
}

#[test]
fn a_pass_that_hears_what_is_not_kept_keeps_nothing_and_the_next_reads_it_again() {
    let mut bench = check(&[AB, &[Text("/a", "3"), Same("/b")]], "/a=3 /b=2");
    bench.source.receipts.insert("/a", Receipt::of(Digest([9; 32]), None));
    bench.source.script = vec![Same("/a"), Same("/b")];
    let refused = pass(&mut bench.source, &bench.machine, &mut bench.memory, NOW);
    assert!(matches!(refused, Err(SpoolError::NotOpen)), "{refused:?}");
    assert_eq!(bench.section(), "/a=3 /b=2");
    bench.pass(&[Same("/a"), Text("/a", "4"), Same("/b")]);
    assert_eq!(bench.source.read_again, ["/a"]);
    assert_eq!(bench.section(), "/a=4 /b=2");
}

#[test]
fn a_part_that_was_blind_in_between_is_read_again() {
    let blind: &[Say] = &[Text("/a", "1"), Blind("/b", Reason::Denied)];
    let bench = check(&[AB, blind, &[Same("/a"), Same("/b")]], "/a=1");
    assert_eq!(bench.source.read_again, ["/b"]);
}

#[test]
fn a_repaired_spool_has_every_part_read_again() {
    let mut bench = check(&[AB], "/a=1 /b=2");
    bench.memory = Memory::default();
    bench.pass(&[Same("/a"), Same("/b")]);
    assert_eq!(bench.source.read_again, ["/a", "/b"]);
}

#[test]
fn a_part_no_longer_looked_at_is_not_gone() {
    let mut bench = check(&[AB], "/a=1 /b=2");
    bench.source.outside = Some("/b");
    let outcome = bench.pass(&[Same("/a")]);
    assert_eq!(bench.section(), "/a=1 /b:withheld");
    assert_eq!(outcome.unobserved, [(Reason::Withheld, 1)].into());
    bench.source.outside = None;
    bench.pass(AB);
    assert_eq!(bench.section(), "/a=1 /b=2");
}

#[test]
fn unobserved_parts_are_counted_whether_read_or_carried() {
    let mut withheld = observed("x");
    withheld.items.clear();
    withheld.content = Content::Unread(Reason::Withheld);
    let mut bench = Bench::new();
    let raw = RawPart::Observed(withheld);
    let script = [Say::Raw("/w", raw), Text("/a", "1"), Blind("/d", Reason::Denied)];
    let outcome = bench.pass(&script);
    let expect: BTreeMap<_, _> = [(Reason::Withheld, 1), (Reason::Denied, 1)].into();
    assert_eq!((outcome.unobserved, outcome.parts), (expect, 3));
    bench.source.receipts.insert("/w", bench_receipt(&bench, "/w", Reason::Withheld));
    let outcome = bench.pass(&[Same("/w"), Same("/a")]);
    assert_eq!(outcome.unobserved, [(Reason::Withheld, 1)].into());
}

fn bench_receipt(bench: &Bench, part: &str, reason: Reason) -> Receipt {
    Receipt::of(bench.memory.manifest.0[&name(part)], Some(reason))
}

#[test]
fn a_part_that_passes_a_bound_keeps_its_attributes() {
    let mut bench = Bench::new();
    for items in [big_items(3_000, 4_000), big_items(limits::ITEMS_PER_PART + 1, 1)] {
        let mut raw = observed("x");
        raw.items = items;
        raw.items.insert(ItemKey::attribute("mode"), RawItem::plain(ItemValue::text("0644")));
        let outcome = bench.pass(&[Say::Raw("/big", RawPart::Observed(raw))]);
        assert_eq!(outcome.unobserved, [(Reason::TooLarge, 1)].into());
        let parts = bench.memory.parts(bench.machine.redactor());
        let Part::Observed(part) = &parts[&name("/big")] else { panic!("/big is unobserved") };
        assert_eq!(part.items.keys().map(ItemKey::as_str).collect::<Vec<_>>(), ["@mode"]);
        assert_eq!(part.content, Content::Unread(Reason::TooLarge));
    }
}

fn big_items(count: usize, bytes: usize) -> driftline_protocol::redact::RawItems {
    let item = |number| {
        let value = ItemValue::text("x ".repeat(bytes / 2));
        (ItemKey::of([&format!("k{number}")]), RawItem::plain(value))
    };
    (0..count).map(item).collect()
}

#[test]
fn a_full_section_says_so_and_loses_nothing_it_knew() {
    let mut bench = check(&[AB], "/a=1 /b=2");
    let many = limits::PARTS_PER_SECTION;
    let outcome = bench.pass(&[Say::Many(many), Text("/a", "1"), Text("/b", "2")]);
    assert_eq!(outcome.parts, limits::PARTS_PER_SECTION as u64);
    assert_eq!(outcome.unobserved[&Reason::TooLarge], 1);
    assert!(bench.memory.manifest.0.contains_key(&name("/b")));
    assert!(bench.memory.manifest.0.contains_key(&whole()));
}

#[test]
fn an_equal_part_is_not_kept_again() {
    let mut bench = check(&[AB], "/a=1 /b=2");
    bench.memory.kept.clear();
    assert_eq!(bench.pass(AB).generation, None);
    assert!(bench.memory.kept.is_empty());
    assert_eq!(bench.pass(&[Text("/a", "9"), Text("/b", "2")]).generation, Some(Generation(2)));
    assert_eq!(bench.memory.kept.len(), 1);
}

#[test]
fn how_a_source_ended_is_told() {
    let mut bench = Bench::new();
    for (script, end) in [
        (vec![Text("/a", "1")], End::Complete),
        (vec![Fail(Reason::Denied)], End::Failed(Reason::Denied)),
        (vec![Panic], End::Panicked),
    ] {
        let outcome = bench.pass(&script);
        assert_eq!(outcome.end, end);
        assert_eq!(outcome.reading.success, end == End::Complete);
    }
}

/// A spool whose disk is full.
struct Full(Memory);

impl Keep for Full {
    fn tally(&mut self, source: &SourceName) -> Result<Option<Tally>, SpoolError> {
        self.0.tally(source)
    }

    fn begin(&mut self, source: &SourceName) -> Result<Manifest, SpoolError> {
        self.0.begin(source)
    }

    fn keep(&mut self, _digest: Digest, _part: &Sealed) -> Result<(), SpoolError> {
        let source = rusqlite::Error::InvalidQuery;
        Err(SpoolError::Database { doing: "keeping a part", source })
    }

    fn commit(&mut self, _observation: Observation) -> Result<Option<Generation>, SpoolError> {
        panic!("committed what could not be kept")
    }

    fn stay(&mut self, source: &SourceName, reading: SourceReading) -> Result<(), SpoolError> {
        self.0.stay(source, reading)
    }

    fn abandon(&mut self) {
        self.0.abandon();
    }
}

#[test]
fn what_a_full_spool_refused_is_seen_again_by_the_next_pass() {
    let mut bench = check(&[AB], "/a=1 /b=2");
    bench.source.script = vec![Text("/a", "3"), Same("/b")];
    let mut full = Full(std::mem::take(&mut bench.memory));
    assert!(pass(&mut bench.source, &bench.machine, &mut full, NOW).is_err());
    bench.memory = full.0;
    assert_eq!(bench.section(), "/a=1 /b=2");
    bench.pass(&[Same("/a"), Same("/b")]);
    assert_eq!(bench.source.read_again, ["/a"]);
}

#[test]
fn a_printed_snapshot_is_one_and_has_a_section_for_every_source() {
    let bench = Bench::new();
    let mut sources: Vec<Box<dyn Source>> =
        vec![Box::new(Scripted { script: AB.to_vec(), ..Scripted::default() })];
    let host = "a-host".parse().unwrap();
    let mut printed = Vec::new();
    print(&mut sources, &bench.machine, (&host, NOW), &mut printed).unwrap();
    let snapshot: Snapshot = serde_json::from_slice(&printed).unwrap();
    assert_eq!(format!("{}\n", serde_json::to_string(&snapshot).unwrap()).into_bytes(), printed);
    assert_eq!((&snapshot.host, snapshot.taken_at), (&host, NOW.wall));
    let section = &snapshot.sections[&"scripted".parse::<SourceName>().unwrap()];
    assert_eq!(section.parts.len(), 2);
    assert!(section.parts.values().all(|part| part.observed().is_some()));
}
