//! What is repeated, what is refused, what is looked after.

use crate::world::{World, sqlite_and_postgres};
use anyhow::{Context, Result, ensure};
use nexus_contracts::events::{
    Event, InferenceRequested, MessageAccepted, MessageCompleted, MessageFailed, RunCancel,
    ToolRequested,
};
use nexus_contracts::{Envelope, Extra, channels};

sqlite_and_postgres! {
    async fn a_question_with_a_tool_is_answered_once(world: World) -> Result<()> {
        world.submit("q1", "What is 6*7?").await?;
        let asked = world.next(channels::INFERENCE_REQUEST, InferenceRequested::TYPE).await?;
        world.answer_with_tool(&asked).await?;
        let call = world.next(channels::TOOLS_EXECUTE, ToolRequested::TYPE).await?;
        world.tool_returns(&call, "42").await?;
        let again = world.nth(channels::INFERENCE_REQUEST, InferenceRequested::TYPE, 1).await?;
        let request: InferenceRequested = again.decode()?;
        let result = &request.messages.last().context("a result")?.content;
        ensure!(result.contains("42"), "{result}");
        world.answer(&again, "It is 42.").await?;
        let done = world.next(channels::REQUESTS_PROCESSED, MessageCompleted::TYPE).await?;
        let event: MessageCompleted = done.decode()?;
        ensure!(event.text == "It is 42." && event.steps == 2, "{event:?}");
        ensure!(done.correlation_id == asked.correlation_id);
        Ok(())
    }

    async fn the_same_message_again_gets_the_same_outcome(world: World) -> Result<()> {
        world.submit("q1", "hello").await?;
        let asked = world.next(channels::INFERENCE_REQUEST, InferenceRequested::TYPE).await?;
        let accepted = world.next(channels::REQUESTS_PROCESSED, MessageAccepted::TYPE).await?;
        // While it runs: accepted again, asked again, all under the same ids.
        world.submit("q1", "hello").await?;
        let second = world.nth(channels::REQUESTS_PROCESSED, MessageAccepted::TYPE, 1).await?;
        ensure!(second.id == accepted.id && second.payload == accepted.payload);
        // Where the question stands in its conversation does not depend on how often that is told.
        ensure!(second.timestamp == accepted.timestamp);
        let repeated = world.nth(channels::INFERENCE_REQUEST, InferenceRequested::TYPE, 1).await?;
        ensure!(repeated.id == asked.id && repeated.payload == asked.payload);
        // The result twice: one answer, published again under its id.
        world.answer(&asked, "hi").await?;
        let first = world.next(channels::REQUESTS_PROCESSED, MessageCompleted::TYPE).await?;
        world.answer(&asked, "hi").await?;
        let again = world.nth(channels::REQUESTS_PROCESSED, MessageCompleted::TYPE, 1).await?;
        ensure!(again.id == first.id && again.payload == first.payload);
        // After it ended: the stored answer.
        world.submit("q1", "hello").await?;
        let third = world.nth(channels::REQUESTS_PROCESSED, MessageCompleted::TYPE, 2).await?;
        ensure!(third.id == first.id && third.payload == first.payload);
        Ok(())
    }

    // The worker may die between the commit and the publication: whatever a request led to comes
    // again with it, also the end of a run it did not start.
    async fn a_repeated_cancel_tells_again_how_the_run_ended(world: World) -> Result<()> {
        world.submit("q1", "hello").await?;
        let accepted: MessageAccepted = world.answered("", "q1").await?.decode()?;
        let cancel = RunCancel {
            run_id: accepted.run_id,
            conversation_id: accepted.conversation_id,
            extra: Extra::new(),
        };
        world.ask_for("", "stop", &cancel).await?;
        let ended = world.outcome(accepted.run_id).await?;
        ensure!(code(&ended)? == "cancelled");
        world.ask_for("", "stop", &cancel).await?;
        let again = world.nth(channels::REQUESTS_PROCESSED, MessageFailed::TYPE, 1).await?;
        ensure!(again.id == ended.id && again.payload == ended.payload);
        Ok(())
    }

    async fn what_cannot_be_taken_is_answered_with_why(world: World) -> Result<()> {
        world.submit("empty", "  ").await?;
        ensure!(code(&world.nth(channels::REQUESTS_PROCESSED, MessageFailed::TYPE, 0).await?)? == "bad_request");
        let strange = format!("{{\"text\":\"hi\",\"conversation_id\":\"{}\"}}", uuid::Uuid::now_v7());
        world.put("strange", "message.submitted", &strange).await?;
        ensure!(code(&world.nth(channels::REQUESTS_PROCESSED, MessageFailed::TYPE, 1).await?)? == "unknown_conversation");
        world.put("broken", "message.submitted", "{\"text\":").await?;
        ensure!(code(&world.nth(channels::REQUESTS_PROCESSED, MessageFailed::TYPE, 2).await?)? == "bad_request");
        world.put("typo", "message.submited", "{}").await?;
        let failed = world.nth(channels::REQUESTS_PROCESSED, MessageFailed::TYPE, 3).await?;
        let event: MessageFailed = failed.decode()?;
        ensure!(event.detail.contains("message.submited"), "{}", event.detail);
        Ok(())
    }

    async fn an_unanswered_command_is_published_again(world: World) -> Result<()> {
        world.submit("q1", "hello").await?;
        let asked = world.next(channels::INFERENCE_REQUEST, InferenceRequested::TYPE).await?;
        let again = world.nth(channels::INFERENCE_REQUEST, InferenceRequested::TYPE, 1).await?;
        ensure!(again.id == asked.id && again.payload == asked.payload);
        world.answer(&asked, "late but once").await?;
        world.next(channels::REQUESTS_PROCESSED, MessageCompleted::TYPE).await?;
        Ok(())
    }

    async fn a_result_that_cannot_be_read_ends_the_run(world: World) -> Result<()> {
        world.submit("q1", "hello").await?;
        let asked = world.next(channels::INFERENCE_REQUEST, InferenceRequested::TYPE).await?;
        world.garbage_result(&asked).await?;
        let failed = world.next(channels::REQUESTS_PROCESSED, MessageFailed::TYPE).await?;
        ensure!(code(&failed)? == "poisoned");
        Ok(())
    }

    async fn a_restart_goes_on_where_it_was(world: World) -> Result<()> {
        let mut world = world;
        world.submit("q1", "hello").await?;
        let asked = world.next(channels::INFERENCE_REQUEST, InferenceRequested::TYPE).await?;
        world.restart().await?;
        world.answer(&asked, "still here").await?;
        let done = world.next(channels::REQUESTS_PROCESSED, MessageCompleted::TYPE).await?;
        let event: MessageCompleted = done.decode()?;
        ensure!(event.text == "still here");
        Ok(())
    }
}

fn code(failed: &Envelope) -> Result<String> {
    Ok(failed.decode::<MessageFailed>()?.code)
}
