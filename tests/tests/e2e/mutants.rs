//! Who judges the tests: each promise must fail against a program that breaks exactly this promise.
//!
//! A mutant is a name that a program knows only when built with the feature `mutants`, which no
//! release has. This test runs its own program again, one test a mutant, with the mutant chosen for
//! the harness.

#![allow(clippy::disallowed_types, reason = "the judge starts itself once for each mutant")]

use std::process::Command;

use driftline_tests::programs::CHOSEN_MUTANT;

/// A program, what it does wrong, and the test that must notice.
const MUTANTS: [(&str, &str, &str); 16] = [
    // Invariant 5: acknowledge only after durable.
    (
        COLLECTOR,
        "acknowledge_before_commit",
        "killing::nothing_observed_is_lost_by_killing_either_side",
    ),
    (COLLECTOR, "apply_known_generation_again", "killing::a_version_sent_twice_is_one_change"),
    (
        AGENT,
        "forget_version_before_acknowledgement",
        "killing::nothing_observed_is_lost_by_killing_either_side",
    ),
    (AGENT, "keep_spool_in_memory", "disk::what_was_seen_while_the_collector_was_away_arrives"),
    // Invariant 1: unobserved is not absent.
    (AGENT, "denied_is_empty", "bad_input::a_denied_file_is_unobserved_not_gone"),
    (AGENT, "too_large_is_absent", "quiet::a_file_that_cannot_be_read_is_neither_gone_nor_changed"),
    // Invariant 3: cosmetic is not drift.
    (
        COLLECTOR,
        "cosmetic_is_modified",
        "git::a_comment_is_cosmetic_and_order_counts_only_where_it_means_something",
    ),
    (
        AGENT,
        "order_always_counts",
        "git::a_comment_is_cosmetic_and_order_counts_only_where_it_means_something",
    ),
    // Invariant 12: a restart is a new look at the same thing.
    (AGENT, "forget_state_at_start", "quiet::a_restart_of_either_side_changes_nothing"),
    (COLLECTOR, "count_from_zero_at_start", "quiet::a_restart_of_either_side_changes_nothing"),
    // Invariant 7: everything is bounded.
    (
        COLLECTOR,
        "decompress_without_bound",
        "bad_input::a_bomb_is_refused_and_the_collector_stays_small",
    ),
    (
        AGENT,
        "open_whatever_is_there",
        "bad_input::what_is_no_ordinary_file_neither_blocks_nor_grows",
    ),
    // Identity.
    (COLLECTOR, "believe_the_body_not_the_token", "identity::a_stolen_id_is_refused"),
    (COLLECTOR, "ignore_sessions", "identity::a_clone_is_told_and_both_are_known"),
    (AGENT, "ignore_epoch", "identity::a_restored_collector_learns_what_it_lost"),
    // Alerts carry evidence.
    (
        COLLECTOR,
        "no_portal_address",
        "alert::a_saved_file_moves_the_counter_and_wakes_somebody_with_the_link",
    ),
];

const AGENT: &str = driftline_tests::programs::AGENT;
const COLLECTOR: &str = driftline_tests::programs::COLLECTOR;

#[test]
fn every_promise_fails_against_its_mutant() -> anyhow::Result<()> {
    let programs = std::env::var_os("DRIFTLINE_MUTANT_PROGRAMS").ok_or_else(|| {
        anyhow::anyhow!("DRIFTLINE_MUTANT_PROGRAMS is not set: tests/run mutants")
    })?;
    let mut survivors = Vec::new();
    for (program, mutant, promise) in MUTANTS {
        let output = Command::new(std::env::current_exe()?)
            .args([promise, "--exact"])
            .env("DRIFTLINE_PROGRAMS", &programs)
            .env(CHOSEN_MUTANT, format!("{program}:{mutant}"))
            .env("DRIFTLINE_KILLS", "40")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        // An unknown mutant ends the program at start, which would look like a catch.
        anyhow::ensure!(!said.contains("unknown mutant"), "{program} does not know {mutant}");
        anyhow::ensure!(said.contains("running 1 test"), "no test is called {promise}");
        eprintln!("{mutant}: {}", if output.status.success() { "SURVIVED" } else { "caught" });
        if output.status.success() {
            survivors.push(mutant);
        }
    }
    anyhow::ensure!(survivors.is_empty(), "not noticed: {survivors:?}");
    Ok(())
}
