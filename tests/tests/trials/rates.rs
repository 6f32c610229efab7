//! How often the engine is wrong, on streams of unlike shapes. A bar fails when even the friendly
//! end of the interval is past it; the full trials are held to the bar itself.

use driftline_tests::trials::answer::Program;
use driftline_tests::trials::campaign::{self, Files};
use driftline_tests::trials::measure::{Share, excess_allowed, excess_over_uniform};
use driftline_tests::trials::outcome::Outcome;
use driftline_tests::trials::plan::{Design, World};
use driftline_tests::trials::report::Report;
use driftline_tests::trials::truth::Truth;

use super::{seed, shape};

/// Services of a stream, each of them a trial.
const SERVICES: usize = 14;
const ROUGH: [&str; 3] = ["shocks", "storms", "trend"];
const EVERY: [&str; 7] =
    ["office", "shocks", "storms", "few sites", "many sites", "night shift", "trend"];

fn tried(shapes: &[&str], files: Files) -> Vec<Outcome> {
    let program = Program::built().unwrap();
    let mut outcomes = Vec::new();
    for name in shapes {
        let world = World::Made(shape(name, SERVICES));
        let these = campaign::run(&world, &program, &[files], seed()).unwrap();
        let small = Share::of(these.iter().map(Outcome::is_small));
        eprintln!("{name}, {:?}: p <= .05 in {}", files.0, small.text());
        outcomes.extend(these);
    }
    outcomes
}

#[track_caller]
fn at_most(share: Share, bar: f64) {
    assert!(share.of >= 10, "{} are too few to say anything", share.of);
    assert!(share.interval().0 <= bar, "{} is past {bar}", share.text());
}

#[track_caller]
fn at_least(share: Share, bar: f64) {
    assert!(share.of >= 30, "{} are too few to say anything", share.of);
    assert!(share.interval().1 >= bar, "{} does not reach {bar}", share.text());
}

#[test]
fn with_nothing_there_few_p_values_are_small() {
    let outcomes = tried(&EVERY, (Design::Each(Truth::Nothing), 2));
    at_most(Report(&outcomes).small(Truth::Nothing), 0.065);
}

#[test]
fn a_rise_for_everybody_is_no_changes_own() {
    let outcomes = tried(&EVERY, (Design::Each(Truth::RiseForAll), 2));
    at_most(Report(&outcomes).small(Truth::RiseForAll), 0.09);
    let supported = outcomes.iter().map(|outcome| outcome.has_tier("supported"));
    at_most(Share::of(supported), 0.05);
}

#[test]
fn a_region_that_no_change_touched_supports_none() {
    let outcomes = tried(&["office", "night shift"], (Design::Each(Truth::RegionApart), 2));
    at_most(Share::of(outcomes.iter().map(Outcome::is_small)), 0.065);
    at_most(Share::of(outcomes.iter().map(|outcome| outcome.has_tier("supported"))), 0.05);
}

#[test]
fn p_values_of_shuffled_times_are_no_smaller_than_uniform() {
    let outcomes = tried(&["night shift", "storms", "shocks"], (Design::Shuffled, 5));
    let p_values: Vec<f64> = outcomes.iter().map(Outcome::p).collect();
    let (excess, allowed) = (excess_over_uniform(&p_values), excess_allowed(p_values.len()));
    assert!(excess <= allowed, "{excess} above uniform, {allowed} allowed");
}

#[test]
fn few_claims_are_false_and_effects_are_found() {
    let outcomes = tried(&["office", "shocks", "trend"], (Design::Mix, 3));
    let report = Report(&outcomes);
    at_most(report.false_claims(), 0.12);
    at_least(report.recall(), 0.30);
    assert!(report.area() >= 0.80, "area {}", report.area());
}

#[test]
fn of_ten_changes_the_true_one_is_mostly_first() {
    let outcomes = tried(&["office", "many sites"], (Design::Ten, 20));
    at_least(Report(&outcomes).first(), 0.70);
}

#[test]
fn a_large_effect_in_many_cases_is_seen() {
    let outcomes = tried(&["office", "night shift"], (Design::Each(Truth::Effect), 4));
    let large = |o: &&Outcome| o.planted.ratio >= 3.0 && o.planted.expected >= 20.0;
    let seen = Share::of(outcomes.iter().filter(large).map(Outcome::is_small));
    assert!(seen.of >= 8 && seen.value() >= 0.8, "{}", seen.text());
}

#[test]
fn an_interval_holds_the_truth_where_cases_clump() {
    let outcomes = tried(&ROUGH, (Design::Each(Truth::Nothing), 4));
    at_least(Share::of(outcomes.iter().filter_map(Outcome::covers)), 0.92);
}
