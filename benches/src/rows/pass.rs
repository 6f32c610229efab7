//! What judging changes costs beside the size of the fleet: a doubling experiment.
//!
//! The same number of hosts report one changed item each, in a fleet, in one half its size and in
//! one a quarter; then twice as many in the largest. What is measured is the collector's CPU from
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

/// Fewer changes are lost among ticks of the clock that counts CPU time.
const CHANGES_LEAST: usize = 100;

/// Agents that report their first state in one go, so that their requests fit into memory.
const TOGETHER: usize = 2_000;

/// Over so many connections: what waits together is made durable together.
const CONNECTIONS: usize = 64;

/// How long a collector is watched when nothing happens.
const IDLE: Duration = Duration::from_secs(10);

/// How long changes may take until they have a class.
const PATIENCE: Duration = Duration::from_secs(120);

/// Judges what comes, and holds it against cases as often as it may.
const CONFIG: &str = "[[change_source]]\nname = \"itsm\"\n\n[[case_source]]\nname = \"desk\"\n\n\
     [correlation]\nevery_seconds = 1\n";

struct Side {
    server: Running,
    target: Target,
    agents: Vec<Agent>,
}

/// What one fleet costs.
struct Cost {
    /// CPU of a round of changes, in seconds, without cases and with them.
    round: [f64; 2],
    /// The same for twice as many, without cases.
    twice: f64,
    /// The share of a core when nothing happens, without cases.
    idle: f64,
}

/// The doubling experiment.
///
/// # Errors
/// When the server refuses, or does not judge.
pub fn pass(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let (default, rounds) = if depth == Depth::Full { (HOSTS.0, 7) } else { (HOSTS.1, 3) };
    let hosts = usize::try_from(count("DRIFTLINE_BENCH_HOSTS", default)?)?;
    let changes = (hosts / ONE_IN).max(CHANGES_LEAST);
    ensure!(changes * 8 <= hosts, "{hosts} hosts are too few for {changes} changes");
    let mut sides = Vec::new();
    for (name, hosts) in [("quarter", hosts / 4), ("half", hosts / 2), ("whole", hosts)] {
        let side = Side::new(site, &format!("pass-{name}"), hosts)?;
        sides.push((hosts, side.cost(changes, rounds)?));
    }
    let pairs = sides.iter().zip(sides.iter().skip(1));
    let mut rows: Vec<Row> =
        pairs.flat_map(|(half, whole)| doubled(changes, half, whole)).collect();
    rows.extend(sides.last().map(|whole| twice_as_many(changes, whole)));
    Ok(rows)
}

/// What a fleet costs, and one half its size.
fn doubled(
    changes: usize,
    (half_hosts, half): &(usize, Cost),
    (hosts, whole): &(usize, Cost),
) -> Vec<Row> {
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
        row(what(""), (whole.round[0], half.round[0]), peer()),
        row(what(" and held against cases"), (whole.round[1], half.round[1]), peer()),
        idle,
    ]
}

/// What twice as many changes cost in the same fleet: twice as much, at most.
fn twice_as_many(changes: usize, (hosts, whole): &(usize, Cost)) -> Row {
    let what = format!("{} of {hosts} hosts changed, judged", changes * 2);
    let twice = row(what, (whole.twice, whole.round[0]), format!("{changes} hosts"));
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
        Ok(Self { server, target, agents })
    }

    fn cost(mut self, changes: usize, rounds: usize) -> anyhow::Result<Cost> {
        let idle = self.idle()?;
        let plain = self.rounds(changes, rounds, idle)?;
        let twice = self.rounds(changes * 2, rounds, idle)?;
        self.know_cases()?;
        // The engine passes once more for the cases themselves.
        let idle_with_cases = self.idle().and_then(|_| self.idle())?;
        let with_cases = self.rounds(changes, rounds, idle_with_cases)?;
        Ok(Cost { round: [plain, with_cases], twice, idle })
    }

    /// The share of a core that is used when nothing happens.
    fn idle(&self) -> anyhow::Result<f64> {
        let (before, began) = (cpu_of(self.server.id())?, Instant::now());
        std::thread::sleep(IDLE);
        Ok((cpu_of(self.server.id())? - before) / began.elapsed().as_secs_f64())
    }

    /// The middle of some rounds of as many changes; the first one warms and does not count.
    fn rounds(&mut self, changes: usize, rounds: usize, idle: f64) -> anyhow::Result<f64> {
        let all = (0..=rounds).map(|_| self.round(changes, idle));
        let all = all.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(median(all.get(1..).unwrap_or_default()))
    }

    fn round(&mut self, changes: usize, idle: f64) -> anyhow::Result<f64> {
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
        Ok((spent - idle * began.elapsed().as_secs_f64()).max(0.0))
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
