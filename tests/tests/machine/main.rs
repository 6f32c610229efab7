//! A second judge, written from the specification alone: the real programs in a private tree.
//!
//! The agent runs in a mount namespace of its own in which `/etc` (and what else a test names) is a
//! folder of the test, so that formats claim files by their real paths and the machine stays as it
//! is. That needs root; without it each test says so and tries nothing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and its numbers are for the terminal"
)]

mod apply;
mod canary;
mod day;
mod disks;
mod jobs;
#[cfg(feature = "mutants")]
mod mutants;
mod operation;
mod packages;
mod pair;
mod policies;
mod quiet;
mod runs;
mod units;
mod unsynced;

use driftline_tests::process::run;

/// Whether this is root; says so if not, since a test that tries nothing must not look like one
/// that does.
fn is_root(test: &str) -> anyhow::Result<bool> {
    let root = run("id", &["-u"])?.trim() == "0";
    if !root {
        eprintln!("{test}: not root, so no mount namespace; nothing was tried");
    }
    Ok(root)
}

/// The seed of this run: given, or from the clock; printed either way.
fn seed(test: &str) -> anyhow::Result<u64> {
    let clock = u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    let seed = driftline_tests::programs::count("DRIFTLINE_SEED", clock)?;
    eprintln!("{test}: DRIFTLINE_SEED={seed}");
    Ok(seed)
}
