//! Passes over the store in memory: what is judged, when it is judged again, and what is told.

use driftline_protocol::ids::{Digest, Generation, Incarnation};
use driftline_protocol::item::ItemValue;
use driftline_protocol::ledger::Chain;
use driftline_protocol::manifest::ManifestDelta;
use driftline_protocol::snapshot::Domain;
use driftline_protocol::wire::HostKind;

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemKey;

use super::*;
use crate::analysis::change::Change;
use crate::analysis::classify::ChangeClass;
use crate::analysis::classify::request::{Approval, RequestKind};
use crate::analysis::classify::scope::IntentScope;
use crate::analysis::finding::Finding;
use crate::config::load::parse;
use crate::store::memory::Memory;
use crate::store::{
    Append, HostRecord, Origin, ReadHistory, ReadIntent, VersionRecord, VersionStep,
};

mod runs;

pub(crate) const CONFIG: &str = "[[host]]\nname = 'sbc-*'\nsite = 'vienna'\nservice = 'voice'\n\
    [[change_source]]\nname = 'itsm'\n";

pub(crate) struct World {
    pub(crate) store: Memory,
    pub(crate) config: Config,
    /// What the next change opens or ends.
    pub(crate) findings: Vec<Finding>,
    generation: u64,
}

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + minute * 60).unwrap()
}

/// A version of a section of `host`, seen in `minute`, in which nothing is and nothing changed.
pub(crate) fn version_step(
    (host, source): (&str, &str),
    (minute, generation): (i64, u64),
) -> VersionStep {
    let source: SourceName = source.parse().unwrap();
    VersionStep {
        host: host.parse().unwrap(),
        version: VersionRecord {
            source: source.clone(),
            domain: Domain::Config,
            generation: Generation(generation),
            digest: Digest([0; 32]),
            observed_at: at(minute),
            received_at: at(minute),
            corrected_at: at(minute),
            uncertainty_ms: 0,
            coalesced: 0,
            expired: 0,
            origin: Origin::Agent,
        },
        chain: Chain::start(&source),
        delta: ManifestDelta { base: None, set: [].into(), unset: [].into() },
        unobserved: [].into(),
        changes: Vec::new(),
        findings: Vec::new(),
    }
}

pub(crate) fn text(value: &str) -> driftline_protocol::item::Item {
    driftline_protocol::item::Item { value: ItemValue::text(value), rank: None }
}

/// A request for the host, from one minute to another.
pub(crate) fn asked(approval: Approval, minutes: (i64, i64)) -> ChangeRequest {
    ChangeRequest {
        source: "itsm".into(),
        id: "CHG1".into(),
        kind: RequestKind::Normal,
        approval,
        start: at(minutes.0),
        end: at(minutes.1),
        scope: IntentScope { hosts: vec!["sbc-*".into()], ..IntentScope::default() },
        url: String::new(),
        received_at: at(0),
    }
}

impl World {
    pub(crate) fn new(config: &str) -> Self {
        let mut store = Memory::new();
        let host = HostRecord {
            id: "sbc-1".parse().unwrap(),
            kind: HostKind::Uc,
            incarnation: Incarnation([1; 16]),
            token: [0; 32],
            enrolled_at: at(0),
            last_seen: at(0),
            agent_version: "1".into(),
            key: None,
            site_key: false,
            retired_at: None,
        };
        store.apply(&[Step::Host(host)]).unwrap();
        let (config, findings) = (parse("t", config).unwrap(), Vec::new());
        Self { store, config, findings, generation: 0 }
    }

    /// One change of `key` in `part` of `source`, `minute` minutes after the beginning.
    fn change(
        &mut self,
        (source, part, key): (&str, &str, ItemKey),
        minute: i64,
        (before, after): (&str, &str),
    ) {
        self.generation += 1;
        let change = Change {
            part: part.parse().unwrap(),
            key: Some(key),
            kind: ChangeKind::Modified,
            before: Some(text(before)),
            after: Some(text(after)),
        };
        let step = VersionStep {
            changes: vec![change],
            findings: std::mem::take(&mut self.findings),
            ..version_step(("sbc-1", source), (minute, self.generation))
        };
        self.store.apply(&[Step::Version(Box::new(step))]).unwrap();
    }

    pub(crate) fn edit(&mut self, minute: i64, values: (&str, &str)) {
        self.change(("files", "/etc/sip.conf", ItemKey::of(["codec"])), minute, values);
    }

    pub(crate) fn request(&mut self, approval: Approval, minutes: (i64, i64)) {
        self.ask((RequestKind::Normal, approval), minutes);
    }

    pub(crate) fn emergency(&mut self, approval: Approval, minutes: (i64, i64)) {
        self.ask((RequestKind::Emergency, approval), minutes);
    }

    fn ask(&mut self, (kind, approval): (RequestKind, Approval), minutes: (i64, i64)) {
        let request = ChangeRequest { kind, ..asked(approval, minutes) };
        self.store.apply(&[Step::ChangeRequests(vec![request])]).unwrap();
    }

    /// Judges until there is nothing left; gives what each change is, oldest first.
    pub(crate) fn judged(&mut self) -> Vec<Option<ChangeClass>> {
        for round in 0.. {
            let new = judge(&self.store, &self.config, at(100_000)).unwrap();
            self.store.apply(&new.steps).unwrap();
            let judged = judge_again(&self.store, &self.config, at(100_000)).unwrap();
            if new.steps.is_empty() && judged.steps.is_empty() {
                break;
            }
            assert!(round < 20, "judging never ends: {:?}", judged.steps);
            self.store.apply(&judged.steps).unwrap();
        }
        assert!(self.store.unjudged(1).unwrap().is_empty());
        let mut all = self.store.changes(&ChangeFilter::default()).unwrap();
        all.sort_by_key(|record| record.id);
        all.iter().map(|r| r.classified.as_ref().unwrap().decision.class).collect()
    }

    fn earlier(&self, id: i64) -> Vec<Option<ChangeClass>> {
        let record = self.store.change(ChangeId(id)).unwrap().unwrap();
        let earlier = record.classified.unwrap().earlier;
        earlier.iter().map(|replaced| replaced.decision.class).collect()
    }
}

use ChangeClass::{Early, Emergency, Expected, Flapping, Reverted, Unapproved, Unauthorised};

#[test]
fn a_request_that_comes_late_has_what_it_covers_judged_again_and_says_so() {
    let mut world = World::new(CONFIG);
    world.edit(10, ("a", "b"));
    world.edit(5_000, ("b", "c"));
    assert_eq!(world.judged(), [Some(Unauthorised), Some(Unauthorised)]);
    world.request(Approval::Requested, (0, 60));
    assert_eq!(world.judged(), [Some(Unapproved), Some(Unauthorised)]);
    world.request(Approval::Approved, (0, 60));
    assert_eq!(world.judged(), [Some(Expected), Some(Unauthorised)]);
    assert_eq!(world.earlier(1), [Some(Unapproved), Some(Unauthorised)]);
    let events = world.store.events(None, 0).unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0].detail, "request itsm/CHG1: 1 change was judged again");
    // Sent again it says nothing new.
    world.request(Approval::Approved, (0, 60));
    world.judged();
    assert_eq!(world.store.events(None, 0).unwrap().len(), 2);
    // Moved away, what it covered is no longer covered.
    world.request(Approval::Approved, (600, 660));
    assert_eq!(world.judged(), [Some(Early), Some(Unauthorised)]);
    let totals = world.store.totals().unwrap().classes;
    assert_eq!(totals[&(Domain::Config, Unauthorised)], 2);
    assert_eq!(totals[&(Domain::Config, Expected)], 1);
}

#[test]
fn a_change_near_two_new_requests_is_judged_once() {
    let mut world = World::new(CONFIG);
    world.edit(10, ("a", "b"));
    assert_eq!(world.judged(), [Some(Unauthorised)]);
    let other = |id: &str| ChangeRequest {
        source: "itsm".into(),
        id: id.into(),
        kind: RequestKind::Normal,
        approval: Approval::Approved,
        start: at(0),
        end: at(60),
        scope: IntentScope { sites: vec!["vienna".into()], ..IntentScope::default() },
        url: String::new(),
        received_at: at(0),
    };
    world.store.apply(&[Step::ChangeRequests(vec![other("CHG1"), other("CHG2")])]).unwrap();
    assert_eq!(world.judged(), [Some(Expected)]);
    assert_eq!(world.earlier(1).len(), 1);
    assert_eq!(world.store.totals().unwrap().classes[&(Domain::Config, Expected)], 1);
}

#[test]
fn a_value_that_went_back_closes_the_change_it_undoes() {
    let mut world = World::new(CONFIG);
    world.edit(10, ("a", "b"));
    assert_eq!(world.judged(), [Some(Unauthorised)]);
    world.edit(20, ("b", "a"));
    assert_eq!(world.judged(), [Some(Reverted), Some(Reverted)]);
    assert_eq!(world.earlier(1), [Some(Unauthorised)]);
    // A request for the first makes the second an undoing of what was approved.
    world.request(Approval::Approved, (10, 11));
    world.config =
        parse("t", &format!("{CONFIG}[classification]\nslack_minutes = 1\nlate_hours = 0"))
            .unwrap();
    assert_eq!(world.judged(), [Some(Expected), Some(Unauthorised)]);
}

#[test]
fn both_of_one_pass_are_judged_in_their_order() {
    let mut world = World::new(CONFIG);
    world.edit(10, ("a", "b"));
    world.edit(20, ("b", "a"));
    world.edit(30, ("a", "c"));
    assert_eq!(world.judged(), [Some(Reverted), Some(Reverted), Some(Unauthorised)]);
}

#[test]
fn a_value_that_alternates_is_noise_from_the_eleventh_change_on() {
    let mut world = World::new(CONFIG);
    for turn in 0..13 {
        let (before, after) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
        world.edit(40 * turn, (before, after));
        world.judged();
    }
    let all = world.judged();
    let first = all.iter().position(|class| *class == Some(Flapping));
    assert_eq!(first, Some(10), "{all:?}");
    assert!(all[10..].iter().all(|class| *class == Some(Flapping)), "{all:?}");
    assert!(all[..10].iter().all(|class| *class == Some(Reverted)), "{all:?}");
}

#[test]
fn ten_turns_within_the_hour_are_no_noise() {
    let mut world = World::new(CONFIG);
    for turn in 0..40 {
        let (before, after) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
        world.edit(turn, (before, after));
    }
    assert!(world.judged().iter().all(|class| *class == Some(Reverted)));
}

#[test]
fn noise_without_an_end_is_told_each_day() {
    const DAY: i64 = 24 * 60;
    let mut world = World::new(CONFIG);
    // Turned eight times a day, over ten days.
    for turn in 0..80 {
        let (before, after) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
        world.edit(180 * turn, (before, after));
    }
    let all = world.judged();
    let told = |turn: &i64| all[usize::try_from(*turn).unwrap()] == Some(Unauthorised);
    let told: Vec<i64> = (0..80).filter(told).collect();
    // The clock of the tests does not begin at midnight.
    let day = |turn: &i64| at(180 * turn).as_second().div_euclid(86_400);
    assert!(told.iter().all(|turn| 180 * (turn - 1) >= 7 * DAY), "{told:?}");
    let days: BTreeSet<i64> = told.iter().map(day).collect();
    assert!((3..=4).contains(&days.len()) && told.len() <= 2 * days.len(), "{told:?}");
    assert!(all[12..57].iter().all(|class| *class == Some(Flapping)), "{all:?}");
}

#[test]
fn dpkg_explains_a_file_whichever_of_the_two_is_told_first() {
    let version = || ("packages", "dpkg", ItemKey::of(["sip:all", "version"]));
    let list = || ("packages", "dpkg", ItemKey::of(["sip:all", "conffile", "/etc/sip.conf"]));
    for package_first in [true, false] {
        let mut world = World::new(CONFIG);
        if !package_first {
            world.edit(10, ("a", "b"));
            assert_eq!(world.judged(), [Some(Unauthorised)]);
        }
        world.change(version(), 11, ("1", "2"));
        world.change(list(), 11, ("x", "y"));
        if package_first {
            world.edit(12, ("a", "b"));
        }
        assert!(world.judged().iter().all(|class| *class == Some(Expected)), "{package_first}");
        world.config.classification.packages = false;
        world.edit(13, ("b", "d"));
        assert_eq!(world.judged().last(), Some(&Some(Unauthorised)));
    }
}

#[test]
fn a_package_told_after_its_files_comes_before_a_request_that_is_only_near() {
    let version = ("packages", "dpkg", ItemKey::of(["sip:all", "version"]));
    let list = ("packages", "dpkg", ItemKey::of(["sip:all", "conffile", "/etc/sip.conf"]));
    let mut world = World::new(CONFIG);
    world.request(Approval::Approved, (300, 360));
    world.edit(200, ("a", "b"));
    assert_eq!(world.judged(), [Some(Early)]);
    world.change(version, 201, ("1", "2"));
    world.change(list, 201, ("x", "y"));
    assert_eq!(world.judged(), [Some(Expected); 3]);
    assert_eq!(world.earlier(1), [Some(Early)]);
}

#[test]
fn an_emergency_that_nobody_approves_is_believed_for_a_day() {
    let mut world = World::new(CONFIG);
    world.emergency(Approval::Requested, (0, 100 * 24 * 60));
    world.edit(10, ("a", "b"));
    world.edit(2 * 24 * 60, ("b", "c"));
    assert_eq!(world.judged(), [Some(Emergency), Some(Unapproved)]);
    world.emergency(Approval::Approved, (0, 100 * 24 * 60));
    assert_eq!(world.judged(), [Some(Emergency), Some(Emergency)]);
}

#[test]
fn an_emergency_that_begins_later_takes_nothing_from_a_package() {
    let mut world = World::new(CONFIG);
    world.change(("packages", "dpkg", ItemKey::of(["sip:all", "version"])), 10, ("1", "2"));
    world.edit(40, ("a", "b"));
    assert_eq!(world.judged(), [Some(Expected), Some(Unauthorised)]);
    world.emergency(Approval::Requested, (300, 360));
    assert_eq!(world.judged(), [Some(Expected), Some(Emergency)]);
}

#[test]
fn an_emergency_of_a_host_takes_nothing_from_a_package_but_in_a_blackout() {
    let mut world = World::new(CONFIG);
    world.change(("packages", "dpkg", ItemKey::of(["sip:all", "version"])), 10, ("1", "2"));
    world.edit(40, ("a", "b"));
    for approval in [Approval::Requested, Approval::Approved] {
        world.emergency(approval, (0, 60));
        assert_eq!(world.judged(), [Some(Expected), Some(Emergency)], "{approval:?}");
    }
    // Where only the emergency lets it pass, that is what it was.
    let freeze = "[[blackout]]\nname = 'freeze'\nfrom = '2020-01-01T00:00'\n\
                  until = '2030-01-01T00:00'\n";
    world.config = parse("t", &format!("{CONFIG}{freeze}")).unwrap();
    world.emergency(Approval::Approved, (0, 61));
    assert_eq!(world.judged(), [Some(Emergency), Some(Emergency)]);
}

#[test]
fn a_site_that_tells_of_no_intent_has_no_unauthorised_changes() {
    let mut world = World::new("");
    world.edit(10, ("a", "b"));
    assert_eq!(world.judged(), [None]);
    world.request(Approval::Approved, (0, 60));
    assert_eq!(world.judged(), [Some(Expected)]);
    world.edit(5_000, ("b", "c"));
    assert_eq!(world.judged(), [Some(Expected), Some(Unauthorised)]);
}

#[test]
fn what_a_changed_list_speaks_of_is_judged_again() {
    let listed = format!(
        "{CONFIG}[[ignore]]\nname = 'codecs'\nreason = 'a trial'\nparts = ['/etc/sip.conf']\n"
    );
    let mut world = World::new(CONFIG);
    world.edit(10, ("ulaw", "opus"));
    assert_eq!(world.judged(), [Some(Unauthorised)]);
    let now = at(11);
    for (config, expected) in [(listed.as_str(), ChangeClass::Volatile), (CONFIG, Unauthorised)] {
        let next = parse("t", config).unwrap();
        let entries = changed_entries(&world.config.ignored(), &next.ignored());
        assert_eq!(entries.len(), 1, "the shipped ones stay as they are");
        world.config = next;
        let judged = judge_relisted(&world.store, (&world.config, now), &entries).unwrap();
        world.store.apply(&judged.steps).unwrap();
        assert_eq!(world.judged(), [Some(expected)]);
    }
    let none = judge_relisted(&world.store, (&world.config, now), &[]).unwrap();
    assert!(none.steps.is_empty(), "nothing else is judged again");
}
