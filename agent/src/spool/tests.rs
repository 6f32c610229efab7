//! The spool against a model: a collector that applies what it is sent, and a list of what was
//! observed.

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
    let mut manifest = Manifest::default();
    for (index, value) in values.iter().enumerate() {
        let (digest, sealed) = part(*value);
        let name: PartName = format!("part{index}").parse().unwrap();
        if before.0.get(&name) != Some(&digest) {
            spool.keep(digest, &sealed)?;
        }
        manifest.0.insert(name, digest);
    }
    spool.commit(Observation {
        source: source.clone(),
        domain: Domain::Config,
        manifest,
        unobserved: BTreeMap::new(),
        observed_at: Timestamp::UNIX_EPOCH,
        observed_monotonic_ms: 1,
        reading: SourceReading::default(),
    })
}

fn manifest_of(values: &[u8]) -> Manifest {
    let named =
        |(index, value): (usize, &u8)| (format!("part{index}").parse().unwrap(), part(*value).0);
    Manifest(values.iter().enumerate().map(named).collect())
}

/// What the collector has of one section, and how it came to it.
#[derive(Clone, Default)]
struct Kept {
    manifest: Manifest,
    generation: Generation,
    chain: Option<Chain>,
    accounted: u64,
}

impl Kept {
    fn held(&self) -> Held {
        let digest = (self.generation > Generation(0)).then(|| self.manifest.digest());
        Held { generation: self.generation, digest }
    }

    /// Applies one version as a collector does; gives whether it could.
    fn apply(&mut self, version: &SectionVersion, strict: Strictness) -> bool {
        if version.generation <= self.generation {
            return true;
        }
        let Ok(next) = self.manifest.apply(&version.delta) else { return false };
        assert_eq!(next.digest(), version.digest, "the delta does not give what it says");
        if version.coalesced + version.expired == 0 {
            let chain = version.chain_before.after(version.generation, &version.digest);
            assert_eq!(chain, version.chain, "the chain does not verify");
        }
        if strict == Strictness::Whole {
            let before = self.chain.unwrap_or(Chain::start(&version.source));
            assert_eq!(before, version.chain_before, "the chain has a gap");
        }
        self.manifest = next;
        self.generation = version.generation;
        self.chain = Some(version.chain);
        self.accounted += 1 + version.coalesced + version.expired;
        true
    }
}

/// Whether anything happened that may leave a gap at the collector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Strictness {
    Whole,
    Gaps,
}

#[derive(Clone, Debug)]
enum Step {
    Observe(u8, Vec<u8>),
    Deliver { limit: usize, answer_arrives: bool },
    Crash,
    RestoreCollector,
    RollBack,
    Truncate(&'static str, u16),
    Flip(&'static str, u16),
}

/// The two files of the database; a closed one has the first only.
const FILES: [&str; 2] = ["agent.db", "agent.db-wal"];

fn steps(damage: u32) -> impl Strategy<Value = Vec<Step>> {
    let observe = (0u8..2, proptest::collection::vec(0u8..40, 0..4));
    let deliver = (1usize..5, any::<bool>());
    let file = proptest::sample::select(&FILES[..]);
    let step = prop_oneof![
        8 => observe.prop_map(|(source, values)| Step::Observe(source, values)),
        4 => deliver.prop_map(|(limit, answer_arrives)| Step::Deliver { limit, answer_arrives }),
        2 => Just(Step::Crash),
        damage => Just(Step::RestoreCollector),
        damage => Just(Step::RollBack),
        damage => (file.clone(), any::<u16>()).prop_map(|(file, at)| Step::Truncate(file, at)),
        damage => (file, any::<u16>()).prop_map(|(file, at)| Step::Flip(file, at)),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A host with its folder, a collector, and what was observed last.
struct World {
    folder: tempfile::TempDir,
    spool: Option<Spool>,
    collector: BTreeMap<SourceName, Kept>,
    backup: BTreeMap<SourceName, Kept>,
    observed: BTreeMap<SourceName, Vec<u8>>,
    strictness: Strictness,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Some(open(folder.path()));
        let (collector, backup, observed) = Default::default();
        Self { folder, spool, collector, backup, observed, strictness: Strictness::Whole }
    }

    fn spool(&mut self) -> &mut Spool {
        self.spool.as_mut().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Observe(number, values) => self.observe(&source(*number), values),
            Step::Deliver { limit, answer_arrives } => self.deliver(*limit, *answer_arrives),
            Step::Crash => self.crash("agent.db", |_| ()),
            Step::RestoreCollector => {
                self.strictness = Strictness::Gaps;
                std::mem::swap(&mut self.collector, &mut self.backup);
                self.greet();
            }
            Step::RollBack => self.roll_back(),
            Step::Truncate(file, at) => {
                self.strictness = Strictness::Gaps;
                self.crash(file, |bytes| bytes.truncate(place(*at, bytes.len())));
            }
            Step::Flip(file, at) => {
                self.strictness = Strictness::Gaps;
                self.crash(file, |bytes| {
                    let index = place(*at, bytes.len());
                    if let Some(byte) = bytes.get_mut(index) {
                        *byte ^= 0x10;
                    }
                });
            }
        }
        for (source, section) in self.status().sections {
            assert_eq!(section.account.imbalance(), 0, "{source} is out of balance");
        }
    }

    fn status(&mut self) -> Status {
        match self.spool().status() {
            Err(SpoolError::Damaged(_)) => self.spool().status().unwrap(),
            other => other.unwrap(),
        }
    }

    fn observe(&mut self, source: &SourceName, values: &[u8]) {
        let seen = match observe(self.spool(), source, values) {
            Err(SpoolError::Damaged(_)) => observe(self.spool(), source, values),
            other => other,
        };
        seen.unwrap();
        self.observed.insert(source.clone(), values.to_vec());
    }

    /// What a heartbeat does: the host learns what the collector holds.
    fn greet(&mut self) {
        let newest = self.collector.values().map(|kept| kept.generation).max().unwrap_or_default();
        let status = self.status();
        self.spool().jump_above(newest).unwrap();
        for (source, ours) in status.sections {
            let held = self.collector.entry(source.clone()).or_default().held();
            if (ours.generation, Some(ours.digest)) != (held.generation, held.digest) {
                self.spool().reconcile(&source, &held).unwrap();
            }
        }
    }

    fn deliver(&mut self, limit: usize, answer_arrives: bool) {
        if let Err(error) = self.try_deliver(limit, answer_arrives) {
            assert!(matches!(error, SpoolError::Damaged(_)), "{error}");
            assert_eq!(self.strictness, Strictness::Gaps);
        }
    }

    fn try_deliver(&mut self, limit: usize, answer_arrives: bool) -> Result<(), SpoolError> {
        for version in self.spool().waiting(limit)? {
            let digests: Vec<_> = version.delta.set.values().copied().collect();
            let parts = self.spool().parts(&digests, usize::MAX)?;
            for (part, digest) in parts.iter().zip(&digests) {
                assert_eq!(part.digest(), *digest);
            }
            let strictness = self.strictness;
            let kept = self.collector.entry(version.source.clone()).or_default();
            if !kept.apply(&version, strictness) {
                let held = kept.held();
                assert_eq!(strictness, Strictness::Gaps, "a base was unknown without a reason");
                self.spool().reconcile(&version.source, &held)?;
                return Ok(());
            }
            if answer_arrives {
                self.spool().acknowledge(&version.source, version.generation)?;
            }
        }
        if self.collector.len() == 1 {
            self.backup = self.collector.clone();
        }
        Ok(())
    }

    /// The agent is killed, `file` is damaged, and the agent starts again and greets its
    /// collector.
    fn crash(&mut self, file: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let image = image(self.folder.path());
        let path = image.path().join(file);
        if let Ok(mut bytes) = fs::read(&path) {
            let before = bytes.clone();
            damage(&mut bytes);
            if bytes != before {
                fs::write(&path, bytes).unwrap();
            }
        }
        self.spool = None;
        self.folder = image;
        self.spool = Some(open(self.folder.path()));
        // A log whose end is cut off is an older state in good order: nobody but the collector can
        // tell.
        self.greet();
    }

    /// The virtual machine goes back to a copy of its disk while the collector goes on.
    fn roll_back(&mut self) {
        self.strictness = Strictness::Gaps;
        let copy = tempfile::tempdir().unwrap();
        self.spool = None;
        for file in ["agent.db", "identity.json"] {
            fs::copy(self.folder.path().join(file), copy.path().join(file)).unwrap();
        }
        self.spool = Some(open(self.folder.path()));
        self.observe(&source(0), &[1, 2, 3]);
        self.observe(&source(1), &[4]);
        self.deliver(64, true);
        self.spool = None;
        self.folder = copy;
        self.spool = Some(open(self.folder.path()));
        self.greet();
    }

    /// One more pass over everything and enough rounds to deliver it.
    fn settle(&mut self) {
        for (source, values) in self.observed.clone() {
            self.observe(&source, &values);
        }
        for _ in 0..6 {
            self.greet();
            self.deliver(64, true);
            for (source, values) in self.observed.clone() {
                self.observe(&source, &values);
            }
        }
    }

    fn check_delivered(&mut self) {
        assert!(self.spool().waiting(64).unwrap().is_empty(), "something still waits");
        for (source, values) in self.observed.clone() {
            let kept = &self.collector[&source];
            assert_eq!(kept.manifest, manifest_of(&values), "{source} did not arrive");
        }
        if self.strictness == Strictness::Whole {
            for (source, section) in self.status().sections {
                let account = section.account;
                assert_eq!(self.collector[&source].accounted, account.observed, "{source}");
                assert_eq!(account.expired, 0);
            }
        }
        let counted = |connection: &rusqlite::Connection| {
            let sum = "SELECT coalesce(sum(refs), 0) FROM parts";
            let count = || connection.query_row(sum, [], |row| row.get::<_, i64>(0)).unwrap();
            let before = count();
            database::verify(connection).unwrap();
            (before, count())
        };
        let (kept, recounted) = self.spool().with_connection(counted);
        assert_eq!(kept, recounted, "parts are not named as often as counted");
    }
}

/// What the disk would hold if the agent were killed now. The log begins anew with another salt
/// once all of it is in the file; within one salt, any mixture of older and newer pages is made
/// good by the log.
fn image(folder: &Path) -> tempfile::TempDir {
    let copy = |file: &str, to: &Path| fs::copy(folder.join(file), to.join(file)).map(|_| ());
    let salt = || fs::read(folder.join(FILES[1])).map(|log| log.get(..32).map(<[u8]>::to_vec)).ok();
    loop {
        let image = tempfile::tempdir().unwrap();
        let before = salt();
        copy(FILES[0], image.path()).unwrap();
        let logged = copy(FILES[1], image.path()).is_ok();
        // Last, since a generation is reserved there before it is used.
        copy("identity.json", image.path()).unwrap();
        if salt() == before && logged == before.is_some() {
            return image;
        }
    }
}

fn place(at: u16, length: usize) -> usize {
    (usize::from(at) * length / 65_536).min(length.saturating_sub(1))
}

fn run(steps: &[Step]) -> World {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.settle();
    world.check_delivered();
    world
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
fn generations_never_go_back_when_the_file_is_gone() {
    let mut world = World::new();
    world.observe(&source(0), &[1]);
    world.deliver(1, true);
    let (before, incarnation) = (world.status().generation, world.spool().identity().incarnation);
    world.spool = None;
    fs::remove_file(world.folder.path().join("agent.db")).unwrap();
    world.spool = Some(open(world.folder.path()));
    world.observe(&source(0), &[2]);
    let status = world.status();
    assert!(status.generation > before);
    assert_eq!(status.repairs, 1);
    assert_ne!(world.spool().identity().incarnation, incarnation);
}

#[test]
fn what_a_damaged_file_held_is_counted_as_expired() {
    let mut world = World::new();
    world.observe(&source(0), &[1]);
    world.observe(&source(0), &[2]);
    let damage = "UPDATE parts SET sealed = zeroblob(100)";
    world.spool().with_connection(|connection| connection.execute_batch(damage).unwrap());
    assert!(matches!(world.try_deliver(1, true), Err(SpoolError::Damaged(_))));
    world.strictness = Strictness::Gaps;
    world.observe(&source(0), &[2]);
    let account = world.status().sections[&source(0)].account;
    assert_eq!((account.observed, account.expired, account.waiting), (3, 2, 1));
    let waiting = world.spool().waiting(9).unwrap();
    assert_eq!(waiting[0].expired, 2);
    assert!(world.folder.path().join("agent.db.damaged-1").exists());
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
fn whatever_moment_the_agent_is_killed_at_the_last_committed_state_is_there() {
    const COMMITS: u64 = 400;
    let folder = tempfile::tempdir().unwrap();
    let values = |number: u64| [(number % 200) as u8, (number / 200) as u8];
    let committed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (path, committed) = (folder.path(), &committed);
        let mut spool = open(path);
        scope.spawn(move || {
            for number in 1..=COMMITS {
                let generation = observe(&mut spool, &source(0), &values(number)).unwrap();
                assert_eq!(generation, Some(Generation(number)));
                committed.store(number, Ordering::Release);
            }
        });
        let mut images = 0;
        while committed.load(Ordering::Acquire) < COMMITS {
            let before = committed.load(Ordering::Acquire);
            let image = image(path);
            let mut spool = open(image.path());
            let status = spool.status().unwrap();
            assert_eq!(status.repairs, 0, "a kill is no damage");
            if let Some(section) = status.sections.get(&source(0)) {
                let found = section.generation.0;
                assert!(found >= before, "{before} was committed and {found} is there");
                assert_eq!(section.account.imbalance(), 0);
                assert_eq!(spool.begin(&source(0)).unwrap(), manifest_of(&values(found)));
                images += 1;
            } else {
                assert_eq!(before, 0);
            }
        }
        assert!(images > 0);
    });
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

/// How far a repair came before the crash.
#[derive(Clone, Copy, Debug)]
enum Repair {
    Prepared,
    FileMoved,
    FileAndLogMoved,
}

#[test]
fn a_repair_that_breaks_off_anywhere_is_carried_on_and_its_loss_is_on_the_books() {
    for reached in [Repair::Prepared, Repair::FileMoved, Repair::FileAndLogMoved] {
        let mut world = World::new();
        world.observe(&source(0), &[1]);
        world.observe(&source(0), &[2]);
        let incarnation = world.spool().identity().incarnation;
        let image = image(world.folder.path());
        world.spool = None;
        world.folder = image;
        let folder = world.folder.path().to_path_buf();
        let mut keeper = identity::Keeper::open(&folder).unwrap();
        assert_eq!(repair::prepare(&folder, &mut keeper).unwrap(), 2);
        let aside = |suffix: &str| {
            let to = folder.join(format!("agent.db.damaged-1{suffix}"));
            match fs::rename(folder.join(format!("agent.db{suffix}")), to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
                _ => (),
            }
        };
        match reached {
            Repair::Prepared => (),
            Repair::FileMoved => aside(""),
            Repair::FileAndLogMoved => ["", "-wal"].into_iter().for_each(aside),
        }
        world.spool = Some(open(&folder));
        world.strictness = Strictness::Gaps;
        world.observe(&source(0), &[2]);
        let status = world.status();
        let account = status.sections[&source(0)].account;
        assert_eq!((account.observed, account.expired, account.waiting), (3, 2, 1), "{reached:?}");
        assert!(status.sections[&source(0)].generation > Generation(2), "{reached:?}");
        assert_eq!(status.repairs, 1, "{reached:?}");
        assert_ne!(world.spool().identity().incarnation, incarnation);
        assert!(folder.join("agent.db.damaged-1").exists());
        world.crash("agent.db", |_| ());
        assert_eq!(world.status().repairs, 1, "a repair is carried on once");
        world.settle();
        world.check_delivered();
    }
}
