//! Which fault of the engine each promise must notice; how they are run is the harness's business.

use driftline_tests::mutants::{self, Mutant};
use driftline_tests::programs::ADMIN;

/// The program, what it does wrong, and the test that must notice.
const MUTANTS: &[Mutant] = &[
    (ADMIN, "correlate_no_dispersion", "rates::an_interval_holds_the_truth_where_cases_clump"),
    (ADMIN, "correlate_no_controls", "rates::a_rise_for_everybody_is_no_changes_own"),
    (
        ADMIN,
        "correlate_no_multiplicity",
        "contract::q_values_are_no_smaller_than_the_step_up_procedure_has_them",
    ),
    (
        ADMIN,
        "correlate_window_after_looking",
        "rates::p_values_of_shuffled_times_are_no_smaller_than_uniform",
    ),
    (
        ADMIN,
        "correlate_supported_by_q_alone",
        "contract::what_chance_explains_is_not_supported_at_any_q",
    ),
    (ADMIN, "correlate_ignores_clocks", "flags::the_same_clocks_say_the_same_in_any_zone"),
    (
        ADMIN,
        "staged_cohorts_are_drawn",
        "contract::waves_of_few_sites_are_no_less_likely_than_one_of_all_ways",
    ),
    (
        ADMIN,
        "stragglers_stretch_the_reading",
        "files::a_case_years_away_changes_nothing_and_is_told",
    ),
    (
        ADMIN,
        "stragglers_stretch_the_reading",
        "volume::a_lone_case_far_away_makes_no_empty_buckets_and_is_told",
    ),
    (ADMIN, "until_holds_its_own_second", "flags::until_means_what_it_means_elsewhere"),
    (ADMIN, "until_holds_its_own_second", "volume::until_has_one_meaning_in_every_form"),
    (ADMIN, "buckets_begin_in_utc", "volume::a_day_begins_by_the_clock_that_made_it"),
    (ADMIN, "rows_stand_in_memory", "volume::a_long_answer_does_not_stand_in_memory"),
    (ADMIN, "sums_know_no_alpha", "volume::a_sum_alarms_more_where_more_alarms_are_put_up_with"),
];

#[test]
fn every_promise_fails_against_its_mutant() -> anyhow::Result<()> {
    mutants::are_caught(MUTANTS)
}
