//! What holding a file of changes against a file of cases costs, and what counting them does.
//!
//! A million cases of a year and a thousand changes, one in ten with a rise of its own, so that the
//! greedy search for explanations has something to find. The files are made from a seed.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use driftline_tests::programs::correlate;
use driftline_tests::trials::random::Random;
use driftline_tests::trials::stream::{Change, DAY, Stream, WEEK, changes_csv};
use driftline_tests::trials::synthetic::{self, Shape};
use driftline_tests::trials::truth::{Means, Rise};

use super::{Depth, MEGABYTE};
use crate::site::Site;
use crate::statistics::{median, significant};
use crate::table::{Reached, Row};
use crate::usage::{self, Usage};

/// A million cases and a thousand changes take no longer, in seconds.
const WALL: f64 = 60.0;

/// Nor more memory, in bytes.
const PEAK: f64 = 256e6;

const SEED: u64 = 20_261_129;
const SERVICES: usize = 50;
const SITES: usize = 200;
const WEEKS: i64 = 52;

/// Weeks before the first change, so that each has a past.
const PAST: i64 = 13 * WEEK;

/// Of so many changes one has a rise.
const ONE_RISES_IN: usize = 10;

/// Both commands on one file each, in turn.
///
/// # Errors
/// When the files cannot be written or a command fails.
pub fn cases(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let (cases, changes, rounds) = match depth {
        Depth::Full => (1_000_000, 1_000, 3),
        Depth::Quick => (50_000, 50, 1),
    };
    let (cases, changes, paths) = files(site, (cases, changes))?;
    let [of_cases, of_changes] = paths.each_ref().map(|path| path.display().to_string());
    let program = site.program("driftline");
    let command = |words: &[&str]| -> Vec<String> {
        std::iter::once(program.as_str()).chain(words.iter().copied()).map(Into::into).collect()
    };
    let judged = command(&correlate(&of_cases, &of_changes));
    let counted = ["volume", "--cases", &of_cases, "--bucket", "day", "--output", "ndjson"];
    let counted = command(&counted);
    let judged = run(&judged, rounds)?;
    let counted = run(&counted, rounds)?;
    let what = format!("{cases} cases and {changes} changes, `correlate`");
    let mut all = rows(&what, judged, Some([WALL, PEAK]));
    all.extend(rows(&format!("{cases} cases by the day and cell, `volume`"), counted, None));
    Ok(all)
}

/// Time and memory of one command, with the bars of the promise where it has them.
fn rows(what: &str, cost: Usage, bars: Option<[f64; 2]>) -> Vec<Row> {
    let row = |what: String, value: f64, bar: Option<(f64, &str)>| Row {
        what,
        ours: significant(value),
        peer: "-".to_owned(),
        ratio: "-".to_owned(),
        bar: bar.map_or(String::new(), |(bar, unit)| format!("≤ {} {unit}", significant(bar))),
        reached: bar.map_or(Reached::NoBar, |(bar, _)| Reached::at_most(value, bar)),
    };
    let memory = cost.peak / MEGABYTE;
    vec![
        row(format!("{what}: wall, s"), cost.wall, bars.map(|[wall, _]| (wall, "s"))),
        row(format!("{what}: CPU, s"), cost.cpu, None),
        row(
            format!("{what}: peak memory, MB"),
            memory,
            bars.map(|[_, peak]| (peak / MEGABYTE, "MB")),
        ),
    ]
}

fn run(command: &[String], rounds: usize) -> anyhow::Result<Usage> {
    let mut runs = Vec::new();
    for _ in 0..rounds {
        let cost = usage::measure(command)?;
        ensure!(cost.code == 0, "{command:?} ended with {}", cost.code);
        runs.push(cost);
    }
    let middle = |of: fn(&Usage) -> f64| median(&runs.iter().map(of).collect::<Vec<_>>());
    Ok(Usage {
        wall: middle(|run| run.wall),
        cpu: middle(|run| run.cpu),
        peak: middle(|run| run.peak),
        code: 0,
    })
}

/// Writes both files; gives how many cases and changes they hold.
fn files(
    site: &Site,
    (cases, changes): (usize, usize),
) -> anyhow::Result<(usize, usize, [PathBuf; 2])> {
    let mut random = Random::new(SEED);
    let weekly = cases as f64 / (SERVICES as f64 * WEEKS as f64);
    let many = synthetic::ALL.iter().find(|shape| shape.name == "many sites");
    let many = many.context("there is no such shape any more")?;
    let shape = Shape { services: SERVICES, sites: SITES, weeks: WEEKS, weekly, ..many.clone() };
    let mut stream = synthetic::stream(&shape, &mut random);
    let changes: Vec<Change> =
        (0..changes).map(|number| change(number, &stream, &mut random)).collect();
    for change in changes.iter().step_by(ONE_RISES_IN) {
        Rise::of(change, 3.0).put(&mut stream, Means::Add, &mut random);
    }
    stream.cases.truncate(cases);
    let paths = ["cases.csv", "changes.csv"].map(|name| site.path(name));
    std::fs::write(&paths[0], stream.csv()).context("writing cases")?;
    std::fs::write(&paths[1], changes_csv(&stream, &changes)).context("writing changes")?;
    Ok((stream.cases.len(), changes.len(), paths))
}

/// A change of one service at a tenth to a half of the sites, for one, three or seven days.
fn change(number: usize, stream: &Stream, random: &mut Random) -> Change {
    let mut sites: Vec<u16> = (0..SITES as u16).collect();
    random.shuffle(&mut sites);
    let count = SITES / 10 + random.below(SITES * 4 / 10);
    sites.truncate(count);
    sites.sort_unstable();
    Change {
        id: format!("CHG{number}"),
        at: random.second(stream.from + PAST, stream.to - 8 * DAY),
        service: (number % SERVICES) as u16,
        exposed: sites,
        window_hours: *random.pick(&[24, 72, 168]),
        waves: Vec::new(),
    }
}
