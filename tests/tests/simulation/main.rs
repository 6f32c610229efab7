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
mod collector;
mod fleet;
mod reading;

use driftline_tests::programs::count;
use driftline_tests::simulation::plan::{Size, plan};
use driftline_tests::simulation::score::Score;
use driftline_tests::simulation::truth::Noise;

/// The bar of precision and recall, for each class.
const BAR: f64 = 0.95;

/// The most things a day for a person to look at.
const THINGS_A_DAY: f64 = 15.0;

/// Runs the worlds the environment asks for.
fn run(size: Size, seeds: u64) -> Score {
    let number = |name: &str, default: u64| count(name, default).unwrap();
    let size = Size {
        hosts: number("DRIFTLINE_FLEET_HOSTS", size.hosts as u64) as usize,
        days: number("DRIFTLINE_FLEET_DAYS", size.days as u64) as i64,
    };
    let first = number("DRIFTLINE_SEED", 4_217);
    let mut score = Score::default();
    for seed in first..first + number("DRIFTLINE_FLEET_SEEDS", seeds) {
        eprintln!("DRIFTLINE_SEED={seed}, {} hosts over {} days", size.hosts, size.days);
        score.add(fleet::run(plan(size, seed)).unwrap());
    }
    eprintln!("{}", score.text());
    score
}

#[test]
fn the_worlds_bars() {
    let score = run(Size { hosts: 60, days: 14 }, 1);
    let missed = score.missed(BAR, THINGS_A_DAY);
    eprintln!("missed: {missed:#?}");
    assert_eq!(score.noise_findings(Noise::Cosmetic), 0);
}
