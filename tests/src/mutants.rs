//! Who judges the tests: a promise must fail against a program that breaks exactly this promise.
//!
//! A mutant is a name that a program knows only when built with the feature `mutants`, which no
//! release has. Each suite has its own list; this page runs the suite's program again, one test a
//! mutant, with the mutant chosen for the harness. Knows no promise and no mutant by name.

#![allow(clippy::disallowed_types, reason = "the judge starts itself once for each mutant")]
#![allow(clippy::print_stderr, reason = "what was caught is for the terminal")]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::programs::{AGENT_TESTS, CHOSEN_MUTANT, LEAK_TESTS, LIBRARY, MUTANT, PACKAGING_TESTS};

/// A program, or [`LIBRARY`], what it does wrong, and the test of this suite that must notice; or a
/// program of tests, and the test of its own.
pub type Mutant = (&'static str, &'static str, &'static str);

/// The folder of the programs that know mutants.
///
/// # Errors
/// When it is not set, with the command that builds them.
pub fn programs() -> anyhow::Result<OsString> {
    std::env::var_os("DRIFTLINE_MUTANT_PROGRAMS")
        .context("DRIFTLINE_MUTANT_PROGRAMS is not set: tests/run mutants")
}

/// How many promises are tried at once. Most of their time is waiting for what never comes: three
/// at once used a fifth of two cores.
const AT_ONCE: usize = 6;

/// Runs the promise of each mutant against it, some at a time.
///
/// # Errors
/// When one is not noticed, or when a program or a test of this name does not exist.
pub fn are_caught(mutants: &[Mutant]) -> anyhow::Result<()> {
    let folder = programs()?;
    let next = AtomicUsize::new(0);
    let try_some = || -> anyhow::Result<Vec<&str>> {
        let mut survivors = Vec::new();
        while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !is_caught(mutant, &folder)? {
                survivors.push(mutant.1);
            }
        }
        Ok(survivors)
    };
    let found: Vec<anyhow::Result<Vec<&str>>> = std::thread::scope(|scope| {
        let trying: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(try_some)).collect();
        trying.into_iter().map(|one| one.join().expect("no thread of the judge panics")).collect()
    });
    let survivors: Vec<&str> =
        found.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect();
    ensure!(survivors.is_empty(), "not noticed: {survivors:?}");
    Ok(())
}

/// Whether the promise fails against the mutant.
fn is_caught((program, mutant, promise): &Mutant, folder: &OsStr) -> anyhow::Result<bool> {
    let began = Instant::now();
    let is_tests = [AGENT_TESTS, LEAK_TESTS, PACKAGING_TESTS].contains(program);
    let tests = if is_tests { Path::new(folder).join(program) } else { std::env::current_exe()? };
    let mut command = Command::new(&tests);
    if is_tests || *program == LIBRARY {
        command.env(MUTANT, mutant);
    }
    let output = command
        .args([promise, "--exact"])
        .env("DRIFTLINE_PROGRAMS", folder)
        .env(CHOSEN_MUTANT, format!("{program}:{mutant}"))
        .env("DRIFTLINE_KILLS", "40")
        .output()
        .with_context(|| format!("starting {}", tests.display()))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // An unknown mutant ends the program at start, which would look like a catch.
    ensure!(!said.contains("unknown mutant"), "{program} does not know {mutant}");
    ensure!(said.contains("running 1 test"), "no test is called {promise}");
    let caught = !output.status.success();
    let word = if caught { "caught" } else { "SURVIVED" };
    eprintln!("{mutant}: {word} in {} s", began.elapsed().as_secs());
    Ok(caught)
}
