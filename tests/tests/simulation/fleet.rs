//! Plays a plan: agents see what happens, the collector hears of it, and in the end what it says
//! is held against the truth.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use anyhow::Context as _;
use driftline_protocol::wire::ProblemCode;
use driftline_tests::simulation::host::{Host, Place, Role, SITES};
use driftline_tests::simulation::intent::{DAY, HOUR, MINUTE, START};
use driftline_tests::simulation::people::freeze;
use driftline_tests::simulation::plan::{Plan, What};
use driftline_tests::simulation::rollout::Rollout;
use driftline_tests::simulation::score::{Found, Observed, Said, Score, score};
use driftline_tests::simulation::truth::Truth;
use serde_json::json;

use super::agent::{Agent, moment};
use super::collector::Collector;
use super::reading::Reader;

/// How many versions one report carries when much has waited.
const AT_ONCE: usize = 50;

/// So long after something new it is judged at the latest.
const JUDGED: i64 = 10 * MINUTE;

struct World {
    agents: Vec<Agent>,
    reader: Reader,
    collector: Collector,
    seen: Vec<Observed>,
    /// The newest generation of each host that the backup has.
    backed_up: Vec<u64>,
    judged: i64,
    number: usize,
    /// How many hosts were copied.
    copies: u64,
}

/// Plays `plan`; gives what it came to.
pub(crate) fn run(plan: Plan) -> anyhow::Result<Score> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::open(&folder.path().join("store.db"), &config(plan.size.days))?;
    let Plan { hosts, actions, rollouts, size, left_out } = plan;
    eprintln!("{} things happen; for {left_out} no place was found", actions.len());
    let mut world = World {
        agents: Vec::with_capacity(hosts.len()),
        reader: Reader::new(),
        collector,
        seen: Vec::new(),
        backed_up: Vec::new(),
        judged: 0,
        number: 0,
        copies: 0,
    };
    world.first_day(hosts)?;
    let mut day = 0;
    for action in actions {
        if action.at - world.judged > JUDGED {
            world.judge()?;
        }
        while action.at / DAY > day {
            day += 1;
            world.every_heartbeat(day * DAY)?;
        }
        world.collector.now = world.collector.now.max(action.at);
        world.play(action.at, action.what)?;
    }
    world.every_heartbeat(size.days * DAY)?;
    world.judge()?;
    world.collector.check(world.copies)?;
    world.compare(&rollouts, size.days)
}

/// The site's configuration, as its admins wrote it.
fn config(days: i64) -> String {
    let mut text = String::from(
        "[classification]\nslack_minutes = 15\nearly_hours = 24\nlate_hours = 24\n\
         emergency_hours = 24\nrevert_days = 7\npackages = true\n\n\
         [[change_source]]\nname = 'itsm'\n\n[[change_window]]\nname = 'servers'\ndays = ['sun']\n\
         start = '02:00'\nend = '06:00'\ntimezone = 'Europe/Vienna'\nhosts = ['*-srv-*']\n\n",
    );
    let from = moment(freeze(days)).strftime("%Y-%m-%dT%H:%M").to_string();
    let until = moment(freeze(days) + 2 * DAY).strftime("%Y-%m-%dT%H:%M").to_string();
    writeln!(
        text,
        "[[blackout]]\nname = 'freeze'\nfrom = '{from}'\nuntil = '{until}'\ntimezone = 'UTC'\n\
         hosts = ['*-sbc-*']\n"
    )
    .ok();
    for (word, site) in SITES {
        for role in Role::ALL {
            let (kind, service) = (role.kind(), role.service());
            let name = format!("{word}-{}-*", role.word());
            writeln!(
                text,
                "[[host]]\nname = '{name}'\nkind = '{kind}'\nsite = '{site}'\n\
                 service = '{service}'\n"
            )
            .ok();
        }
    }
    for role in Role::ALL {
        let (group, word) = (role.group(), role.word());
        writeln!(text, "[[group]]\nname = '{group}'\nhost = '*-{word}-*'\n").ok();
    }
    text
}

impl World {
    /// Every host enrols, reports whole, and is approved as it is.
    fn first_day(&mut self, hosts: Vec<Host>) -> anyhow::Result<()> {
        for (number, host) in hosts.into_iter().enumerate() {
            let mut agent = Agent::new(host.name.parse()?, host, number);
            let asked = (agent.host.name.as_str(), agent.host.role.kind());
            agent.id = self.collector.enrol(asked, (agent.incarnation, None))?;
            let all: BTreeSet<&str> = agent.host.parts.keys().map(|place| place.0).collect();
            agent.looks(0, &all, &mut self.reader)?;
            self.agents.push(agent);
            self.deliver(number, 5)?;
        }
        self.collector.settle()?;
        self.collector.now = HOUR;
        for agent in &self.agents {
            self.collector.approve(&agent.id)?;
        }
        self.judge()
    }

    fn judge(&mut self) -> anyhow::Result<()> {
        self.collector.judge()?;
        self.judged = self.collector.now;
        Ok(())
    }

    /// Sends what waits, some seconds after `at`.
    fn deliver(&mut self, number: usize, at: i64) -> anyhow::Result<()> {
        self.number += 1;
        // A message takes up to twenty seconds, the collector's clock never goes back.
        let now = self.collector.now.max(at + self.number as i64 * 7 % 20);
        self.collector.now = now;
        let agent = self.agents.get_mut(number).context("no such agent")?;
        while let Some(report) = agent.report(now, AT_ONCE) {
            self.collector.take(report)?;
        }
        Ok(())
    }

    fn every_heartbeat(&mut self, at: i64) -> anyhow::Result<()> {
        self.collector.now = self.collector.now.max(at);
        for number in 0..self.agents.len() {
            self.heartbeat(number)?;
        }
        Ok(())
    }

    fn heartbeat(&mut self, number: usize) -> anyhow::Result<()> {
        let Some(agent) = self.agents.get(number).filter(|agent| !agent.silent) else {
            return Ok(());
        };
        let wanted = self.collector.hear(agent)?;
        for source in wanted.map_err(|code| anyhow::anyhow!("{}: {code:?}", agent.id))? {
            let agent = self.agents.get_mut(number).context("no such agent")?;
            let generation = agent.sends_whole(&source, &mut self.reader)?;
            self.merged(number, source.as_str(), generation.0);
            self.deliver(number, 0)?;
        }
        Ok(())
    }

    /// What the restored store lost of a section comes as one version.
    fn merged(&mut self, host: usize, source: &str, generation: u64) {
        let Some(kept) = self.backed_up.get(host).copied() else { return };
        let lost = |one: &Observed| {
            one.host == host && one.truth.place.0 == source && one.generation > kept
        };
        for one in self.seen.iter_mut().filter(|one| lost(one)) {
            one.generation = generation;
        }
    }

    fn play(&mut self, at: i64, what: What) -> anyhow::Result<()> {
        match what {
            What::Seen { host, happened, truths } => self.look(at, host, (happened, truths)),
            What::Requested(request) => self.collector.request(&request.json()),
            What::Permitted { host, place, lasts } => self.permit(at, (host, place), lasts),
            What::Silent(host) => {
                self.agents.get_mut(host).context("no such agent")?.silent = true;
                Ok(())
            }
            What::Back { host, rebooted } => {
                let agent = self.agents.get_mut(host).context("no such agent")?;
                agent.silent = false;
                if rebooted {
                    agent.boots(at);
                }
                self.heartbeat_of_returned(host)
            }
            What::Cloned(host) => self.clone_of(host),
            What::BackedUp => {
                self.collector.back_up()?;
                self.backed_up = self.agents.iter().map(Agent::newest).collect();
                Ok(())
            }
            What::Restored => {
                self.collector.restore()?;
                (0..self.agents.len()).try_for_each(|number| self.heartbeat(number))?;
                self.judge()
            }
        }
    }

    /// Who was silent is heard, and then sends what waited.
    fn heartbeat_of_returned(&mut self, host: usize) -> anyhow::Result<()> {
        let agent = self.agents.get(host).context("no such agent")?;
        let heard = self.collector.hear(agent)?;
        heard.map_err(|code| anyhow::anyhow!("{}: {code:?}", agent.id))?;
        self.deliver(host, 0)
    }

    fn look(
        &mut self,
        at: i64,
        host: usize,
        (happened, truths): (
            Vec<(Place, driftline_tests::simulation::host::Happening)>,
            Vec<Truth>,
        ),
    ) -> anyhow::Result<()> {
        let agent = self.agents.get_mut(host).context("no such agent")?;
        let mut sources = BTreeSet::new();
        for (place, happening) in happened {
            let there = agent.host.happen(place, &happening);
            anyhow::ensure!(there, "{} has no {place:?}", agent.id);
            sources.insert(place.0);
        }
        let told = agent.looks(at, &sources, &mut self.reader)?;
        let silent = agent.silent;
        let mut kept: BTreeSet<(Place, &str)> = BTreeSet::new();
        for truth in truths {
            let generation = told.get(truth.place.0).map_or(0, |generation| generation.0);
            if kept.insert((truth.place, truth.key)) {
                self.seen.push(Observed { truth, host, generation, at });
            }
        }
        if silent { Ok(()) } else { self.deliver(host, at) }
    }

    fn permit(&mut self, at: i64, (host, place): (usize, Place), lasts: i64) -> anyhow::Result<()> {
        let agent = self.agents.get(host).context("no such agent")?;
        self.number += 1;
        self.collector.permit(json!({
            "name": format!("trial-{}", self.number),
            "scope": { "host": agent.id, "part": place.1 },
            "owner": "ops", "reason": "a trial", "made_by": "ann",
            "made_at": moment(at), "expires_at": moment(at + lasts), "zone": "UTC",
        }))
    }

    /// Two machines speak under one name until one is told to enrol anew.
    fn clone_of(&mut self, host: usize) -> anyhow::Result<()> {
        let mut copy = self.agents.get(host).context("no such agent")?.clone();
        copy.starts_again(9);
        for _ in 0..12 {
            self.collector.now += 30;
            for agent in [&self.agents[host], &copy] {
                if matches!(self.collector.hear(agent)?, Err(ProblemCode::Clone)) {
                    let asked = (copy.host.name.as_str(), copy.host.role.kind());
                    let of = Some(copy.id.clone());
                    self.copies += 1;
                    return self.collector.enrol(asked, (copy.incarnation, of)).map(drop);
                }
            }
        }
        anyhow::bail!("{} and its copy were never told apart", copy.id)
    }

    fn compare(self, planned: &[Rollout], days: i64) -> anyhow::Result<Score> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for (number, agent) in self.agents.iter().enumerate() {
            numbers.insert(agent.id.as_str(), number);
        }
        let second = |at: jiff::Timestamp| at.as_second() - START;
        let text = |value: Option<&driftline_protocol::item::Item>| {
            value.map(|item| serde_json::to_string(&item.value).unwrap()).unwrap_or_default()
        };
        let mut said = Vec::new();
        for record in self.collector.changes()? {
            let class =
                record.classified.map(|classified| serde_json::to_value(classified).unwrap());
            said.push(Said {
                host: numbers[record.host.as_str()],
                source: record.source.to_string(),
                part: record.change.part.to_string(),
                key: record.change.key.map(|key| key.to_string()).unwrap_or_default(),
                generation: record.generation.0,
                kind: record.change.kind.as_str().into(),
                why: class.as_ref().map(ToString::to_string).unwrap_or_default(),
                class: class.map(|class| class["class"].as_str().unwrap().to_owned()),
                after: text(record.change.after.as_ref()),
                at: second(record.at),
            });
        }
        let mut found = Vec::new();
        for record in self.collector.findings()? {
            let quiet = record.class().is_quiet();
            let why =
                serde_json::to_string(&(record.number, &record.meant, &record.finding.status))
                    .unwrap();
            let finding = record.finding;
            found.push(Found {
                host: numbers[finding.id.host.as_str()],
                source: finding.id.source.to_string(),
                part: finding.id.part.to_string(),
                key: finding.id.key.as_ref().map(ToString::to_string).unwrap_or_default(),
                current: text(finding.current.as_ref()),
                at: second(finding.first_seen),
                quiet,
                why,
            });
        }
        for rollout in planned {
            tell(&self.collector, rollout)?;
        }
        Ok(score(self.seen, &said, &found, days))
    }
}

/// How a rollout is told, beside how it went.
fn tell(collector: &Collector, rollout: &Rollout) -> anyhow::Result<()> {
    let all = collector.rollouts(rollout.span.0, rollout.span.1)?;
    let same = |one: &&driftline_collector::rollouts::Rollout| {
        let item = one.item.as_ref().map(ToString::to_string).unwrap_or_default();
        let place = one.parts.iter().any(|part| part == rollout.place.1);
        place && item.contains(rollout.item) && one.reached.count > 1
    };
    let told: Vec<String> = all
        .iter()
        .filter(same)
        .map(|one| {
            format!(
                "{} reached, {} as before, {} went back, {} waves",
                one.reached.count,
                one.stragglers.count,
                one.went_back.count,
                one.waves.len()
            )
        })
        .collect();
    eprintln!(
        "rollout of {:?} {}: {} reached, {} as before, {} went back; told as {told:?}",
        rollout.place, rollout.item, rollout.reached, rollout.stragglers, rollout.went_back
    );
    Ok(())
}
