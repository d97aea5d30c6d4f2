//! Risks of running untrusted components, pitfalls of fair draws, and the tests of each.
//!
//! The named tests must exist, so the lists cannot become outdated.

use crate::named_tests;

/// Risks with their tests: a file and a test name. A file is in the host crate unless it begins with `it`,
/// `ledger`, `server` or `plugins`.
const RISKS: &str = "
# an endless loop
tests/limits.rs fuel_ends_at_what_a_call_needs
tests/limits.rs fuel_ends_at_the_limit_of_its_class
it/hostile.rs a_call_uses_no_more_fuel_than_granted
tests/limits.rs call_that_reaches_its_deadline_is_no_outcome
it/hostile.rs endless_loops_and_unbounded_growth_are_stopped

# an endless start function
tests/check.rs start_function_is_bounded_like_any_other
tests/check.rs plugin_that_cannot_describe_itself_is_rejected

# deep recursion
tests/limits.rs recursion_without_end_is_no_outcome
it/hostile.rs a_stack_overflow_is_no_outcome_and_leaves_the_key_free

# growth of memory, and of two memories at once
tests/limits.rs memory_grows_to_its_limit_and_not_beyond
tests/limits.rs memory_begins_within_its_limit
tests/limits.rs memories_are_two_at_most
tests/abuse.rs two_memories_are_each_bounded

# growth of tables, and tables that begin huge
tests/limits.rs table_grows_to_its_limit_and_not_beyond
tests/limits.rs tables_begin_within_their_limits

# huge texts that are returned or handed over
tests/limits.rs one_host_call_copies_up_to_its_limit
tests/results.rs reply_ends_at_its_limit
tests/results.rs decline_ends_at_its_limits

# a million empty texts
tests/abuse.rs reply_of_nothing_but_empty_texts_ends_at_its_limit
tests/log.rs log_ends_at_its_lines_and_counts_dropped_ones

# texts that are not UTF-8, and pointers past the end of memory
tests/import_operands.rs every_import_accepts_valid_operands
tests/import_operands.rs every_import_rejects_a_text_that_is_not_utf8
tests/import_operands.rs every_import_rejects_a_text_past_the_end_of_memory
tests/import_operands.rs every_import_rejects_an_invalid_result_pointer
tests/results.rs text_outside_of_memory_is_a_fault
tests/results.rs text_that_is_not_utf8_is_a_fault
tests/results.rs result_outside_of_memory_or_misaligned_is_a_fault

# an allocator that returns wrong addresses, or calls the host
tests/results.rs invalid_allocation_is_a_fault
tests/results.rs guest_cannot_call_imports_while_the_host_writes_into_its_memory

# floods of log lines and of terminal codes
tests/abuse.rs flood_of_terminal_codes_is_cut_and_escaped
tests/log.rs log_ends_at_its_bytes
tests/log.rs flood_of_log_lines_uses_up_the_fuel
tests/log.rs log_lines_have_a_level_and_no_control_characters
it/terminal_output.rs a_flood_in_a_text_log_is_limited_counted_and_escaped
it/terminal_output.rs no_command_prints_terminal_control_characters

# ten million cheap imports
tests/abuse.rs ten_million_cheap_requests_use_up_the_fuel
tests/requests.rs counts_end_at_their_limits

# a component that is expensive to compile
it/compile_limits.rs a_component_that_compiles_slowly_delays_only_its_own_upload
it/uploads.rs eight_uploads_wait_for_the_compiler_and_another_is_refused
tests/sizes.rs sizes_end_at_their_limits
tests/sizes.rs counts_of_a_module_end_at_their_limits
tests/sizes.rs blocks_within_blocks_end_at_their_limit

# components within components, and instances without number
tests/sizes.rs components_within_components_end_at_their_limit
tests/sizes.rs ten_thousand_instances_of_one_module_are_too_many
tests/sizes.rs instances_that_double_with_each_component_are_counted_before_instantiation
tests/sizes.rs types_within_types_end_before_the_stack_does

# machine code that was forged or altered
compile/cache.rs altered_or_swapped_code_is_not_returned
tests/loading.rs altered_code_in_the_cache_is_compiled_again
it/uploads.rs code_that_was_altered_on_disk_is_recompiled_at_the_next_start
tests/check.rs upload_that_is_no_component_is_identified

# machine code of another engine
tests/loading.rs code_of_another_engine_is_compiled_again

# a panic of the host within an import
tests/abuse.rs panic_of_the_host_within_an_import_ends_only_its_own_call
server/service/workers/tests.rs a_panic_ends_only_its_own_job

# data of another call
tests/abuse.rs nothing_of_one_call_is_left_for_the_next_guest
tests/limits.rs nothing_of_a_call_is_left_for_the_next

# a clock to measure the machine with
tests/abuse.rs time_does_not_pass_within_a_call

# partial effects
it/hostile.rs a_plugin_that_traps_moves_nothing
it/soak.rs all_attacks_at_once_leave_books_and_memory_unchanged

# invalid amounts
tests/requests.rs amounts_are_whole_numbers_from_1_to_the_maximum
tests/results.rs reply_with_a_whole_number_that_is_not_exact_is_a_fault

# an earlier contract that bypasses grants
it/compat.rs a_component_of_the_first_contract_moves_nothing_that_is_not_granted
it/compat.rs a_component_of_the_second_contract_moves_nothing_that_is_not_granted
tests/contract.rs imports_are_of_the_version_of_the_handler

# a check of configurations that calls the host, loops, floods or writes control characters
tests/configuration.rs a_check_cannot_use_imports
tests/configuration.rs a_fault_in_a_check_rejects_the_configuration
tests/configuration.rs findings_and_needs_end_at_their_limits
tests/configuration.rs texts_of_a_finding_end_at_their_limit
tests/configuration.rs unprintable_characters_of_a_finding_are_escaped
it/configurations.rs a_malicious_check_refuses_only_its_own_configuration

# grants that grow with a new version
ledger/puts.rs another_component_starts_without_grants
it/hostile.rs grants_can_narrow_the_requested_permissions_and_never_widen_them

# money and balances of other accounts
ledger/calls.rs grants_allow_the_accounts_that_they_name
ledger/calls.rs missing_grant_hides_whether_an_account_exists
it/hostile.rs requests_without_a_grant_are_refused_during_the_call
it/hostile.rs a_call_can_be_made_only_for_an_existing_member
it/hostile.rs spend_limits_of_the_caller_and_the_operator_both_apply

# another draw after a loss
it/fair_faults.rs a_plugin_that_traps_after_losing_is_recorded_and_disabled
it/fair_faults.rs a_deadline_after_a_draw_burns_the_nonce_and_the_same_key_draws_the_same

# differences between runs and between machines
tests/abuse.rs not_a_number_has_the_same_bits_in_every_run
tests/limits.rs fuel_is_the_same_number_in_every_run
tests/limits.rs same_call_is_the_same_on_another_host

# ids that imitate others
tests/manifests.rs id_is_one_segment
tests/sizes.rs name_of_a_function_is_escaped
tests/results.rs text_of_a_fault_is_short_and_escaped

# schemas that expand without end
tests/schemas.rs recursive_schema_is_rejected
tests/schemas.rs parts_end_at_their_limit_with_references_expanded
tests/schemas.rs depth_ends_at_its_limit_with_references_expanded
tests/schemas.rs steps_of_a_value_end_at_their_limit
tests/manifests.rs matching_a_pattern_always_ends

# one plugin that uses all resources
it/hostile.rs calls_beyond_the_queue_bounds_are_refused_and_leave_their_key_free
it/hostile.rs workers_serve_economies_in_turn
it/hostile.rs one_plugin_cannot_use_all_call_slots_of_its_economy
tests/limits.rs call_without_a_free_instance_slot_is_no_outcome

# texts in other encodings, and async functions
tests/sizes.rs strings_must_be_utf8
tests/sizes.rs async_functions_are_rejected
tests/results.rs post_return_function_is_bounded_too

# fuel prices that change
tests/limits.rs fuel_of_known_calls_is_unchanged

# random bytes
tests/fuzz.rs damaged_component_never_makes_the_check_panic
it/compile_limits.rs damaged_components_pass_through_the_compiler_without_leaking_memory
";

/// Pitfalls of fair draws with their tests, in the format of [`RISKS`].
const PITFALLS: &str = "
# small numbers that are more likely because a word is reduced modulo the range
ledger/draws.rs words_that_would_bias_a_draw_are_skipped
ledger/draws.rs a_die_is_uniform
ledger/draws.rs each_card_of_a_shuffle_is_first_equally_often

# an operator who chooses both seeds
ledger/nonces.rs a_client_seed_counts_as_the_members_own_after_the_commitment
it/fair.rs a_client_seed_counts_as_the_members_own_until_the_next_commitment

# a next seed that is committed to only after the client seed is known
it/fair.rs a_seed_is_committed_to_before_its_draws_and_matches_when_revealed
it/seeds.rs a_seed_stays_hidden_until_the_hand_dealt_from_it_is_over

# a loss that is aborted and drawn again
it/fair_faults.rs a_plugin_that_traps_after_losing_is_recorded_and_disabled
it/fair_faults.rs a_plugin_that_declines_after_losing_is_recorded_and_disabled
it/fair_faults.rs a_plugin_that_loops_after_losing_is_recorded_and_disabled
it/fair_faults.rs a_plugin_that_overflows_its_stack_after_losing_is_recorded_and_disabled
it/fair_faults.rs a_deadline_after_a_draw_burns_the_nonce_and_the_same_key_draws_the_same
it/fair_kills.rs every_nonce_is_accounted_for_after_kills_between_draw_and_commit
ledger/fair.rs an_aborted_call_gets_the_same_draws_again_under_its_key
ledger/nonces.rs nonces_are_used_once_in_order_and_gaps_are_burned

# a bet that is valid only if it is won
it/fair.rs a_member_without_funds_draws_nothing
it/fair.rs an_empty_spend_limit_draws_nothing
it/coinflip.rs a_bank_that_cannot_pay_a_win_takes_no_bet
it/coinflip.rs an_account_at_its_ceiling_cannot_bet

# a conflict that draws again
it/conflicts.rs a_call_that_conflicts_in_every_attempt_is_given_up_and_moves_nothing
ledger/fair.rs a_member_who_has_spent_the_stake_meanwhile_is_refused_and_the_nonce_is_used_up

# a seed that is revealed while a hand is open
it/seeds.rs a_seed_stays_hidden_until_the_hand_dealt_from_it_is_over
ledger/nonces.rs a_seed_stays_hidden_while_a_game_is_open_that_has_drawn_from_it
ledger/nonces.rs a_hold_from_before_the_first_draw_hides_the_seed_too

# a seed that is used too long, or never revealed
server/service/seeds.rs seeds_are_rotated_after_a_number_of_draws_or_a_period
it/seeds.rs a_seed_in_use_for_thirty_days_is_rotated_and_revealed_automatically

# draws in an unrecorded order
ledger/draws.rs call_numbers_its_draws_from_zero
ledger/nonces.rs draws_of_all_kinds_are_repeated_with_the_mixed_text
it/receipts.rs every_change_of_a_receipt_is_detected

# another plugin that interprets a draw differently
ledger/draws.rs any_other_input_gives_other_draws
ledger/draws.rs draws_are_the_same_for_ever
it/replay.rs replay_against_another_component_shows_the_differences

# a plugin or a member that sees a draw before its bet
it/fair.rs a_preview_uses_and_reveals_no_nonce
it/coinflip.rs a_preview_of_a_flip_does_not_reveal_the_flip
ledger/draws.rs a_seed_is_text_and_never_printed

# a round of several members in which one of them, or the operator, chooses the result
plugins/lottery/src/round.rs the_mixed_text_depends_on_every_buyer
it/schedules.rs a_lottery_draws_once_when_due_and_the_winner_claims
";

/// Checks that every entry has tests and that they exist. Returns the number of entries and of tests.
fn check_tests(list: &str) -> (usize, usize) {
    let mut risks = 0;
    let mut shown = 0;
    for section in list.split("\n# ").skip(1) {
        let (risk, lines) = section.split_once('\n').unwrap();
        let lines = lines.lines().filter(|line| !line.is_empty());
        let before = shown;
        for line in lines {
            let (file, name) = line.split_once(' ').unwrap();
            let path = match file.split_once('/') {
                Some(("it", _)) => format!("tests/{file}"),
                Some(("plugins", _)) => file.to_owned(),
                Some(("ledger", file)) => format!("engine/ledger/src/tests/{file}"),
                Some(("server", file)) => format!("engine/server/src/{file}"),
                _ => format!("engine/host/src/{file}"),
            };
            named_tests::find(&path, name).unwrap_or_else(|wrong| panic!("{risk}: {wrong}"));
            shown += 1;
        }
        assert!(shown > before, "{risk}: no test");
        risks += 1;
    }
    (risks, shown)
}

#[test]
fn every_risk_has_existing_tests() {
    let (risks, shown) = check_tests(RISKS);
    assert!(risks >= 30 && shown >= 60, "{shown} tests of {risks} risks");
}

#[test]
fn every_pitfall_of_fair_draws_has_existing_tests() {
    let (pitfalls, _) = check_tests(PITFALLS);
    assert!(pitfalls >= 11, "{pitfalls} pitfalls");
}
