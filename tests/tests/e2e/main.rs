//! What is promised, asked of the real programs: one test a promise, judged by lists of our own.
//!
//! Run with `cargo build --workspace --bins` done. Counts and seeds come from the environment and
//! are printed, so that a failure can be had again.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and its numbers are for the terminal"
)]

mod agreed;
mod alert;
mod bad_input;
mod budget;
mod cases;
mod disk;
mod durable;
mod entry;
mod errors;
mod forms;
mod git;
mod identity;
mod impact;
mod import;
mod intake;
mod intent;
mod kamailio;
mod killing;
mod led_to;
#[cfg(feature = "mutants")]
mod mutants;
mod portal;
mod probes;
mod quiet;
mod rules;
mod secrets;
mod told;
mod voice;

use std::path::{Path, PathBuf};

use driftline_tests::fleet::Fleet;
use driftline_tests::programs;

/// The name every one-host test gives its host.
const HOST: &str = "judge";

/// A tree with `etc/app.conf` in it, inside `folder`.
fn small_tree(folder: &Path) -> anyhow::Result<PathBuf> {
    let root = folder.join("root");
    std::fs::create_dir_all(root.join("etc"))?;
    std::fs::write(root.join("etc/app.conf"), "first = marker-first\n")?;
    Ok(root)
}

/// A collector and one agent over a small tree, the first snapshot arrived.
fn one_host() -> anyhow::Result<(Fleet, PathBuf)> {
    let mut fleet = Fleet::start()?;
    let root = small_tree(fleet.folder())?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    Ok((fleet, root))
}

/// The seed of this run: given, or from the clock; printed either way.
fn seed(test: &str) -> anyhow::Result<u64> {
    let clock = u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    let seed = programs::count("DRIFTLINE_SEED", clock)?;
    eprintln!("{test}: DRIFTLINE_SEED={seed}");
    Ok(seed)
}
