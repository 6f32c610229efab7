//! Which fault of the collector each promise must notice; how they are run is the harness's
//! business.

use driftline_tests::mutants::{self, Mutant};
use driftline_tests::programs::LIBRARY;

/// What is driven, what it does wrong, and the test that must notice.
const MUTANTS: &[Mutant] = &[
    (LIBRARY, "recast_is_a_change", "what_is_read_otherwise_is_no_change"),
    (LIBRARY, "requests_cover_everything", "a_request_speaks_of_what_it_names"),
    (LIBRARY, "packages_explain_nothing", "what_packages_bring_is_nobodys_deed"),
    (LIBRARY, "nobody_is_next", "chain::what_nobody_acknowledges_goes_to_the_next_after_its_time"),
    (LIBRARY, "permitted_take_places", "chain::what_is_permitted_takes_nobodys_place"),
    (LIBRARY, "assignments_move_nothing", "chain::who_was_given_a_finding_answers_for_it"),
    (LIBRARY, "every_pass_reads_everything", "cost::a_pass_reads_what_is_new"),
    (LIBRARY, "first_due_always_first", "cost::each_drift_that_is_due_has_its_turn"),
    (LIBRARY, "one_source_takes_all", "cost::a_loud_source_pushes_no_other_out"),
    (LIBRARY, "lists_are_cut_before_they_are_sorted", "cost::the_worst_come_first_however_old"),
    (LIBRARY, "acknowledged_for_ever", "noise::a_finding_that_opens_anew_is_nobodys_again"),
    (LIBRARY, "notes_take_all_lines", "noise::notes_leave_room_for_acts"),
    (LIBRARY, "flapping_needs_no_time", "noise::ten_turns_in_an_hour_are_no_noise"),
    (LIBRARY, "noise_is_never_told", "noise::noise_without_an_end_is_told"),
    (
        LIBRARY,
        "later_intent_explains_old_drift",
        "noise::a_later_window_does_not_make_an_old_drift_meant",
    ),
    (LIBRARY, "windows_programs_are_dpkgs", "noise::programs_of_windows_are_not_dpkgs"),
    (
        LIBRARY,
        "unapproved_emergencies_are_quiet",
        "noise::an_emergency_that_nobody_approves_ends_in_a_question",
    ),
    (
        LIBRARY,
        "emergencies_claim_patching",
        "noise::an_emergency_of_a_host_takes_nothing_from_a_package",
    ),
    (
        LIBRARY,
        "conffile_is_expected_whatever_its_bytes",
        "conffiles::a_hand_that_edits_while_dpkg_works_is_not_dpkgs",
    ),
    (
        LIBRARY,
        "reversals_are_of_whole_values",
        "noise::an_edit_is_taken_back_though_a_package_wrote_another_line_meanwhile",
    ),
    (LIBRARY, "blindness_is_not_told", "noise::what_was_seen_and_is_not_any_more_is_told"),
];

#[test]
fn every_promise_fails_against_its_mutant() -> anyhow::Result<()> {
    mutants::are_caught(MUTANTS)
}
