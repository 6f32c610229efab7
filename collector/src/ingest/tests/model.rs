//! Random histories of two hosts, held against a model of what the design says of findings.
//!
//! The model is written from the vocabulary and the invariants: drift is an observed difference
//! from a baseline, open until it returns, is accepted, or its host is retired; of a host's own
//! baseline and its group's the newest approval counts; what a group exempts is compared on no
//! host; unobserved is not absent; seeing differently is not change; an exception permits until it
//! ends and changes nothing, and one that was accepted of a finding permits what was read of it.
//! `DRIFTLINE_MODEL_STEPS` and `DRIFTLINE_SEED` make it longer and repeat a run; the seed is
//! printed.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::{Part, Reason};

use super::agent::{self, Agent, World, at, file};
use super::*;
use crate::analysis::agreement::{Exemption, Subject};
use crate::analysis::exceptions::{Exception, ExceptionScope};
use crate::analysis::finding::{Resolution, Status};
use crate::analysis::sight::is_of_all_it_says;
use crate::ingest::{Accepted, Approval, Proposal, accepted, sight};
use crate::permits::Permits;
use crate::standards::Standards;
use crate::store::{FindingFilter, MAX_LIMIT, ReadFindings as _};

mod reference;

use reference::*;

const HOSTS: [&str; 2] = ["pbx1", "sbc2"];
const PARTS: [&str; 3] = ["/etc/a", "/etc/b", "/etc/c"];
const KEYS: [&str; 3] = ["x", "y", "z"];

/// How long one history is before both sides begin anew.
const HISTORY: u64 = 250;

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
    group: Group,
    approvals: i64,
    exceptions: u64,
    fault: Fault,
}

impl Histories {
    fn new(fault: Fault) -> Self {
        let mut world = World::new();
        let config = crate::config::load::parse("t", "[[group]]\nname = 'both'\n").unwrap();
        world.adopt(Standards::load(&config.into()).unwrap());
        let agents = HOSTS.iter().zip(1..).map(|(name, state)| world.enrol(name, state).0);
        let agents = agents.collect();
        let models = vec![Model::default(), Model::default()];
        let files = vec![BTreeMap::new(); 2];
        let group = Group::default();
        Self { world, agents, files, models, group, approvals: 0, exceptions: 0, fault }
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
                for name in PARTS {
                    match self.models[host].desired(name, &self.group, Fault::None) {
                        Some(Some(sight)) => drop(self.files[host].insert(name, sight)),
                        Some(None) => drop(self.files[host].remove(name)),
                        None => {}
                    }
                }
            }
            75..79 => return self.approve(host),
            79..82 => return self.approve_group(host, (name, dice)),
            82..86 => return self.accept(host, dice),
            86..88 => return self.except(host, (name, dice)),
            88..91 => return self.permit(host, dice),
            91..92 => self.world.second += dice.below(60).cast_signed(),
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
        self.models[host].observe(&self.files[host], &self.group, now);
    }

    fn approve(&mut self, host: usize) {
        if self.models[host].retired || self.agents[host].manifest == Default::default() {
            return;
        }
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let proposal = Proposal::present(self.agents[host].host.clone());
        let steps = self.world.ingest.approve(context, proposal, approval()).unwrap();
        self.world.apply(steps);
        self.approvals += 1;
        self.models[host].approve(self.approvals);
    }

    /// Agrees to the state of `host` of both, as a whole or of one file.
    fn approve_group(&mut self, host: usize, (name, dice): (&'static str, &mut Dice)) {
        if !self.models[host].heard {
            return;
        }
        let one = (dice.below(2) == 0).then_some(name);
        let exempt = match dice.below(3) {
            0 => None,
            1 => Some(Some("z")),
            _ => Some(None),
        };
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let of_key = |key: &str| Exemption { key: Some(key.into()), ..Exemption::default() };
        let proposal = Proposal {
            subject: Subject::Group("both".into()),
            from: self.agents[host].host.clone(),
            then: None,
            source: one.map(|_| agent::source()),
            part: one.map(str::to_owned),
            exempt: exempt.map(|key| key.map(of_key).into_iter().collect()),
        };
        let steps = self.world.ingest.approve(context, proposal, approval()).unwrap();
        self.world.apply(steps);
        self.approvals += 1;
        let state = self.models[host].state();
        for file in PARTS.into_iter().filter(|file| one.is_none_or(|one| one == *file)) {
            self.group.agreed.insert(file, (self.approvals, state.get(file).cloned()));
        }
        self.group.exempt = exempt.unwrap_or(self.group.exempt);
        for (agent, model) in self.agents.iter().zip(&mut self.models) {
            let steps = self.world.ingest.rejudge(context, &agent.host).unwrap();
            self.world.apply(steps);
            let when = (self.world.second, self.fault);
            model.judge(&self.group, (when, Resolution::Accepted));
        }
    }

    /// Accepts one of the open findings of a host.
    fn accept(&mut self, host: usize, dice: &mut Dice) {
        let id = self.agents[host].host.clone();
        let filter = FindingFilter { host: Some(id), open_only: true, ..FindingFilter::default() };
        let open = self.world.store.findings(&filter).unwrap();
        if open.is_empty() {
            return;
        }
        let accepted = open[dice.below(open.len() as u64) as usize].finding.id.clone();
        let about = about(&accepted);
        if self.models[host].told.get(&about).is_none_or(|told| told.ended.is_some()) {
            return; // the two differ already, and that will be said
        }
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let read = self.world.ingest.sight(context, &accepted).unwrap().unwrap();
        let told = open.iter().find(|record| record.finding.id == accepted).unwrap();
        assert_eq!(read, sight(&store, &told.finding).unwrap(), "as whoever asks the store has it");
        let accepted = (vec![(accepted, read.etag)], "finding 1");
        let Accepted { parts, steps, count, conflicts } =
            self.world.ingest.accept(context, accepted, &approval()).unwrap();
        assert_eq!((count, conflicts), (1, 0));
        self.world.keep(Decided { answer: (), parts, steps });
        self.approvals += 1;
        let model = &mut self.models[host];
        model.accept(about, &self.group, (self.approvals, self.fault));
        let when = (self.world.second, self.fault);
        model.judge(&self.group, (when, Resolution::Accepted));
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
            value: None,
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
        self.models[host].exceptions.push((Permit::Whatever(name), from, until));
    }

    /// Accepts one of the open findings of a host for a while, as it is.
    fn permit(&mut self, host: usize, dice: &mut Dice) {
        let id = self.agents[host].host.clone();
        let filter = FindingFilter { host: Some(id), open_only: true, ..FindingFilter::default() };
        let open = self.world.store.findings(&filter).unwrap();
        if open.is_empty() {
            return;
        }
        // Whole files are fewer and their value is more: where there is one it is taken.
        let whole = open.iter().find(|record| is_of_all_it_says(&record.finding));
        let any = &open[dice.below(open.len() as u64) as usize];
        let id = &whole.unwrap_or(any).finding.id;
        if self.models[host].told.get(&about(id)).is_none_or(|told| told.ended.is_some()) {
            return; // the two differ already, and that will be said
        }
        let (from, until) =
            (self.world.second, self.world.second + 1 + dice.below(300).cast_signed());
        self.exceptions += 1;
        let number = self.exceptions.cast_signed();
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(from) };
        let value = self.world.ingest.sight(context, id).unwrap().unwrap().value;
        let (why, end) = (("ada", "because".into()), (at(until), "UTC".into()));
        let exception = accepted((number, id, value), why, end, at(from));
        let steps = except(context, exception).unwrap();
        self.world.apply(steps);
        let model = &mut self.models[host];
        let permit = Permit::As(about(id), model.has(&about(id)));
        model.exceptions.push((permit, from, until));
    }

    fn retire(&mut self, host: usize) {
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let id = self.agents[host].host.clone();
        let steps = self.world.ingest.retire(context, (&id, "ada")).unwrap();
        self.world.apply(steps);
        if !self.models[host].retired {
            self.models[host].retire(self.fault);
        }
    }

    fn reinstate(&mut self, host: usize) {
        let store = self.world.store.clone();
        let context = Context { store: &store, now: at(self.world.second) };
        let id = self.agents[host].host.clone();
        let steps = self.world.ingest.reinstate(context, (&id, "ada")).unwrap();
        self.world.apply(steps);
        if self.models[host].retired {
            self.models[host].retired = false;
            let when = (self.world.second, self.fault);
            self.models[host].judge(&self.group, (when, Resolution::Returned));
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
                let about = about(&record.finding.id);
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

fn approval() -> Approval {
    Approval { who: "ada".into(), why: "change 7".into() }
}

/// What a finding is about.
fn about(id: &FindingId) -> About {
    let part = PARTS.into_iter().find(|name| *name == id.part.as_str()).unwrap();
    let named = |key: &ItemKey| KEYS.into_iter().find(|name| *name == key.as_str()).unwrap();
    (part, id.key.as_ref().map(named))
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
        Fault::GroupsAgreeToNothing,
        Fault::ExemptIsCompared,
        Fault::AcceptanceTakesThePart,
        Fault::AcceptedPermitsAnyValue,
        Fault::AcceptedForgetsTheWhole,
    ] {
        assert!(run(7, 4_000, fault).is_some(), "nothing in 4,000 steps tells of {fault:?}");
    }
}
