//! The store's properties, each on every database.

mod crash;
mod durability;
mod erasure;
mod fixture;
mod ledger;
mod memory;
mod migrations;
mod poison;
mod postgres;
mod roles;
mod tenancy;
mod transactions;
mod ways;

/// Makes a test of every case on every database.
macro_rules! on_every_database {
    ($($room:ident: $($case:ident)*;)*) => {
        mod sqlite {
            $(mod $room { $(
                #[tokio::test]
                async fn $case() -> anyhow::Result<()> {
                    crate::$room::$case(&crate::fixture::Fixture::sqlite()?).await
                }
            )* })*
        }
        mod postgresql {
            $(mod $room { $(
                #[tokio::test]
                async fn $case() -> anyhow::Result<()> {
                    crate::$room::$case(&crate::fixture::Fixture::postgres().await?).await
                }
            )* })*
        }
    };
}

on_every_database! {
    transactions:
        a_dropped_transaction_leaves_nothing
        a_committed_one_is_there_after_reopening
        a_cancelled_begin_leaves_no_transaction_open
        statements_must_bind_their_organisation
        one_commit_holds_many_organisations
        a_read_transaction_sees_one_state_and_cannot_write
        writers_do_not_lose_each_others_updates
        many_rows_go_in_few_statements
        errors_say_what_helps
        a_closed_store_says_so;
    ways:
        what_waits_goes_with_the_next_statement_or_the_commit
        whoever_was_overtaken_commits_nothing
        questions_asked_together_are_answered_apart;
    migrations:
        opening_again_changes_nothing
        new_migrations_are_added_to_old_ones
        a_changed_migration_is_refused
        a_newer_database_is_refused
        a_failing_migration_leaves_nothing
        replicas_may_open_at_once
        numbers_must_follow_each_other
        a_migration_sees_the_rows_of_every_organisation;
    ledger:
        the_first_claim_runs_and_the_result_is_repeated
        while_somebody_is_at_it_others_hear_busy
        a_lease_that_ends_runs_again_unless_at_most_once
        a_heartbeat_keeps_a_claim
        a_stale_worker_cannot_store
        a_released_claim_runs_again_at_once
        organisations_do_not_share_effects
        pruning_forgets_what_is_over
        a_hundred_claims_of_one_effect_run_once
        two_replicas_never_both_run
        a_caller_that_went_away_leaves_no_claim
        a_result_too_large_is_refused_alone;
    erasure:
        results_are_gone_and_stay_gone
        who_is_at_it_loses_its_claim
        a_command_that_comes_later_finds_it_gone
        an_erasure_and_claims_at_once_leave_nothing
        no_byte_of_a_result_is_left;
    memory:
        what_is_kept_is_found_until_its_time_is_over
        what_is_over_makes_room_and_nothing_else_does
        an_effect_is_nobodys_memory
        organisations_do_not_share_memories
        it_goes_with_what_it_is_about
        of_many_at_once_one_is_kept
        what_is_too_large_is_refused;
    tenancy:
        another_organisation_reaches_nothing
        nobody_reaches_nothing
        one_transaction_goes_from_one_to_the_other
        organisations_are_listed_once_they_have_rows
        statements_of_two_organisations_may_be_asked_at_once;
    durability:
        every_kind_keeps_what_was_committed;
    crash:
        a_killed_worker_leaves_what_its_classes_promise;
}
