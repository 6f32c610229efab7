//! What a change means, asked of a fleet whose truth is known: 2,000 hosts over 90 days by hand, a
//! small one each time.
//!
//! The truth is the simulator's (`driftline_tests::simulation`), written from the specification.
//! Hosts are read by the agent's own formats and redactor, and reported as the protocol says;
//! the collector is its own library on a store on disk, driven through the door its writer uses
//! (`Ingest`, `judge`, `judge_again`), because that door takes the clock as a value and the
//! program's does not.
//!
//! `DRIFTLINE_FLEET_HOSTS`, `DRIFTLINE_FLEET_DAYS`, `DRIFTLINE_FLEET_SEEDS` (how many worlds) and
//! `DRIFTLINE_SEED` (the first one) make another run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and its numbers are for the terminal"
)]

mod agent;
mod chain;
mod collector;
mod conffiles;
mod cost;
mod fleet;
#[cfg(feature = "mutants")]
mod mutants;
mod noise;
mod reading;
mod small;

use std::sync::OnceLock;

use driftline_tests::programs::count;
use driftline_tests::simulation::plan::{Size, plan};
use driftline_tests::simulation::score::{CLASSES, Score};
use driftline_tests::simulation::truth::Noise;
use driftline_tests::trials::measure::Share;

/// The bar of precision and recall, for each class.
const BAR: f64 = 0.95;

/// The most things a day for a person to look at.
const THINGS_A_DAY: f64 = 15.0;

/// What each test sees of the worlds the environment asks for; six small ones by default, whose
/// seeds are the same for all runs, since a share has a spread.
fn score() -> &'static Score {
    static SCORE: OnceLock<Score> = OnceLock::new();
    SCORE.get_or_init(|| {
        #[cfg(feature = "mutants")]
        driftline_protocol::mutant::check().unwrap();
        let number = |name: &str, default: u64| count(name, default).unwrap();
        let size = Size {
            hosts: usize::try_from(number("DRIFTLINE_FLEET_HOSTS", 60)).unwrap(),
            days: i64::try_from(number("DRIFTLINE_FLEET_DAYS", 14)).unwrap(),
        };
        let first = number("DRIFTLINE_SEED", 4_217);
        let mut score = Score::default();
        for seed in first..first + number("DRIFTLINE_FLEET_SEEDS", 6) {
            eprintln!("DRIFTLINE_SEED={seed}, {} hosts over {} days", size.hosts, size.days);
            score.add(fleet::run(plan(size, seed)).unwrap());
        }
        eprintln!("{}", score.text());
        eprintln!("missed: {:#?}", score.missed(BAR, THINGS_A_DAY));
        score
    })
}

#[track_caller]
fn reaches(share: Share, what: &str) {
    assert!(share.of > 0, "there is no {what}");
    assert!(share.value() >= BAR, "{what}: {}", share.text());
}

#[test]
fn what_is_of_a_class_is_said_to_be() {
    for class in CLASSES {
        reaches(score().recall(class), class);
    }
}

#[test]
fn what_is_said_to_be_of_a_class_is() {
    for class in CLASSES {
        reaches(score().precision(class), class);
    }
}

#[test]
fn what_is_read_otherwise_is_no_change() {
    let read = |story: &str| story.starts_with("a newer reader");
    reaches(score().told(read), "newer reader");
    assert_eq!(score().noise_findings(Noise::Recast), 0);
}

#[test]
fn a_request_speaks_of_what_it_names() {
    reaches(score().recall("out_of_scope"), "out of scope");
    reaches(score().precision("expected"), "expected");
}

#[test]
fn what_packages_bring_is_nobodys_deed() {
    reaches(score().told(|story| story == "packages brought up to date"), "package");
    reaches(score().told(|story| story == "a package brings its file"), "package's file");
}

#[test]
fn what_runs_bring_is_nobodys_deed() {
    reaches(score().told(|story| story.starts_with("a run ")), "run");
    reaches(score().told(|story| story.starts_with("what a run brings")), "run told otherwise");
    reaches(score().told(|story| story.starts_with("what succeeded of")), "run that failed");
}

#[test]
fn a_hand_beside_a_run_is_a_hand() {
    let hand = |story: &str| {
        story.starts_with("an edit of what a run")
            || story.starts_with("an edit beside")
            || story.starts_with("an edit seen with")
            || story.starts_with("an edit while a run")
            || story.starts_with("a mode set by hand")
    };
    reaches(score().told(hand), "edit by hand about a run");
    reaches(score().told(|story| story.contains("next run puts back")), "edit put back");
}

#[test]
fn what_nobody_decided_is_told_from_what_somebody_did() {
    let needed =
        |story: &str| story.starts_with("what a package") || story.starts_with("what pack");
    reaches(score().told(needed), "package that another needs");
    let asked = |story: &str| {
        story.starts_with("a package that an admin") || story.starts_with("a package whose")
    };
    reaches(score().told(asked), "package that somebody asked for");
    reaches(score().told(|story| story.contains("past apt")), "package past apt");
}

#[test]
fn noise_opens_no_finding() {
    for noise in Noise::ALL {
        assert_eq!(score().noise_findings(noise), 0, "{}", noise.as_str());
    }
}

#[test]
fn every_change_is_somebodys() {
    assert!(score().strays.is_empty(), "{:?}", score().strays.first());
}

#[test]
fn a_day_has_few_things_to_look_at() {
    assert!(score().things_a_day() <= THINGS_A_DAY, "{}", score().things_a_day());
}
