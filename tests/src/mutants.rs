//! Who judges the tests: a promise must fail against a program that breaks exactly this promise.
//!
//! A mutant is a name that a program knows only when built with the feature `mutants`, which no
//! release has. Each suite has its own list; this page runs the suite's program again, one test a
//! mutant, with the mutant chosen for the harness. Knows no promise and no mutant by name.

#![allow(clippy::disallowed_types, reason = "the judge starts itself once for each mutant")]
#![allow(clippy::print_stderr, reason = "what was caught is for the terminal")]

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::programs::CHOSEN_MUTANT;

/// A program, what it does wrong, and the test of this suite that must notice.
pub type Mutant = (&'static str, &'static str, &'static str);

/// The folder of the programs that know mutants.
///
/// # Errors
/// When it is not set, with the command that builds them.
pub fn programs() -> anyhow::Result<OsString> {
    std::env::var_os("DRIFTLINE_MUTANT_PROGRAMS")
        .context("DRIFTLINE_MUTANT_PROGRAMS is not set: tests/run mutants")
}

/// Runs the promise of each mutant against it.
///
/// # Errors
/// When one is not noticed, or when a program or a test of this name does not exist.
pub fn are_caught(mutants: &[Mutant]) -> anyhow::Result<()> {
    let folder = programs()?;
    let mut survivors = Vec::new();
    for (program, mutant, promise) in mutants {
        let output = Command::new(std::env::current_exe()?)
            .args([promise, "--exact"])
            .env("DRIFTLINE_PROGRAMS", &folder)
            .env(CHOSEN_MUTANT, format!("{program}:{mutant}"))
            .env("DRIFTLINE_KILLS", "40")
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        // An unknown mutant ends the program at start, which would look like a catch.
        ensure!(!said.contains("unknown mutant"), "{program} does not know {mutant}");
        ensure!(said.contains("running 1 test"), "no test is called {promise}");
        eprintln!("{mutant}: {}", if output.status.success() { "SURVIVED" } else { "caught" });
        if output.status.success() {
            survivors.push(mutant);
        }
    }
    ensure!(survivors.is_empty(), "not noticed: {survivors:?}");
    Ok(())
}
