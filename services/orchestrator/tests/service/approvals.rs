//! Tool calls that wait for a person, over restarts and from another device.

use anyhow::{Context, Result, ensure};
use nexus_contracts::events::{
    ApprovalDecided, ApprovalRequested, ConversationConfigure, Decision, Event, MessageAccepted,
    MessageCompleted, MessageFailed, MessageSubmitted, ToolRequested,
};
use nexus_contracts::settings::{Settings, ToolPolicy};
use nexus_contracts::{ConversationId, Envelope, Extra, channels};

use crate::world::{World, sqlite_and_postgres};

/// A conversation in which tools need a person, and a call that waits for one.
async fn waiting(world: &World) -> Result<(MessageAccepted, ApprovalRequested)> {
    let first = world.turn("hello", None, ("hello", "hi")).await?;
    let settings = Settings {
        tool_policy: Some([("*".to_owned(), ToolPolicy::Ask)].into()),
        ..Settings::default()
    };
    let configure = ConversationConfigure {
        conversation_id: first.conversation_id,
        settings,
        extra: Extra::new(),
    };
    let configured = world.ask_for("", "configure", &configure).await?;
    ensure!(configured.event_type == MessageAccepted::TYPE);
    let accepted = submit(world, first.conversation_id).await?;
    let asked = world.model_call(accepted.run_id, 1).await?;
    world.answer_with_tool(&asked).await?;
    let channel = channels::REQUESTS_PROCESSED;
    let request = world.next(channel, ApprovalRequested::TYPE).await?;
    Ok((accepted, request.decode()?))
}

async fn submit(world: &World, conversation: ConversationId) -> Result<MessageAccepted> {
    let message = MessageSubmitted {
        text: "calculate".to_owned(),
        conversation_id: Some(conversation),
        ..MessageSubmitted::default()
    };
    Ok(world.ask_for("", "calculate", &message).await?.decode()?)
}

fn decided(request: &ApprovalRequested, decision: Decision) -> ApprovalDecided {
    ApprovalDecided {
        approval_id: request.approval_id.clone(),
        run_id: request.run_id,
        conversation_id: request.conversation_id,
        arguments_hash: request.arguments_hash.clone(),
        decision,
        comment: None,
        extra: Extra::new(),
    }
}

fn code(answer: &Envelope) -> Result<String> {
    Ok(answer.decode::<MessageFailed>()?.code)
}

sqlite_and_postgres! {
    async fn a_call_waits_over_a_restart_and_is_approved_from_another_device(world: World) -> Result<()> {
        let mut world = world;
        let (accepted, request) = waiting(&world).await?;
        ensure!(request.tool == "math_solver" && request.arguments.contains("6*7"));
        world.restart().await?;
        let answer = world.ask_for("phone", "yes", &decided(&request, Decision::Approve)).await?;
        let answer: MessageAccepted = answer.decode()?;
        ensure!(answer.run_id == accepted.run_id, "{answer:?}");
        let call = world.next(channels::TOOLS_EXECUTE, ToolRequested::TYPE).await?;
        ensure!(call.id == request.approval_id);
        world.tool_returns(&call, "42").await?;
        let asked = world.model_call(accepted.run_id, 2).await?;
        world.answer(&asked, "It is 42.").await?;
        let outcome: MessageCompleted = world.outcome(accepted.run_id).await?.decode()?;
        ensure!(outcome.text == "It is 42.");
        let again = world.ask_for("phone", "again", &decided(&request, Decision::Deny)).await?;
        ensure!(code(&again)? == "unknown_approval");
        Ok(())
    }

    async fn nobody_else_can_approve_or_learn_that_there_is_something_to(world: World) -> Result<()> {
        let (_, request) = waiting(&world).await?;
        let none = ApprovalRequested {
            conversation_id: ConversationId(uuid::Uuid::now_v7()),
            ..request.clone()
        };
        for client in ["colleague", "stranger"] {
            let decision = decided(&request, Decision::Approve);
            let refused = world.ask_for(client, &format!("{client}-1"), &decision).await?;
            let decision = decided(&none, Decision::Approve);
            let unknown = world.ask_for(client, &format!("{client}-2"), &decision).await?;
            let told = |answer: &Envelope, id: ConversationId| -> Result<String> {
                let failed: MessageFailed = answer.decode()?;
                ensure!(failed.code == "unknown_conversation", "{failed:?}");
                Ok(failed.detail.replace(&id.to_string(), "it"))
            };
            let (one, other) = (told(&refused, request.conversation_id)?, told(&unknown, none.conversation_id)?);
            ensure!(one == other, "{one} / {other}");
        }
        let approvals = world.find(channels::TOOLS_EXECUTE, ToolRequested::TYPE, |_| true);
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(300), approvals).await;
        ensure!(quiet.is_err(), "the tool was called");
        Ok(())
    }
}

#[test]
fn what_is_approved_is_the_call_with_its_arguments() -> Result<()> {
    use nexus_contracts::events::approval::arguments_hash;
    let one = arguments_hash("tool", "{}");
    ensure!(one.len() == 64 && one != arguments_hash("tool", "{ }"));
    ensure!(arguments_hash("ab", "c") != arguments_hash("a", "bc"));
    one.chars()
        .all(|c| c.is_ascii_hexdigit())
        .then_some(())
        .context("hexadecimal")
}
