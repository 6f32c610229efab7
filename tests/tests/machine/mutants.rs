//! Which mutant each promise of this suite must fail against; how they are run is the harness's
//! business.

use driftline_tests::mutants::{self, Mutant};
use driftline_tests::programs::AGENT;

const MUTANTS: &[Mutant] = &[
    // Invariant 2: only redacted data leaves the host.
    (AGENT, "redact_nothing", "canary::no_planted_secret_is_found_in_any_output"),
    // What a network hands out is nobody's change.
    (AGENT, "networks_configure", "day::a_day_changes_nothing"),
];

#[test]
fn every_promise_fails_against_its_mutant() -> anyhow::Result<()> {
    // Without root the promises try nothing, and every mutant would look like one that survives.
    if !super::is_root("mutants")? {
        return Ok(());
    }
    mutants::are_caught(MUTANTS)
}
