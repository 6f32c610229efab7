//! Which fault of the collector each promise must notice; how they are run is the harness's
//! business.

use driftline_tests::mutants::{self, Mutant};
use driftline_tests::programs::LIBRARY;

/// What is driven, what it does wrong, and the test that must notice.
const MUTANTS: [Mutant; 4] = [
    (LIBRARY, "recast_is_a_change", "what_is_read_otherwise_is_no_change"),
    (LIBRARY, "requests_cover_everything", "a_request_speaks_of_what_it_names"),
    (LIBRARY, "packages_explain_nothing", "what_packages_bring_is_nobodys_deed"),
    (LIBRARY, "nobody_is_next", "chain::what_nobody_acknowledges_goes_to_the_next_after_its_time"),
];

#[test]
fn every_promise_fails_against_its_mutant() -> anyhow::Result<()> {
    mutants::are_caught(&MUTANTS)
}
