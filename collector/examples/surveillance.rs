//! Our surveillance methods against R `surveillance`, week by week; `benches/run surveillance`.
//!
//! The series and what R said of them are under the GPL and stay outside: a folder that holds
//! `surveillance_series.csv` and `surveillance_alarms.csv` is given as the argument. A bound is the
//! same to one part in a million, an alarm is the same or not. Prints a table.

#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use driftline_collector::analysis::volume::cusum::{CusumBound, CusumSettings, cusum};
use driftline_collector::analysis::volume::ears::{EarsMethod, EarsSettings, ears};
use driftline_collector::analysis::volume::farrington::{
    Bound, Calendar, FarringtonSettings, Threshold, farrington,
};
use jiff::ToSpan;
use jiff::civil::{Date, date};

/// How far apart two bounds may be, as a part of either, and still be the same.
const SAME: f64 = 1e-6;

/// Weeks of R that are told by their number and not by a day have numbers below this.
const FIRST_DAY: i32 = 1_000;

/// The counts of a series, week by week.
#[derive(Default)]
struct Series {
    /// The first day of its first week, where R knows days: it then compares by dates.
    first: Option<Date>,
    counts: Vec<u64>,
}

/// What R said of one week.
struct Said {
    /// The week's place in its series, from 0.
    at: usize,
    /// Its bound; none where R gives none.
    bound: Option<f64>,
    alarm: bool,
    /// Whether the week is known as one of an outbreak.
    outbreak: bool,
}

/// What was said of one week by us.
struct Ours {
    bound: Option<f64>,
    alarm: bool,
}

/// How one method fares over all series.
#[derive(Default)]
struct Agreement {
    weeks: usize,
    missing: usize,
    bounds: usize,
    same_bounds: usize,
    furthest: f64,
    same_alarms: usize,
    alarms: [usize; 2],
    caught: [usize; 2],
    outbreaks: usize,
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("give the folder of the series")?;
    let (series, said) = (series(Path::new(&folder))?, said(Path::new(&folder))?);
    let mut table: BTreeMap<&str, Agreement> = BTreeMap::new();
    for ((name, method), weeks) in &said {
        let series = series.get(name).with_context(|| format!("no series {name}"))?;
        let ours = ours(method, series, weeks)?;
        let agreement = table.entry(method).or_default();
        weeks.iter().for_each(|week| agreement.add(week, ours.get(&week.at)));
    }
    println!(
        "| method | weeks | not judged | alarms equal | bounds equal | furthest bound | alarms, \
         ours and R's | outbreak weeks found, ours and R's |\n|---|---|---|---|---|---|---|---|"
    );
    for (method, one) in &table {
        println!(
            "| {method} | {} | {} | {} | {} of {} | {:.1e} | {} {} | {} {} of {} |",
            one.weeks,
            one.missing,
            one.same_alarms,
            one.same_bounds,
            one.bounds,
            one.furthest,
            one.alarms[0],
            one.alarms[1],
            one.caught[0],
            one.caught[1],
            one.outbreaks
        );
    }
    let differ = table.values().any(|one| one.same_alarms < one.weeks);
    ensure!(!differ, "some alarms differ");
    Ok(())
}

impl Agreement {
    fn add(&mut self, said: &Said, ours: Option<&Ours>) {
        self.weeks += 1;
        self.missing += usize::from(ours.is_none());
        let alarm = ours.is_some_and(|ours| ours.alarm);
        self.same_alarms += usize::from(alarm == said.alarm);
        self.outbreaks += usize::from(said.outbreak);
        for (place, alarm) in [alarm, said.alarm].into_iter().enumerate() {
            self.alarms[place] += usize::from(alarm);
            self.caught[place] += usize::from(alarm && said.outbreak);
        }
        let bounds = ours.and_then(|ours| ours.bound).zip(said.bound);
        if let Some((ours, theirs)) = bounds {
            let apart = (ours - theirs).abs() / theirs.abs().max(1.0);
            self.bounds += 1;
            self.same_bounds += usize::from(apart <= SAME);
            self.furthest = self.furthest.max(apart);
        }
    }
}

/// The weeks of a series as our method of this name judges them, by their places.
fn ours(method: &str, series: &Series, weeks: &[Said]) -> anyhow::Result<BTreeMap<usize, Ours>> {
    let Series { first, counts } = series;
    let by_years = |settings: FarringtonSettings| {
        let calendar = first.map_or(settings.calendar, |first| Calendar::Weeks { first });
        let settings = FarringtonSettings { calendar, ..settings };
        let judged = farrington(&settings, counts).into_iter();
        // With too few cases for any alarm R gives no bound, or 0 for the method of 1996.
        let none = (settings.seasons == 1).then_some(0.0);
        let bound = move |one: Bound| {
            let bound = if one.enough { one.upper } else { none };
            (one.at, Ours { bound, alarm: one.alarm })
        };
        judged.map(bound).collect()
    };
    let by_days = |method, alpha| {
        let judged = ears(&EarsSettings::new(method, alpha), counts).into_iter();
        judged.map(|one| (one.at, Ours { bound: Some(one.upper), alarm: one.alarm })).collect()
    };
    let years = || -> anyhow::Result<usize> {
        let years = method.split_once("_b").and_then(|(_, rest)| rest.split('_').next());
        years.and_then(|years| years.parse().ok()).with_context(|| format!("years of {method}"))
    };
    let flexible =
        |threshold| Ok(by_years(FarringtonSettings::flexible(years()?, threshold, 0.01)));
    match method {
        "earsC1_base7_a0.001" => Ok(by_days(EarsMethod::C1, 0.001)),
        "earsC2_base7_a0.001" => Ok(by_days(EarsMethod::C2, 0.001)),
        "earsC3_base7_a0.025" => Ok(by_days(EarsMethod::C3, 0.025)),
        "cusum_k1.04_h2.26_rossi" => {
            let baseline = weeks.iter().map(|week| week.at).min().unwrap_or(0);
            let judged = cusum(&CusumSettings::new(baseline), counts).into_iter();
            let bound =
                |one: CusumBound| (one.at, Ours { bound: Some(one.upper), alarm: one.alarm });
            Ok(judged.map(bound).collect())
        }
        // R's is two-sided.
        _ if method.starts_with("farrington_") => {
            Ok(by_years(FarringtonSettings::classic(years()?, 0.05 / 2.0)))
        }
        _ if method.contains("_delta_") => flexible(Threshold::Delta),
        _ if method.contains("_nbPlugin_") => flexible(Threshold::NbPlugin),
        _ if method.contains("_muan_") => flexible(Threshold::Muan),
        _ => bail!("{method} is none of ours"),
    }
}

fn series(folder: &Path) -> anyhow::Result<BTreeMap<String, Series>> {
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    each(&folder.join("surveillance_series.csv"), &mut |field| {
        let series = all.entry(field("series")?.to_owned()).or_default();
        let epoch: i32 = field("epoch")?.parse()?;
        if series.counts.is_empty() && epoch >= FIRST_DAY {
            series.first = Some(date(1970, 1, 1).checked_add(epoch.days())?);
        }
        series.counts.push(field("observed")?.parse()?);
        Ok(())
    })?;
    Ok(all)
}

/// What R said, by series and method.
fn said(folder: &Path) -> anyhow::Result<BTreeMap<(String, String), Vec<Said>>> {
    let mut all: BTreeMap<(String, String), Vec<Said>> = BTreeMap::new();
    each(&folder.join("surveillance_alarms.csv"), &mut |field| {
        let key = (field("series")?.to_owned(), field("algorithm")?.to_owned());
        let week: usize = field("t")?.parse()?;
        all.entry(key).or_default().push(Said {
            at: week.checked_sub(1).context("weeks begin at 1")?,
            bound: field("upperbound")?.parse().ok().filter(|bound: &f64| bound.is_finite()),
            alarm: field("alarm")? == "1",
            outbreak: field("state")? == "1",
        });
        Ok(())
    })?;
    Ok(all)
}

/// A field of a row by the name of its column.
type Field<'a> = dyn Fn(&str) -> anyhow::Result<&'a str> + 'a;

/// Gives every row of a file without commas in its fields to `take`.
fn each(file: &Path, take: &mut dyn FnMut(&Field<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("reading {}; is it unpacked?", file.display()))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    for (number, line) in (2..).zip(lines) {
        let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
        let field = |name: &str| {
            let place = header.iter().position(|column| column.trim_matches('"') == name);
            let found = place.and_then(|place| fields.get(place)).copied();
            found.with_context(|| format!("no {name}"))
        };
        take(&field).with_context(|| format!("{}, line {number}", file.display()))?;
    }
    Ok(())
}
