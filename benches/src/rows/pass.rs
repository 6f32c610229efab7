//! What judging changes costs beside the size of the fleet: a doubling experiment.
//!
//! The same number of hosts report one changed item each, in a fleet, in one half its size and in
//! one a quarter, in turns; then twice as many. What is measured is the collector's CPU from
//! the first report until every change has its class, less what it uses when nothing happens. A
//! pass that costs what changed costs the same in all of them. With cases known, the engine that
//! holds changes against them passes too.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use driftline_tests::programs::count;

use super::Depth;
use super::collector::{plan, scripts};
use crate::fleet::{self, Agent};
use crate::http::{self, Connection, Target};
use crate::load::{self, Repeat};
use crate::programs::Running;
use crate::site::{SECRET, Site, Transport};
use crate::statistics::{median, ratio, significant};
use crate::table::{Reached, Row};
use crate::usage::cpu_of;

/// Doubling the fleet may cost a pass so much more; beyond it is a cost of the fleet.
const OF_HALF: f64 = 1.25;

/// Hosts of the larger fleet: as the bar was set, and to see that it works.
const HOSTS: (u64, u64) = (100_000, 2_000);

/// Of so many hosts one changes.
const ONE_IN: usize = 1_000;

/// Fewer changes are lost among what a server does by itself.
const CHANGES_LEAST: usize = 100;

/// Agents that report their first state in one go, so that their requests fit into memory.
const TOGETHER: usize = 2_000;

/// Over so many connections: what waits together is made durable together.
const CONNECTIONS: usize = 64;

/// How long a collector is watched when nothing happens, about as long as a round takes: what it
/// does once a minute is in one of these, and in no middle of them.
const IDLE: Duration = Duration::from_secs(3);

/// How long changes may take until they have a class.
const PATIENCE: Duration = Duration::from_secs(120);

/// Judges what comes, and holds it against cases as often as it may.
const CONFIG: &str = "[[change_source]]\nname = \"itsm\"\n\n[[case_source]]\nname = \"desk\"\n\n\
     [correlation]\nevery_seconds = 1\n";

struct Side {
    server: Running,
    target: Target,
    agents: Vec<Agent>,
    cost: Cost,
}

/// What one fleet costs.
#[derive(Default)]
struct Cost {
    /// CPU of a round of changes, in seconds, without cases.
    plain: f64,
    /// The same where cases are known.
    with_cases: f64,
    /// The same for twice as many, without cases.
    twice: f64,
    /// The share of a core when nothing happens; in the end, without cases.
    idle: f64,
}

/// The doubling experiment.
///
/// # Errors
/// When the server refuses, or does not judge.
pub fn pass(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let (default, rounds) = if depth == Depth::Full { (HOSTS.0, 11) } else { (HOSTS.1, 3) };
    let hosts = usize::try_from(count("DRIFTLINE_BENCH_HOSTS", default)?)?;
    let changes = (hosts / ONE_IN).max(CHANGES_LEAST);
    ensure!(changes * 8 <= hosts, "{hosts} hosts are too few for {changes} changes");
    let mut sides = Vec::new();
    for (name, hosts) in [("quarter", hosts / 4), ("half", hosts / 2), ("whole", hosts)] {
        sides.push(Side::new(site, &format!("pass-{name}"), hosts)?);
    }
    weigh(&mut sides, changes, rounds)?;
    let pairs = sides.iter().zip(sides.iter().skip(1));
    let mut rows: Vec<Row> =
        pairs.flat_map(|(half, whole)| doubled(changes, half, whole)).collect();
    rows.extend(sides.last().map(|whole| twice_as_many(changes, whole)));
    Ok(rows)
}

/// What each fleet costs. Turns are taken, round by round: how fast the machine is at a time, and
/// what else it does, is then no fleet's own.
fn weigh(sides: &mut [Side], changes: usize, rounds: usize) -> anyhow::Result<()> {
    in_turns(sides, rounds, Side::idle, |cost| &mut cost.idle)?;
    in_turns(sides, rounds, |side| side.round(changes), |cost| &mut cost.plain)?;
    in_turns(sides, rounds, |side| side.round(changes * 2), |cost| &mut cost.twice)?;
    sides.iter().try_for_each(Side::know_cases)?;
    // The engine passes once more for the cases themselves.
    let without: Vec<f64> = sides.iter().map(|side| side.cost.idle).collect();
    in_turns(sides, 4, Side::idle, |cost| &mut cost.idle)?;
    in_turns(sides, rounds, Side::idle, |cost| &mut cost.idle)?;
    in_turns(sides, rounds, |side| side.round(changes), |cost| &mut cost.with_cases)?;
    sides.iter_mut().zip(without).for_each(|(side, idle)| side.cost.idle = idle);
    Ok(())
}

/// Keeps the middle of what `take` measures of each side in some turns; the first one warms and
/// does not count.
fn in_turns(
    sides: &mut [Side],
    turns: usize,
    take: impl Fn(&mut Side) -> anyhow::Result<f64>,
    keep: impl Fn(&mut Cost) -> &mut f64,
) -> anyhow::Result<()> {
    let mut all = vec![Vec::with_capacity(turns); sides.len()];
    for turn in 0..=turns {
        for (side, taken) in sides.iter_mut().zip(&mut all) {
            let figure = take(side)?;
            taken.extend((turn > 0).then_some(figure));
        }
    }
    for (side, taken) in sides.iter_mut().zip(all) {
        *keep(&mut side.cost) = median(&taken);
    }
    Ok(())
}

/// What a fleet costs, and one half its size.
fn doubled(changes: usize, half: &Side, whole: &Side) -> Vec<Row> {
    let (half_hosts, hosts) = (half.agents.len(), whole.agents.len());
    let (half, whole) = (&half.cost, &whole.cost);
    let peer = || format!("{half_hosts} hosts");
    let what = |more: &str| format!("{changes} of {hosts} hosts changed, judged{more}");
    let idle = Row {
        what: format!("{hosts} hosts known, nothing happens: % of a core"),
        ours: significant(whole.idle * 100.0),
        peer: format!("{} {}", peer(), significant(half.idle * 100.0)),
        ratio: ratio(whole.idle, half.idle),
        ..no_bar()
    };
    vec![
        row(what(""), (whole.plain, half.plain), peer()),
        row(what(" and held against cases"), (whole.with_cases, half.with_cases), peer()),
        idle,
    ]
}

/// What twice as many changes cost in the same fleet: twice as much, at most.
fn twice_as_many(changes: usize, Side { agents, cost: whole, .. }: &Side) -> Row {
    let hosts = agents.len();
    let what = format!("{} of {hosts} hosts changed, judged", changes * 2);
    let twice = row(what, (whole.twice, whole.plain), format!("{changes} hosts"));
    Row { bar: String::new(), reached: Reached::NoBar, ..twice }
}

fn row(what: String, (ours, theirs): (f64, f64), peer: String) -> Row {
    Row {
        what: format!("{what}: collector CPU, ms"),
        ours: significant(ours * 1e3),
        peer: format!("{peer} {}", significant(theirs * 1e3)),
        ratio: ratio(ours, theirs),
        bar: format!("≤ {}×", significant(OF_HALF)),
        reached: Reached::at_most(ours / theirs, OF_HALF),
    }
}

/// Has `agents` enrol, some at the same time.
fn enrol(target: &Target, agents: &mut [Agent]) -> anyhow::Result<()> {
    let share = agents.len().div_ceil(CONNECTIONS).max(1);
    std::thread::scope(|scope| {
        let enrol = |some: &mut [Agent]| {
            let mut connection = Connection::open(target)?;
            some.iter_mut().try_for_each(|agent| agent.enrol(&mut connection, SECRET))
        };
        let threads: Vec<_> =
            agents.chunks_mut(share).map(|some| scope.spawn(move || enrol(some))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow::anyhow!("an enrolment broke"))?
        })
    })
}

fn no_bar() -> Row {
    Row { bar: String::new(), reached: Reached::NoBar, ..Row::failed("") }
}

impl Side {
    /// A collector that knows `hosts`, each reported once.
    fn new(site: &Site, name: &str, hosts: usize) -> anyhow::Result<Self> {
        let (server, target) = site.collector_with(name, Transport::Plain, CONFIG)?;
        let mut agents: Vec<Agent> = (0..hosts as u64).map(|n| Agent::new(7, n)).collect();
        for some in agents.chunks_mut(TOGETHER) {
            enrol(&target, some)?;
            let first = scripts(some, CONNECTIONS, Repeat::Once, |agent| vec![agent.report()]);
            load::run(&target, first, plan(300, fleet::applied))?;
        }
        Ok(Self { server, target, agents, cost: Cost::default() })
    }

    /// The share of a core that is used when nothing happens.
    fn idle(&mut self) -> anyhow::Result<f64> {
        let (before, began) = (cpu_of(self.server.id())?, Instant::now());
        std::thread::sleep(IDLE);
        Ok((cpu_of(self.server.id())? - before) / began.elapsed().as_secs_f64())
    }

    /// The CPU that one round of changes costs, in seconds.
    fn round(&mut self, changes: usize) -> anyhow::Result<f64> {
        // Other hosts each time, so that no value is about to flap.
        self.agents.rotate_left(changes);
        let some = self.agents.get_mut(..changes).context("too few hosts")?;
        let reports = scripts(some, 4, Repeat::Once, |agent| vec![agent.report()]);
        let (before, began) = (cpu_of(self.server.id())?, Instant::now());
        let from = jiff::Timestamp::now();
        load::run(&self.target, reports, plan(60, fleet::applied))?;
        while self.classified(from, changes)? < changes {
            ensure!(began.elapsed() < PATIENCE, "some changes have no class");
            std::thread::sleep(Duration::from_millis(500));
        }
        // What follows the class: the engine, where there are cases.
        std::thread::sleep(Duration::from_millis(2_500));
        let spent = cpu_of(self.server.id())? - before;
        Ok((spent - self.cost.idle * began.elapsed().as_secs_f64()).max(0.0))
    }

    /// How many changes since `from` have a class; asking costs what changed since.
    fn classified(&self, from: jiff::Timestamp, most: usize) -> anyhow::Result<usize> {
        let mut connection = Connection::open(&self.target)?;
        let from = from.as_millisecond();
        let path = format!("/api/v1/changes?class=unauthorised&from={from}&limit={most}");
        let answer = connection.ask(&http::get(&path))?;
        let page: serde_json::Value = serde_json::from_slice(answer.body)?;
        let changes = page.get("changes").and_then(serde_json::Value::as_array);
        Ok(changes.context("no list of changes")?.len())
    }

    fn know_cases(&self) -> anyhow::Result<()> {
        let now = jiff::Timestamp::now();
        let case = |number: i64| {
            let opened = now - jiff::SignedDuration::from_hours(number);
            serde_json::json!({ "id": format!("C{number}"), "opened_at": opened.to_string() })
        };
        let cases: Vec<serde_json::Value> = (0..1_000).map(case).collect();
        let body = serde_json::to_vec(&cases)?;
        let mut connection = Connection::open(&self.target)?;
        let request = http::post("/api/v1/cases?source=desk", "", (&body, false));
        let answer = connection.ask(&request)?;
        ensure!(answer.status == 200, "cases were refused: {}", answer.status);
        Ok(())
    }
}
