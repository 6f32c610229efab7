//! The spool against a model, which is in [`world`].

mod damage;

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, Generation, PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::redact::{RawItem, RawObserved, RawPart, Redactor};
use driftline_protocol::snapshot::{Content, Domain, Reading};
use driftline_protocol::wire::{Held, SectionVersion, SourceReading};
use proptest::prelude::*;

use self::world::*;
use super::*;

/// Small enough that a few versions fill it: empty tables take about 40 kB.
const LIMIT: u64 = 96 * 1024;

fn redactor() -> Redactor {
    Redactor::new([7; 32])
}

fn settings(folder: &Path, limit_bytes: u64) -> Settings {
    Settings { folder: folder.to_path_buf(), limit_bytes, boot: "boot".into() }
}

fn open(folder: &Path) -> Spool {
    Spool::open(settings(folder, LIMIT), redactor()).unwrap()
}

fn source(number: u8) -> SourceName {
    format!("source{number}").parse().unwrap()
}

/// A part of about 4 kB that says `value`.
fn part(value: u8) -> (Digest, Sealed) {
    let text = format!("{value}").repeat(4_000);
    let items = [(ItemKey::of(["a"]), RawItem::plain(ItemValue::Text(text)))];
    redactor().seal(&redactor().redact(RawPart::Observed(RawObserved {
        reading: Reading {
            parser: "test".into(),
            version: 1,
            scope: canonical::scope_digest(["test"]),
        },
        raw: None,
        size: None,
        content: Content::Read,
        items: items.into_iter().collect(),
    })))
}

fn observe(
    spool: &mut Spool,
    source: &SourceName,
    values: &[u8],
) -> Result<Option<Generation>, SpoolError> {
    let before = spool.begin(source)?;
    for (index, value) in values.iter().enumerate() {
        let (digest, sealed) = part(*value);
        let name: PartName = format!("part{index}").parse().unwrap();
        if before.0.get(&name) != Some(&digest) {
            spool.keep(digest, &sealed)?;
        }
    }
    spool.commit(Observation { source: source.clone(), ..observation(values) })
}

/// Of the first source.
fn observation(values: &[u8]) -> Observation {
    Observation {
        source: source(0),
        domain: Domain::Config,
        manifest: manifest_of(values),
        unobserved: BTreeMap::new(),
        tally: None,
        observed_at: Timestamp::UNIX_EPOCH,
        observed_monotonic_ms: 1,
        reading: SourceReading::default(),
    }
}

fn manifest_of(values: &[u8]) -> Manifest {
    let named =
        |(index, value): (usize, &u8)| (format!("part{index}").parse().unwrap(), part(*value).0);
    Manifest(values.iter().enumerate().map(named).collect())
}

proptest! {
    #[test]
    fn without_damage_every_version_is_accounted_for_in_one_chain(steps in steps(0)) {
        run(&steps);
    }

    #[test]
    fn after_any_damage_the_newest_state_arrives(steps in steps(1)) {
        run(&steps);
    }
}

#[test]
fn a_full_spool_merges_the_oldest_and_keeps_the_newest() {
    let mut world = World::new();
    for value in 0..39 {
        world.observe(&source(0), &[value, value + 1]);
    }
    let status = world.status();
    let account = status.sections[&source(0)].account;
    assert!(account.coalesced > 5, "{account:?}");
    assert!(account.waiting > 2, "{account:?}");
    assert!(status.bytes <= LIMIT);
    world.settle();
    world.check_delivered();
}

#[test]
fn a_full_disk_keeps_the_old_state_and_the_change_is_seen_again() {
    let mut world = World::new();
    world.observe(&source(0), &[1]);
    let limit = |pages: u64| {
        move |connection: &rusqlite::Connection| {
            connection.execute_batch(&format!("PRAGMA max_page_count = {pages}")).unwrap();
        }
    };
    world.spool().with_connection(limit(1));
    let refused = observe(world.spool(), &source(0), &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(matches!(refused, Err(SpoolError::Database { .. })), "{refused:?}");
    assert_eq!(world.status().sections[&source(0)].account.observed, 1);
    world.spool().with_connection(limit(1_000_000));
    world.observe(&source(0), &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    world.settle();
    world.check_delivered();
}

#[test]
fn another_key_begins_every_section_anew_and_counts_what_waited() {
    let mut world = World::new();
    world.observe(&source(0), &[1]);
    world.spool = None;
    let other = Redactor::new([8; 32]);
    let mut spool = Spool::open(settings(world.folder.path(), LIMIT), other).unwrap();
    assert_eq!(spool.begin(&source(0)).unwrap(), Manifest::default());
    assert!(spool.waiting(9).unwrap().is_empty());
    assert_eq!(spool.status().unwrap().repairs, 0);
}

#[test]
fn an_observation_that_is_not_open_is_refused() {
    let mut world = World::new();
    let (digest, sealed) = part(1);
    assert!(matches!(world.spool().keep(digest, &sealed), Err(SpoolError::NotOpen)));
    world.spool().begin(&source(0)).unwrap();
    world.spool().abandon();
    assert!(matches!(world.spool().keep(digest, &sealed), Err(SpoolError::NotOpen)));
}

#[test]
fn a_tally_counts_until_its_state_is_opened_or_lost() {
    let mut world = World::new();
    let reading = SourceReading { micros: 7, ..SourceReading::default() };
    assert!(matches!(world.spool().stay(&source(0), reading), Err(SpoolError::NotOpen)));
    let tally = Tally { parts: 1, sum: 5, unobserved: BTreeMap::new() };
    let keep = |spool: &mut Spool| {
        spool.begin(&source(0)).unwrap();
        let (digest, sealed) = part(1);
        spool.keep(digest, &sealed).unwrap();
        spool.commit(Observation { tally: Some(tally.clone()), ..observation(&[1]) }).unwrap();
        assert_eq!(spool.tally(&source(0)).unwrap().as_ref(), Some(&tally));
        spool.stay(&source(0), reading).unwrap();
    };
    let spool = world.spool();
    keep(spool);
    let status = spool.status().unwrap();
    assert_eq!(status.sections[&source(0)].last_read.micros, 7);
    spool.begin(&source(0)).unwrap();
    spool.abandon();
    assert_eq!(spool.tally(&source(0)).unwrap(), None);
    keep(spool);
    spool.enrolled("a".parse().unwrap(), "t".into(), 1).unwrap();
    assert!(spool.tally(&source(0)).unwrap().is_some());
    spool.enrolled("b".parse().unwrap(), "t".into(), 1).unwrap();
    assert_eq!(spool.tally(&source(0)).unwrap(), None);
    keep(spool);
    assert_eq!(open(&spool.folder()).tally(&source(0)).unwrap(), None);
}

#[test]
fn a_state_enrolled_under_another_name_keeps_no_account_of_the_first() {
    let mut world = World::new();
    let host = |name: &str| name.parse::<HostId>().unwrap();
    world.spool().enrolled(host("a"), "t".into(), 1).unwrap();
    world.observe(&source(0), &[1]);
    let (before, incarnation) = (world.status().generation, world.spool().identity().incarnation);
    world.spool().enrolled(host("b"), "u".into(), 1).unwrap();
    assert_ne!(world.spool().identity().incarnation, incarnation);
    assert!(world.status().sections.is_empty());
    world.crash("agent.db", |_| ());
    world.observe(&source(0), &[1]);
    let status = world.status();
    assert!(status.generation > before);
    assert_eq!(status.sections[&source(0)].account.observed, 1);
}

#[test]
fn what_can_never_be_delivered_is_expired_and_the_next_change_arrives_whole() {
    let mut world = World::new();
    world.strictness = Strictness::Gaps;
    for value in 1..4 {
        world.observe(&source(0), &[value]);
    }
    world.observe(&source(1), &[9]);
    let second = world.spool().waiting(9).unwrap()[1].generation;
    assert_eq!(world.spool().expire(&source(0), second).unwrap(), 2);
    let account = world.status().sections[&source(0)].account;
    // What waited behind them was put together into one that starts from nothing.
    assert_eq!((account.observed, account.expired, account.coalesced), (4, 2, 1));
    assert_eq!((account.waiting, account.imbalance()), (1, 0));
    let generation = world.status().sections[&source(0)].generation;
    assert_eq!(world.spool().expire(&source(0), generation).unwrap(), 1);
    assert_eq!(world.status().sections[&source(0)].account.waiting, 0);
    world.observe(&source(0), &[5]);
    world.settle();
    world.check_delivered();
    let account = world.status().sections[&source(0)].account;
    assert_eq!((account.expired, account.imbalance()), (3, 0));
    assert_eq!(world.collector[&source(0)].accounted, account.observed);
}

#[test]
fn a_generation_beyond_every_jump_has_nothing_sent_whole_again_and_again() {
    let mut world = World::new();
    world.observe(&source(0), &[1]);
    world.spool().jump_above(Generation(u64::MAX)).unwrap();
    let before = (world.status().generation, world.spool().waiting(9).unwrap());
    world.spool().jump_above(Generation(u64::MAX)).unwrap();
    assert_eq!((world.status().generation, world.spool().waiting(9).unwrap()), before);
}

#[test]
fn every_commit_is_asked_to_reach_the_disk() {
    let mut world = World::new();
    let (journal, synchronous) = world.spool().with_connection(|connection| {
        let journal = "PRAGMA journal_mode";
        let journal: String = connection.query_row(journal, [], |row| row.get(0)).unwrap();
        let synchronous = "PRAGMA synchronous";
        let synchronous: i64 = connection.query_row(synchronous, [], |row| row.get(0)).unwrap();
        (journal, synchronous)
    });
    // 2 is FULL: the log is synced in each commit.
    assert_eq!((journal.as_str(), synchronous), ("wal", 2));
}
