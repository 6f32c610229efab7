//! Random histories of two hosts, held against a model of what the design says of findings.
//!
//! The model is written from the vocabulary and the invariants: drift is an observed difference
//! from a baseline, open until it returns, is accepted, or its host is retired; unobserved is not
//! absent; seeing differently is not change; an exception permits until it ends and changes
//! nothing. `DRIFTLINE_MODEL_STEPS` and `DRIFTLINE_SEED` make it longer and repeat a run; the seed
//! is printed.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::{Part, Reason};

use super::agent::{Agent, World, at, file};
use super::*;
use crate::analysis::exceptions::{Exception, ExceptionScope};
use crate::analysis::finding::{Resolution, Status};
use crate::ingest::Approval;
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{FindingFilter, MAX_LIMIT, ReadFindings as _};

const HOSTS: [&str; 2] = ["pbx1", "sbc2"];
const PARTS: [&str; 3] = ["/etc/a", "/etc/b", "/etc/c"];
const KEYS: [&str; 3] = ["x", "y", "z"];

/// How long one history is before both sides begin anew.
const HISTORY: u64 = 250;

type Items = BTreeMap<&'static str, i64>;

/// A file as it is on a host.
#[derive(Clone, Debug, PartialEq)]
enum Sight {
    /// It was read, by a reader of this version.
    Read(Items, u32),
    /// It could not be read.
    Denied,
}

/// What a finding is about: a file, and an item of it or the file as a whole.
type About = (&'static str, Option<&'static str>);

/// A value on one side of a finding; a file as a whole is there or not.
type Value = Option<i64>;

#[derive(Clone, Debug, PartialEq)]
struct Told {
    desired: Value,
    current: Value,
    first_seen: Timestamp,
    openings: u32,
    ended: Option<Resolution>,
}

/// What a model may get wrong, to see that the histories would tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    UnobservedIsAbsent,
    RecastIsChange,
    RetirementClosesNothing,
    ExceptionsNeverEnd,
}

/// What should be known of one host.
#[derive(Default)]
struct Model {
    now: BTreeMap<&'static str, Sight>,
    /// The last time each file was read, as long as it is there.
    read: BTreeMap<&'static str, Sight>,
    baseline: Option<BTreeMap<&'static str, Sight>>,
    retired: bool,
    told: BTreeMap<About, Told>,
    /// File, from, until.
    exceptions: Vec<(&'static str, i64, i64)>,
}

const THERE: Value = Some(-1);

impl Model {
    fn observe(&mut self, files: &BTreeMap<&'static str, Sight>, (now, fault): (i64, Fault)) {
        self.now.clone_from(files);
        self.read.retain(|name, _| files.contains_key(name));
        for (name, sight) in files {
            if matches!(sight, Sight::Read(..)) {
                self.read.insert(name, sight.clone());
            }
        }
        self.judge(now, fault);
    }

    fn approve(&mut self, now: i64) {
        let agreed = |(name, sight): (&&'static str, &Sight)| {
            (*name, self.read.get(name).unwrap_or(sight).clone())
        };
        self.baseline = Some(self.now.iter().map(agreed).collect());
        self.end(|_| true, (now, Resolution::Accepted));
    }

    fn retire(&mut self, now: i64, fault: Fault) {
        self.retired = true;
        if fault != Fault::RetirementClosesNothing {
            self.end(|_| true, (now, Resolution::Retired));
        }
    }

    fn reinstate(&mut self, now: i64, fault: Fault) {
        self.retired = false;
        self.judge(now, fault);
    }

    fn end(&mut self, which: impl Fn(&About) -> bool, (_, how): (i64, Resolution)) {
        for (about, told) in &mut self.told {
            if told.ended.is_none() && which(about) {
                told.ended = Some(how);
                if how == Resolution::Returned {
                    told.current = told.desired;
                }
            }
        }
    }

    /// Holds each file against the baseline.
    fn judge(&mut self, now: i64, fault: Fault) {
        let Some(baseline) = self.baseline.clone() else { return };
        for name in PARTS {
            let current = match self.now.get(name) {
                Some(Sight::Denied) if fault == Fault::UnobservedIsAbsent => None,
                Some(Sight::Denied) => continue,
                other => other.cloned(),
            };
            match (baseline.get(name).cloned(), current) {
                (Some(Sight::Denied), _) | (_, Some(Sight::Denied)) => {}
                (None, None) => self.end(|(of, _)| *of == name, (now, Resolution::Returned)),
                (None, Some(Sight::Read(..))) => self.open((name, None), (None, THERE), now),
                (Some(Sight::Read(..)), None) => {
                    self.open((name, None), (THERE, None), now);
                    for ((of, key), told) in &mut self.told {
                        if *of == name && key.is_some() && told.ended.is_none() {
                            told.current = None;
                        }
                    }
                }
                (Some(Sight::Read(should, one)), Some(Sight::Read(is, other))) => {
                    self.end(|about| *about == (name, None), (now, Resolution::Returned));
                    if one == other || fault == Fault::RecastIsChange {
                        self.items(name, (&should, &is), now);
                    }
                }
            }
        }
    }

    fn items(&mut self, name: &'static str, (should, is): (&Items, &Items), now: i64) {
        for key in KEYS {
            let (desired, current) = (should.get(key).copied(), is.get(key).copied());
            if desired == current {
                self.end(|about| *about == (name, Some(key)), (now, Resolution::Returned));
            } else {
                self.open((name, Some(key)), (desired, current), now);
            }
        }
    }

    fn open(&mut self, about: About, (desired, current): (Value, Value), now: i64) {
        let told = self.told.entry(about).or_insert_with(|| Told {
            desired,
            current,
            first_seen: at(now),
            openings: 0,
            ended: Some(Resolution::Returned),
        });
        if told.ended.take().is_some() {
            told.openings += 1;
            told.first_seen = at(now);
        }
        (told.desired, told.current) = (desired, current);
    }

    fn permitted(&self, now: i64, fault: Fault) -> BTreeSet<About> {
        let open = self.told.iter().filter(|(_, told)| told.ended.is_none());
        let permits = |(of, _): &About| {
            let ends = |until: i64| now < until || fault == Fault::ExceptionsNeverEnd;
            self.exceptions
                .iter()
                .any(|(name, from, until)| name == of && *from <= now && ends(*until))
        };
        open.map(|(about, _)| *about).filter(permits).collect()
    }
}

/// A stream of numbers that looks random and is always the same for its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }

    fn pick(&mut self, of: [&'static str; 3]) -> &'static str {
        of[self.below(3) as usize]
    }
}

/// Two hosts, each as it is, as the collector knows it, and as the model has it.
struct Histories {
    world: World,
    agents: Vec<Agent>,
    files: Vec<BTreeMap<&'static str, Sight>>,
    models: Vec<Model>,
    exceptions: u64,
    fault: Fault,
}

impl Histories {
    fn new(fault: Fault) -> Self {
        let mut world = World::new();
        let agents = HOSTS.iter().zip(1..).map(|(name, state)| world.enrol(name, state).0);
        let agents = agents.collect();
        let models = vec![Model::default(), Model::default()];
        let files = vec![BTreeMap::new(); 2];
        Self { world, agents, files, models, exceptions: 0, fault }
    }

    fn step(&mut self, dice: &mut Dice) {
        self.world.second += 1 + dice.below(3).cast_signed();
        let host = dice.below(2) as usize;
        let name = dice.pick(PARTS);
        match dice.below(100) {
            0..35 => self.edit(host, name, dice),
            35..45 => drop(self.files[host].remove(name)),
            45..57 => drop(self.files[host].insert(name, Sight::Denied)),
            57..65 => {
                if let Some(Sight::Read(_, version)) = self.files[host].get_mut(name) {
                    *version += 1;
                }
            }
            65..75 => {
                if let Some(baseline) = &self.models[host].baseline {
                    self.files[host].clone_from(baseline);
                }
            }
            75..83 => return self.approve(host),
            83..88 => return self.except(host, (name, dice)),
            88..92 => self.world.second += dice.below(60).cast_signed(),
            92..95 => return self.retire(host),
            95..98 => return self.reinstate(host),
            _ => self.world.restarted(),
        }
        self.deliver(host);
    }

    fn edit(&mut self, host: usize, name: &'static str, dice: &mut Dice) {
        let (mut items, version) = match self.files[host].get(name) {
            Some(Sight::Read(items, version)) => (items.clone(), *version),
            Some(Sight::Denied) | None => (Items::new(), 1),
        };
        let key = dice.pick(KEYS);
        if dice.below(4) == 0 {
            items.remove(key);
        } else {
            items.insert(key, dice.below(2).cast_signed());
        }
        self.files[host].insert(name, Sight::Read(items, version));
    }

    fn deliver(&mut self, host: usize) {
        let files: Vec<(&str, Part)> =
            self.files[host].iter().map(|(name, sight)| (*name, part(sight))).collect();
        if self.models[host].retired {
            return;
        }
        self.world.delivers(&mut self.agents[host], &files);
        let now = (self.world.second, self.fault);
        self.models[host].observe(&self.files[host], now);
    }

    fn approve(&mut self, host: usize) {
        if self.models[host].retired || self.agents[host].manifest == Default::default() {
            return;
        }
        let approval = Approval { who: "ada".into(), why: "change 7".into() };
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let id = self.agents[host].host.clone();
        let steps = self.world.ingest.approve(context, &id, approval).unwrap();
        self.world.apply(steps);
        self.models[host].approve(self.world.second);
    }

    fn except(&mut self, host: usize, (name, dice): (&'static str, &mut Dice)) {
        self.exceptions += 1;
        let (from, until) =
            (self.world.second, self.world.second + 1 + dice.below(90).cast_signed());
        let exception = Exception {
            name: format!("e{}", self.exceptions),
            scope: ExceptionScope {
                host: Some(HOSTS[host].into()),
                part: Some(name.into()),
                ..ExceptionScope::default()
            },
            owner: "voice".into(),
            reason: "because".into(),
            made_by: "ada".into(),
            made_at: at(from),
            expires_at: at(until),
            zone: "UTC".into(),
            ended: None,
        };
        let store = self.world.store.clone();
        let steps = except(Context { store: &store, now: at(from) }, exception).unwrap();
        self.world.apply(steps);
        self.models[host].exceptions.push((name, from, until));
    }

    fn retire(&mut self, host: usize) {
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let id = self.agents[host].host.clone();
        let steps = self.world.ingest.retire(context, &id).unwrap();
        self.world.apply(steps);
        if !self.models[host].retired {
            self.models[host].retire(self.world.second, self.fault);
        }
    }

    fn reinstate(&mut self, host: usize) {
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let id = self.agents[host].host.clone();
        let steps = self.world.ingest.reinstate(context, &id).unwrap();
        self.world.apply(steps);
        if self.models[host].retired {
            self.models[host].reinstate(self.world.second, self.fault);
        }
    }

    /// What the collector and the model say otherwise, if anything.
    fn differs(&self) -> Option<String> {
        let standards = Standards::default();
        let now = self.world.second;
        let mut permits = Permits::at(&self.world.store, &standards, at(now)).unwrap();
        for (host, model) in HOSTS.iter().zip(&self.models) {
            let host = Some(host.parse().unwrap());
            let filter = FindingFilter { host, limit: MAX_LIMIT, ..FindingFilter::default() };
            let mut told = BTreeMap::new();
            let mut permitted = BTreeSet::new();
            for record in self.world.store.findings(&filter).unwrap() {
                let id = &record.finding.id;
                let part = PARTS.into_iter().find(|name| *name == id.part.as_str()).unwrap();
                let named =
                    |key: &ItemKey| KEYS.into_iter().find(|name| *name == key.as_str()).unwrap();
                let about = (part, id.key.as_ref().map(named));
                let ended = match record.finding.status {
                    Status::Open => None,
                    Status::Resolved { by, .. } => Some(by),
                };
                if ended.is_none() && permits.of(&record.finding).unwrap().is_some() {
                    permitted.insert(about);
                }
                let finding = record.finding;
                let (desired, current) =
                    (value(finding.desired.as_ref()), value(finding.current.as_ref()));
                let (first_seen, openings) = (finding.first_seen, record.openings);
                told.insert(about, Told { desired, current, first_seen, openings, ended });
            }
            if told != model.told {
                let expected = &model.told;
                return Some(format!("collector {told:#?}\nmodel {expected:#?}"));
            }
            if permitted != model.permitted(now, self.fault) {
                return Some(format!("permitted: {permitted:?} at {now}"));
            }
        }
        None
    }
}

fn part(sight: &Sight) -> Part {
    let Sight::Read(items, version) = sight else { return Part::Unobserved(Reason::Denied) };
    let items: Vec<(&str, i64)> = items.iter().map(|(key, value)| (*key, *value)).collect();
    let mut part = file(&items);
    if let Part::Observed(observed) = &mut part {
        observed.reading.version = *version;
    }
    part
}

fn value(item: Option<&driftline_protocol::item::Item>) -> Value {
    use driftline_protocol::item::ItemValue;
    item.map(|item| {
        if let ItemValue::Integer(number) = item.value {
            return number;
        }
        assert_eq!(item.value, ItemValue::Flag(true), "only a whole file is there or not");
        -1
    })
}

/// Runs `steps` from `seed`; gives where and how the two first differ.
fn run(seed: u64, steps: u64, fault: Fault) -> Option<(u64, String)> {
    let mut dice = Dice(seed);
    let mut histories = Histories::new(fault);
    for step in 0..steps {
        if step % HISTORY == 0 {
            histories = Histories::new(fault);
        }
        histories.step(&mut dice);
        if let Some(how) = histories.differs() {
            return Some((step, how));
        }
    }
    None
}

fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn findings_are_what_the_design_says_after_any_history() {
    let seed = knob("DRIFTLINE_SEED", 20_261_128);
    let steps = knob("DRIFTLINE_MODEL_STEPS", 4_000);
    println!("DRIFTLINE_SEED={seed} DRIFTLINE_MODEL_STEPS={steps}");
    if let Some((step, how)) = run(seed, steps, Fault::None) {
        panic!("seed {seed}, step {step}: {how}");
    }
}

#[test]
fn the_histories_tell_each_fault_apart() {
    for fault in [
        Fault::UnobservedIsAbsent,
        Fault::RecastIsChange,
        Fault::RetirementClosesNothing,
        Fault::ExceptionsNeverEnd,
    ] {
        assert!(run(7, 2_000, fault).is_some(), "nothing in 2,000 steps tells of a fault");
    }
}
