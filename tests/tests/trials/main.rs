//! What is promised of `driftline correlate`, asked of the program itself: files in, NDJSON out.
//!
//! Streams and truths are the simulator's (`driftline_tests::trials`); the seed is one for all
//! runs, because a share has a spread and a test that fails by chance teaches people to run it
//! again. Other seeds and a real stream are for `benches/run trials`. `DRIFTLINE_SEED` tries
//! another one here.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and its numbers are for the terminal"
)]

mod contract;
mod files;
mod flags;
#[cfg(feature = "mutants")]
mod mutants;
mod properties;
mod rates;
mod volume;

use std::collections::BTreeMap;

use driftline_tests::programs;
use driftline_tests::trials::answer::Program;
use driftline_tests::trials::plan::{self, Design, Trial, World};
use driftline_tests::trials::stream::{Change, Stream, changes_csv};
use driftline_tests::trials::synthetic::{ALL, Shape};
use serde_json::Value;

/// The seed of this run.
fn seed() -> u64 {
    let seed = programs::count("DRIFTLINE_SEED", 2_024).unwrap();
    eprintln!("DRIFTLINE_SEED={seed}");
    seed
}

/// A shape by its name, small enough for a debug build.
fn shape(name: &str, services: usize) -> Shape {
    let shape = ALL.iter().find(|shape| shape.name == name).unwrap().clone();
    Shape { services, weekly: shape.weekly * 0.6, weeks: 9, ..shape }
}

/// One file of a design in a small world of this shape.
fn trial(name: &str, services: usize, design: Design) -> Trial {
    plan::trial(&World::Made(shape(name, services)), design, seed(), 0).unwrap()
}

/// The changes of a trial.
fn changes(trial: &Trial) -> Vec<Change> {
    trial.planted.iter().map(|planted| planted.change.clone()).collect()
}

/// What is said about `changes` beside `stream`, by id.
fn said(stream: &Stream, changes: &[Change]) -> BTreeMap<String, Value> {
    said_of(&stream.csv(), &changes_csv(stream, changes), &[])
}

/// What is said about these files, by id.
fn said_of(cases: &str, changes: &str, more: &[&str]) -> BTreeMap<String, Value> {
    let ran = Program::built().unwrap().correlate(cases, changes, more).unwrap();
    let id = |value: Value| (value["id"].as_str().unwrap().to_string(), value);
    ran.objects().unwrap().into_iter().map(id).collect()
}

/// How far two numbers may be apart that are sums in another order.
const TOLERANCE: f64 = 1e-9;

/// That two answers say the same, to the last field.
#[track_caller]
fn assert_same(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) {
    assert!(!before.is_empty());
    let mut differences = Vec::new();
    for (id, value) in before {
        let other = after.get(id).unwrap_or(&Value::Null);
        for (name, field) in value.as_object().unwrap() {
            if !is_same(field, &other[name]) {
                differences.push(format!("{id}.{name}: {field} became {}", other[name]));
            }
        }
    }
    assert_eq!(before.len(), after.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn is_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
        _ => match (a.as_object(), b.as_object()) {
            (Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| is_same(v, w)))
            }
            _ => a == b,
        },
    }
}
