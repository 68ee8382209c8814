//! The HTTP interface over an embedded bus, with an orchestrator that does what its message says.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod events;
#[cfg(test)]
mod forgetting;
#[cfg(test)]
mod messages;
mod node;
mod orchestrator;
mod puppet;
#[cfg(test)]
mod republication;

/// Makes a test of every case on every database.
macro_rules! on_every_database {
    ($($room:ident: $($case:ident)*;)*) => {
        mod sqlite {
            $(mod $room { $(
                #[tokio::test]
                async fn $case() -> anyhow::Result<()> {
                    crate::$room::$case(crate::node::Place::sqlite()?.start().await?).await
                }
            )* })*
        }
        mod postgresql {
            $(mod $room { $(
                #[tokio::test]
                async fn $case() -> anyhow::Result<()> {
                    crate::$room::$case(crate::node::Place::postgres().await?.start().await?).await
                }
            )* })*
        }
    };
}

on_every_database! {
    messages:
        a_message_is_stored_answered_and_confirmed
        the_first_end_of_a_run_stays
        an_idempotency_key_stands_for_one_message
        what_is_wrong_is_refused_before_it_is_stored
        a_message_that_is_no_longer_wanted_is_cancelled_once
        a_conversation_nobody_knows_is_the_orchestrators_to_refuse
        nobody_elses_message_can_be_seen;
    republication:
        a_message_nobody_answers_is_published_again
        messages_of_a_conversation_keep_their_order
        what_was_unanswered_when_the_process_ended_is_published_after_it_starts
        a_bus_that_lost_everything_loses_no_message;
    approvals:
        a_tool_call_waits_until_a_person_decides
        a_decision_is_made_once
        an_approval_of_another_adapter_can_be_decided_here
        nobody_else_can_decide
        open_approvals_come_page_by_page
        what_is_wrong_with_a_decision_is_said;
    conversations:
        title_and_settings_are_changed
        a_conversation_nobody_knows_cannot_be_changed
        a_command_nobody_answers_is_kept_and_can_be_asked_about
        a_command_is_no_message_and_nobody_elses
        a_branch_is_a_conversation_of_its_own
        a_branch_waits_for_what_was_said_before_in_both
        a_document_opens_a_conversation
        an_idempotency_key_stands_for_one_command;
    erasure:
        a_deleted_conversation_leaves_nothing
        what_was_deleted_does_not_come_back
        every_fact_about_a_conversation_is_confirmed
        a_reader_of_what_is_deleted_hears_an_end;
    forgetting:
        what_has_ended_is_forgotten_after_a_while
        what_goes_on_is_not_forgotten;
}

/// Cases that have little to do with the store, on one database.
mod once {
    macro_rules! once {
        ($($room:ident: $($case:ident)*;)*) => {
            $(mod $room { $(
                #[tokio::test]
                async fn $case() -> anyhow::Result<()> {
                    crate::$room::$case(crate::node::Place::sqlite()?.start().await?).await
                }
            )* })*
        };
    }

    once! {
        messages:
            a_failure_says_why
            an_unknown_message_is_404_everywhere
            waiting_ends_with_the_time_given
            the_interface_describes_itself;
        events:
            everything_is_reported_and_adds_up_to_the_answer
            wherever_a_reader_resumes_it_shows_the_same
            without_live_reports_the_store_tells_the_end
            after_a_restart_of_everything_the_text_is_the_same
            a_reader_that_waits_hears_an_end_the_live_stream_lost
            a_tool_call_that_waits_is_shown_once_live_or_not
            an_event_that_is_none_is_refused;
        conversations:
            what_is_wrong_with_a_branch_is_said;
    }
}
