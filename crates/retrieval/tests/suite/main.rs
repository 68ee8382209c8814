//! What retrieval promises, each on every database.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that finds less than it should fails there"
)]

mod chroma;
mod documents;
mod embedders;
mod erasure;
mod fixture;
mod labelled;
mod memory;
mod older;
mod privacy;
mod replicas;
mod spaces;
mod tenancy;
mod vectors;
mod versions;

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
    documents:
        the_same_again_changes_nothing_and_a_change_replaces
        a_citation_leads_to_where_it_is_from
        a_search_keeps_to_its_collections
        lists_have_pages
        too_much_is_refused_and_says_what_helps
        any_text_is_taken;
    tenancy:
        another_organisation_finds_nothing
        what_is_somebodys_own_is_nobody_elses
        what_others_have_changes_no_score;
    vectors:
        without_an_embedder_it_says_so
        an_embedder_that_fails_costs_nothing_but_meaning
        vectors_of_another_model_are_never_compared
        vectors_that_cannot_be_used_are_not
        backfill_keeps_to_its_budget;
    memory:
        the_same_is_remembered_once
        it_is_recalled_by_nobody_else
        it_is_listed_and_forgotten
        a_deleted_conversation_leaves_what_was_learnt
        too_much_is_refused;
    privacy:
        a_conversation_finds_nothing_stricter
        what_is_stricter_shows_in_nothing_but_that_it_is_there
        each_text_is_embedded_under_its_own_privacy
        a_model_for_each_privacy_is_made_up_for_once
        what_must_stay_here_waits_for_somebody_here
        what_is_said_again_more_openly_is_kept_beside_it
        a_right_guess_changes_nothing_that_a_guess_does_not
        what_the_database_says_counts;
    versions:
        a_document_is_as_private_as_its_last_version
        a_document_that_is_sent_again_is_opened_only_when_asked
        what_becomes_stricter_meanwhile_stays_so
        what_is_kept_apart_is_replaced_by_none_but_its_own;
    older:
        rows_that_say_no_privacy_are_read_strictly
        a_memory_is_known_by_the_name_it_had;
    erasure:
        no_byte_of_what_was_deleted_is_left
        a_person_is_erased_whole
        an_organisation_is_erased_whole;
    replicas:
        what_one_writes_the_other_finds
        many_that_write_at_once_lose_nothing
        indexes_that_do_not_fit_are_loaded_again;
    spaces:
        what_is_kept_while_a_space_is_dropped_is_told_again
        whoever_fails_while_a_space_is_dropped_loses_nothing
        an_old_space_goes_though_some_texts_have_nobody;
}
