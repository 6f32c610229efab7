//! Which mutant each promise of this suite must fail against; how they are run is the harness's
//! business.

use driftline_tests::mutants::{self, Mutant};
use driftline_tests::programs::{AGENT, AGENT_TESTS, COLLECTOR, LEAK_TESTS, PACKAGING_TESTS};

const MUTANTS: &[Mutant] = &[
    // Invariant 2: only redacted data leaves the host.
    (AGENT, "redact_nothing", "canary::no_planted_secret_is_found_in_any_output"),
    // What a network hands out is nobody's change.
    (AGENT, "networks_configure", "day::a_day_changes_nothing"),
    (AGENT, "leases_are_configured", "day::a_day_changes_nothing"),
    (AGENT, "every_interface_is_the_hosts", "day::a_day_changes_nothing"),
    (AGENT, "chosen_ports_are_told", "day::a_day_changes_nothing"),
    (AGENT, "half_installed_is_installed", "day::a_day_changes_nothing"),
    (AGENT, "jobs_are_containers", "day::a_day_changes_nothing"),
    // What is told of a host is what the programs say that know it best.
    (AGENT, "drop_ins_count_backwards", "units::units_are_those_that_systemctl_shows"),
    (
        AGENT_TESTS,
        "listeners_forget_ipv6",
        "sources::listeners::tests::this_machine_has_the_sockets_that_ss_lists",
    ),
    (
        AGENT_TESTS,
        "interfaces_are_numbers",
        "sources::network::tests::ip_shows_every_interface_and_route_as_we_do",
    ),
    (
        AGENT_TESTS,
        "configured_parameters_run",
        "sources::kernel_policy::tests::sysctl_shows_every_parameter_as_we_do",
    ),
    (
        AGENT_TESTS,
        "certificates_end_a_day_later",
        "sources::certificates::tests::openssl_reads_every_root_as_we_do",
    ),
    (
        AGENT_TESTS,
        "accounts_of_the_system_are_nobody",
        "sources::accounts::tests::accounts_of_this_machine_are_those_that_getent_lists",
    ),
    (
        AGENT_TESTS,
        "versions_lose_their_epoch",
        "sources::packages::tests::this_machine_has_the_packages_that_dpkg_query_lists",
    ),
    (
        AGENT_TESTS,
        "versions_lose_their_epoch",
        "sources::packages::tests::by_rpm::rpm_lists_every_package_as_we_do",
    ),
    (
        AGENT_TESTS,
        "locks_nobody_can_ask_are_free",
        "sources::packages::lock::tests::a_lock_that_cannot_be_asked_is_not_taken_for_a_free_one",
    ),
    (
        AGENT_TESTS,
        "databases_are_opened_by_name",
        "sources::database::tests::a_database_is_read_below_its_root_wherever_its_name_leads",
    ),
    (
        AGENT_TESTS,
        "databases_stand_still",
        "sources::database::tests::what_is_written_while_it_is_read_is_not_told",
    ),
    (
        AGENT_TESTS,
        "times_prove_every_file",
        "sources::look::tests::what_somebody_swaps_without_a_trace_in_its_times_is_told",
    ),
    (
        AGENT_TESTS,
        "views_are_tables",
        "sources::database::tests::only_a_table_of_its_own_pages_is_asked",
    ),
    (AGENT_TESTS, "logged_words_are_lost", "sources::database::tests::sqlite_reads_a_log_as_we_do"),
    (
        AGENT_TESTS,
        "dependencies_are_asked_for",
        "sources::transactions::tests::by_dnf::dnf_tells_every_run_as_we_do",
    ),
    (
        AGENT_TESTS,
        "dependencies_are_asked_for",
        "sources::transactions::tests::by_zypper::zypper_tells_what_rpm_lists_after_each_run",
    ),
    (
        AGENT_TESTS,
        "left_tables_count",
        "sources::cron::tests::run_parts_runs_the_scripts_that_we_say_run",
    ),
    (AGENT, "left_tables_count", "jobs::cron_runs_the_jobs_that_we_tell"),
    (AGENT, "first_policy_counts", "policies::chromium_has_the_policies_that_we_tell"),
    (AGENT_TESTS, "escapes_are_kept", "sources::os::tests::a_shell_reads_every_release_as_we_do"),
    (
        AGENT_TESTS,
        "cut_words_stay",
        "formats::tests::canaries::a_job_too_long_to_be_a_key_ends_within_no_secret",
    ),
    (
        AGENT_TESTS,
        "long_values_are_left",
        "formats::tests::canaries::values_that_reach_over_each_other_are_left_only_so_often",
    ),
    (
        AGENT_TESTS,
        "first_setting_counts",
        "sources::desktop_uc_client::tests::by_clients::linphone_reads_every_setting_as_we_do",
    ),
    (
        AGENT_TESTS,
        "escapes_are_kept",
        "sources::desktop_uc_client::tests::by_clients::qt_reads_every_setting_of_zoom_as_we_do",
    ),
    (
        AGENT_TESTS,
        "comments_begin_anywhere",
        "sources::audio::tests::by_pipewire::pipewire_reads_every_configuration_as_we_do",
    ),
    (
        AGENT_TESTS,
        "snippets_are_not_read",
        "sources::directory::tests::by_sssd::sssd_reads_every_setting_as_we_do",
    ),
    (
        AGENT_TESTS,
        "last_server_is_all",
        "sources::directory::tests::by_libkrb5::libkrb5_reads_every_setting_as_we_do",
    ),
    (
        AGENT_TESTS,
        "running_rules_have_no_order",
        "sources::firewall::tests::running_rules_are_those_that_nft_lists",
    ),
    (AGENT, "devices_share_their_rights", "units::units_are_those_that_systemctl_shows"),
    (
        AGENT_TESTS,
        "links_enable_nothing",
        "sources::services::tests::enablement_is_what_systemctl_says_of_a_tree",
    ),
    (
        AGENT_TESTS,
        "mounts_have_no_options_of_their_own",
        "sources::kernel_policy::tests::findmnt_shows_every_mount_as_we_do",
    ),
    (
        AGENT_TESTS,
        "last_setting_counts",
        "sources::login_policy::tests::sshd_reads_every_keyword_as_we_do",
    ),
    (
        AGENT_TESTS,
        "tags_end_with_their_command",
        "formats::sudoers::oracle::sudo_reads_every_text_as_we_do",
    ),
    // A source has a label of its own wherever it is counted.
    (
        PACKAGING_TESTS,
        "sources_are_forgotten",
        "the_collector_knows_every_source_of_an_agent_by_name_and_no_other",
    ),
    (
        AGENT_TESTS,
        "other_databases_are_empty",
        "sources::packages::tests::packages_that_no_library_reads_are_unobserved_and_not_absent",
    ),
    (
        AGENT_TESTS,
        "other_databases_are_empty",
        "sources::containers::tests::a_database_that_is_none_is_unobserved_and_not_empty",
    ),
    (
        AGENT_TESTS,
        "jobs_are_containers",
        "sources::containers::tests::containers_of_podman_are_told_and_jobs_are_not",
    ),
    (
        AGENT_TESTS,
        "other_databases_are_empty",
        "sources::containers::tests::containerd::\
            a_database_of_containerd_that_is_not_understood_is_unobserved_and_not_absent",
    ),
    (
        AGENT_TESTS,
        "jobs_are_containers",
        "sources::containers::tests::containerd::\
            containers_of_containerd_are_told_and_jobs_and_pods_are_not",
    ),
    (
        AGENT_TESTS,
        "ports_are_bound_everywhere",
        "sources::containers::oracle::docker_shows_every_container_that_it_made_as_we_do",
    ),
    (
        AGENT_TESTS,
        "binds_are_writable",
        "sources::containers::oracle::containerd_shows_every_container_that_it_made_as_we_do",
    ),
    (
        AGENT_TESTS,
        "nameless_containers_are_gone",
        "sources::containers::tests::\
            a_document_that_is_none_is_unobserved_under_its_name_and_not_under_its_id",
    ),
    (
        AGENT_TESTS,
        "unread_accounts_are_gone",
        "sources::containers::tests::\
            accounts_and_containers_beyond_the_bounds_are_unobserved_and_not_gone",
    ),
    (
        AGENT_TESTS,
        "unread_accounts_are_gone",
        "sources::local_accounts::tests::of_whom_nothing_is_known_nothing_is_gone",
    ),
    (
        AGENT_TESTS,
        "malformed_lines_are_nobodys",
        "sources::local_accounts::tests::of_whom_nothing_is_known_nothing_is_gone",
    ),
    (
        AGENT_TESTS,
        "malformed_lines_are_nobodys",
        "sources::local_accounts::tests::an_owner_is_compared_where_the_table_tells_who_it_is",
    ),
    (
        AGENT_TESTS,
        "anybody_leads_home",
        "sources::local_accounts::tests::nobody_but_root_leads_to_what_is_roots",
    ),
    (
        AGENT_TESTS,
        "homes_have_no_fence",
        "sources::accounts::tests::no_link_out_of_a_home_is_told_as_keys_of_its_owner",
    ),
    (
        AGENT_TESTS,
        "homes_have_no_fence",
        "sources::containers::tests::what_an_account_links_to_is_not_told_as_its_own",
    ),
    (
        AGENT_TESTS,
        "homes_have_no_fence",
        "sources::desktop_uc_client::tests::no_link_out_of_a_home_is_told_as_its_owners",
    ),
    (
        AGENT_TESTS,
        "homes_are_wherever_they_lead",
        "sources::containers::tests::homes::\
            a_home_that_is_neither_the_accounts_nor_roots_is_not_looked_into",
    ),
    (
        AGENT_TESTS,
        "images_hide_containers",
        "sources::containers::tests::containerd::nothing_that_an_image_says_hides_its_container",
    ),
    (
        AGENT_TESTS,
        "databases_without_end",
        "sources::containers::tests::pages_that_many_containers_name_are_bounded_together",
    ),
    // What a run brought, and nothing beside it.
    (
        COLLECTOR,
        "runs_explain_whatever_they_name",
        "runs::what_a_run_left_is_expected_and_an_edit_beside_it_is_not",
    ),
    (
        COLLECTOR,
        "runs_come_too_late",
        "runs::what_a_run_left_is_expected_and_an_edit_beside_it_is_not",
    ),
    (
        COLLECTOR,
        "decisions_are_routine",
        "runs::a_package_that_was_asked_for_names_who_and_one_that_it_needed_is_expected",
    ),
    // A run changed what it says, as far as its bytes say so.
    (
        AGENT_TESTS,
        "runs_left_whatever_is_there",
        "sources::transactions::tests::puppet::\
            a_file_is_as_the_run_left_it_only_where_its_bytes_say_so",
    ),
    (
        AGENT_TESTS,
        "noop_runs_change",
        "sources::transactions::tests::puppet::\
            a_file_is_as_the_run_left_it_only_where_its_bytes_say_so",
    ),
    (AGENT_TESTS, "commands_are_keys", "sources::check::every_source_of_unix_passes_every_check"),
    (
        AGENT_TESTS,
        "passwords_of_accounts_are_told",
        "sources::files::tests::canaries::no_secret_of_a_file_that_servers_keep_leaves",
    ),
    // Secrets of every source, on the trees that the sources are checked with.
    (AGENT_TESTS, "redact_nothing", "sources::check::every_source_of_unix_passes_every_check"),
    (AGENT_TESTS, "redact_nothing", "sources::check::every_source_of_windows_passes_every_check"),
    (
        AGENT_TESTS,
        "budgets_without_end",
        "budget::tests::a_pass_that_grows_or_works_too_much_is_stopped",
    ),
    // What somebody else writes costs no more than a part may hold.
    (
        AGENT_TESTS,
        "parts_without_end",
        "sources::accounts::tests::keys_beyond_the_bound_of_a_part_are_not_collected",
    ),
    (
        AGENT_TESTS,
        "parts_without_end",
        "formats::tests::crontab::a_table_beyond_the_bound_of_a_part_is_not_collected",
    ),
    (
        AGENT_TESTS,
        "names_without_end",
        "formats::tests::work::\
            no_name_is_taken_more_often_than_its_bound_whatever_stands_below_it",
    ),
    // Nothing a collector says ends an agent or mutes it.
    (
        AGENT_TESTS,
        "any_token_is_taken",
        "transport::tests::a_token_that_no_request_can_carry_is_not_kept",
    ),
    (
        AGENT_TESTS,
        "collectors_write_the_log",
        "transport::client::tests::what_a_refusal_says_is_cut_and_shows_every_character",
    ),
    (
        AGENT_TESTS,
        "whoever_answers_is_the_collector",
        "transport::exchange::tests::over_plain_http_no_refusal_is_answered_with_the_secret",
    ),
    (
        AGENT_TESTS,
        "whoever_says_so_makes_copies",
        "transport::exchange::tests::over_plain_http_nobody_makes_a_copy_of_a_host_by_saying_so",
    ),
    // Nothing waits for the hourly pass.
    (
        AGENT_TESTS,
        "watched_only_at_the_start",
        "run::tests::a_key_in_a_home_that_a_reading_found_is_seen_without_a_rescan",
    ),
    (
        AGENT_TESTS,
        "peoples_groups_are_walked",
        "sources::listeners::tests::no_groups_of_a_person_have_his_ports_told",
    ),
    // An agent at rest is small.
    (
        AGENT_TESTS,
        "freed_memory_is_kept",
        "run::heap::tests::what_small_passes_leave_is_kept_and_what_a_large_one_leaves_is_not",
    ),
    (
        AGENT_TESTS,
        "delivered_memory_is_kept",
        "run::heap::tests::what_was_on_its_way_when_a_pass_ended_is_given_back",
    ),
    // A pass that is settled by a sum misses nothing.
    (
        AGENT_TESTS,
        "nothing_is_missed",
        "assemble::tests::what_was_heard_before_the_first_difference_is_accounted_for",
    ),
    // Many passes leave nothing behind.
    (LEAK_TESTS, "files_stay_open", "many_passes_leave_nothing_behind"),
    (LEAK_TESTS, "passes_are_remembered", "many_passes_leave_nothing_behind"),
];

#[test]
fn every_promise_fails_against_its_mutant() -> anyhow::Result<()> {
    // Without root the promises try nothing, and every mutant would look like one that survives.
    if !super::is_root("mutants")? {
        return Ok(());
    }
    mutants::are_caught(MUTANTS)
}
