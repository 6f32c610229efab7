//! Which mutant each promise of this suite must fail against; how they are run is the harness's
//! business.

#![allow(clippy::disallowed_types, reason = "the judge asks the programs for a mutant")]

use std::process::Command;

use driftline_tests::mutants::{self, Mutant};
use driftline_tests::programs::MUTANT;

/// A program, what it does wrong, and the test that must notice.
const MUTANTS: &[Mutant] = &[
    // Invariant 5: acknowledge only after durable.
    (
        COLLECTOR,
        "acknowledge_before_commit",
        "durable::what_was_acknowledged_outlives_a_kill_in_that_moment",
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
    (
        COLLECTOR,
        "rules_take_unread_for_absent",
        "rules::a_rule_judges_what_was_read_and_nothing_else",
    ),
    (
        COLLECTOR,
        "discrepancies_take_unread_for_absent",
        "kamailio::what_runs_is_held_against_what_is_written",
    ),
    // A call's path, from outside.
    (AGENT, "every_code_is_ok", "probes::options_tell_code_loss_and_round_trip"),
    (AGENT, "domains_have_no_services", "probes::the_servers_of_a_domain_are_those_that_dns_names"),
    (
        AGENT,
        "certificates_never_end",
        "kamailio::a_certificate_that_has_ended_is_told_until_a_renewed_one_is_in_force",
    ),
    // An exception ends when it says.
    (COLLECTOR, "exceptions_never_expire", "rules::an_exception_is_over_when_it_says"),
    (
        COLLECTOR,
        "old_places_are_watched",
        "rules::a_folder_of_packs_that_a_reload_names_is_watched_from_then_on",
    ),
    // The portal needs nobody else.
    (COLLECTOR, "pages_ask_elsewhere", "portal::every_page_can_be_read_and_asks_nobody_else"),
    // What ends by itself is told in time.
    (COLLECTOR, "time_stands_still", "rules::what_runs_out_is_told_when_its_day_comes"),
    // What was meant by a change.
    (COLLECTOR, "every_request_is_approved", "intent::a_request_nobody_approved_expects_nothing"),
    (COLLECTOR, "lost_hosts_are_all", "intent::a_request_that_lost_its_hosts_covers_nothing"),
    (COLLECTOR, "last_days_do_not_count", "intent::a_request_that_ends_on_a_day_covers_that_day"),
    (COLLECTOR, "absent_limits_are_empty", "intent::a_request_that_lost_its_files_covers_nothing"),
    (COLLECTOR, "blackouts_do_not_count", "intent::a_blackout_counts_before_a_request"),
    (
        COLLECTOR,
        "one_turn_is_flapping",
        "intent::a_value_that_came_back_once_is_reverted_and_not_yet_noise",
    ),
    (
        COLLECTOR,
        "drift_is_always_loud",
        "intent::drift_asks_for_a_person_only_where_nobody_meant_it",
    ),
    (
        COLLECTOR,
        "unauthorised_is_for_the_record",
        "intent::configuration_that_nobody_approved_is_a_warning_until_somebody_does",
    ),
    (
        COLLECTOR,
        "old_intent_explains_new_drift",
        "intent::drift_asks_for_a_person_only_where_nobody_meant_it",
    ),
    (COLLECTOR, "deeds_are_nobodys", "intent::who_permits_a_change_or_makes_a_token_is_named"),
    (COLLECTOR, "token_replaces_unasked", "intent::who_permits_a_change_or_makes_a_token_is_named"),
    (
        COLLECTOR,
        "names_on_their_way_are_free",
        "intent::of_those_who_take_a_name_at_once_one_has_it",
    ),
    (
        COLLECTOR,
        "requests_wait_for_nobody",
        "intent::what_the_log_tells_of_a_request_follows_from_what_it_told_before",
    ),
    (COLLECTOR, "lists_cover_every_kind", "intent::a_list_leaves_out_what_it_names"),
    // What people are told.
    (
        COLLECTOR,
        "overview_counts_what_is_quiet",
        "told::overview_and_command_count_the_same_findings_and_say_which_are_quiet",
    ),
    (
        COLLECTOR,
        "refused_reloads_are_only_logged",
        "told::a_configuration_that_is_not_in_use_is_told_by_doctor_and_overview",
    ),
    (
        COLLECTOR,
        "approvals_name_no_scope",
        "told::an_approval_says_of_what_alone_and_a_group_where_it_does_not_count",
    ),
    // Who is let in.
    (
        COLLECTOR,
        "tokens_end_untold",
        "entry::what_lets_somebody_in_is_told_two_weeks_before_its_end",
    ),
    (
        COLLECTOR,
        "refused_enrolments_are_untold",
        "entry::a_refused_enrolment_is_told_where_people_look_and_a_flood_of_them_once",
    ),
    (
        COLLECTOR,
        "every_refusal_is_logged",
        "entry::a_refused_enrolment_is_told_where_people_look_and_a_flood_of_them_once",
    ),
    (COLLECTOR, "nobody_sleeps", "entry::a_host_that_sleeps_is_stale_and_in_nobodys_way"),
    (
        COLLECTOR,
        "names_are_taken_in_silence",
        "entry::a_host_set_up_anew_is_told_by_both_sides_to_have_another_name",
    ),
    // What was agreed.
    (
        COLLECTOR,
        "groups_agree_to_nothing",
        "agreed::a_new_host_is_held_to_the_baseline_of_its_group_at_once",
    ),
    (
        COLLECTOR,
        "exempt_keys_are_compared",
        "agreed::a_new_host_is_held_to_the_baseline_of_its_group_at_once",
    ),
    (
        COLLECTOR,
        "acceptance_takes_the_whole_part",
        "agreed::who_accepts_one_item_accepts_nothing_else",
    ),
    (
        COLLECTOR,
        "form_errors_lose_what_was_typed",
        "forms::a_slip_in_a_form_is_told_on_the_page_and_loses_nothing_that_was_typed",
    ),
    (
        COLLECTOR,
        "form_errors_lose_what_was_typed",
        "forms::an_exception_is_made_and_ended_on_its_page",
    ),
    (
        COLLECTOR,
        "accepts_what_nobody_read",
        "agreed::who_accepts_a_finding_accepts_what_was_read_of_it",
    ),
    (
        COLLECTOR,
        "exceptions_permit_any_value",
        "agreed::an_accepted_exception_permits_what_was_read_and_nothing_else",
    ),
    (
        COLLECTOR,
        "requests_take_later_changes",
        "led_to::who_approves_a_request_approves_nothing_that_came_after_it",
    ),
    (
        COLLECTOR,
        "rollouts_take_later_changes",
        "led_to::who_approves_a_rollout_approves_nothing_that_came_after_it",
    ),
    (
        COLLECTOR,
        "removed_baselines_bind",
        "agreed::a_baseline_that_was_removed_binds_nobody_and_says_who_did_it",
    ),
    // An alert finds who answers for it.
    (COLLECTOR, "everything_is_nobodys", "alert::an_alert_names_who_answers_for_it"),
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
    (
        AGENT,
        "budgets_without_end",
        "budget::a_source_over_its_budget_is_stopped_named_and_takes_nothing_away",
    ),
    // Invariant 2: only redacted data leaves the host.
    (AGENT, "redact_nothing", "secrets::a_password_stays_on_its_host"),
    // A change is seen when it happens.
    (AGENT, "deaf_watcher", "alert::every_save_reaches_the_metrics"),
    // Identity.
    (COLLECTOR, "believe_the_body_not_the_token", "identity::a_stolen_id_is_refused"),
    (COLLECTOR, "ignore_sessions", "identity::a_clone_is_told_and_both_are_known"),
    (AGENT, "ignore_epoch", "identity::a_restored_collector_learns_what_it_lost"),
    // Cases beside changes.
    (
        COLLECTOR,
        "unread_sources_hold_all",
        "intake::a_source_never_read_to_its_end_keeps_no_other_from_being_heard",
    ),
    (
        COLLECTOR,
        "case_words_are_shared",
        "intake::what_one_source_makes_up_leaves_another_its_words",
    ),
    (
        COLLECTOR,
        "empty_lists_make_sources",
        "intake::an_empty_list_under_a_mistyped_name_makes_no_source",
    ),
    (COLLECTOR, "people_stay_in_cases", "intake::people_and_secrets_stay_out_of_cases"),
    (
        COLLECTOR,
        "partial_read_is_whole",
        "cases::what_was_read_in_part_is_not_held_against_anything",
    ),
    (
        COLLECTOR,
        "central_hosts_serve_their_own_site",
        "cases::a_central_host_is_tried_against_the_sites_it_serves",
    ),
    (COLLECTOR, "every_change_is_supported", "cases::the_same_rise_everywhere_is_nobodys"),
    (COLLECTOR, "correlate_no_controls", "cases::the_same_rise_everywhere_is_nobodys"),
    // Alerts carry evidence.
    (
        COLLECTOR,
        "heirs_of_heirs_are_forgotten",
        "impact::a_change_in_a_template_or_define_says_where_it_is_felt",
    ),
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
    mutants::are_caught(MUTANTS)
}

/// Otherwise a misspelt mutant would look like one that is noticed.
#[test]
fn a_program_refuses_a_mutant_it_does_not_know() -> anyhow::Result<()> {
    let programs = mutants::programs()?;
    for program in [AGENT, COLLECTOR] {
        let output = Command::new(std::path::Path::new(&programs).join(program))
            .args(["check-config", "--config", "/dev/null"])
            .env(MUTANT, "no_such_mutant")
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        anyhow::ensure!(!output.status.success(), "{program} took a mutant that there is not");
        anyhow::ensure!(said.contains("unknown mutant no_such_mutant"), "{program}: {said}");
    }
    Ok(())
}
