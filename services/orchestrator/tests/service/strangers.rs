//! Somebody else's conversation cannot be told from none.

use anyhow::{Result, ensure};
use nexus_contracts::events::{ConversationRename, Event, MessageFailed, MessageSubmitted};
use nexus_contracts::{ConversationId, Extra, RunId};
use serde_json::{Value, json};

use crate::world::{World, sqlite_and_postgres};

/// Everything that can be asked for about a conversation.
fn requests(conversation: ConversationId, run: RunId) -> [(&'static str, Value); 7] {
    let (id, run_id, text) = (conversation.to_string(), run.to_string(), "let me in");
    [
        (
            "message.submitted",
            json!({ "text": text, "conversation_id": id }),
        ),
        (
            "run.cancel",
            json!({ "run_id": run_id, "conversation_id": id }),
        ),
        (
            "approval.decided",
            json!({ "approval_id": "a", "run_id": run_id, "conversation_id": id,
                "arguments_hash": "00", "decision": "approve" }),
        ),
        (
            "conversation.rename",
            json!({ "conversation_id": id, "title": "x" }),
        ),
        (
            "conversation.configure",
            json!({ "conversation_id": id, "settings": {} }),
        ),
        (
            "conversation.branch",
            json!({ "conversation_id": id, "run_id": run_id, "text": text }),
        ),
        ("conversation.delete", json!({ "conversation_id": id })),
    ]
}

/// What each request is refused with, without the ids it named.
async fn try_everything(
    world: &World,
    client: &str,
    (conversation, run): (ConversationId, RunId),
) -> Result<Vec<(String, String)>> {
    let mut refusals = Vec::new();
    for (event_type, payload) in requests(conversation, run) {
        let id = format!("{client}-{event_type}-{conversation}");
        world
            .put_as(client, &id, event_type, &payload.to_string())
            .await?;
        let answer = world.answered(client, &id).await?;
        ensure!(
            answer.event_type == MessageFailed::TYPE,
            "{client} could {event_type}"
        );
        let failed: MessageFailed = answer.decode()?;
        let ids = [conversation.to_string(), run.to_string()];
        let detail = ids
            .iter()
            .fold(failed.detail, |text, id| text.replace(id, "it"));
        refusals.push((failed.code, detail));
    }
    Ok(refusals)
}

sqlite_and_postgres! {
    async fn nobody_else_can_do_or_learn_anything(world: World) -> Result<()> {
        let mine = world.turn("mine", None, ("my secret", "kept")).await?;
        let going_on = MessageSubmitted {
            text: "and this".to_owned(),
            conversation_id: Some(mine.conversation_id),
            ..MessageSubmitted::default()
        };
        world.ask_for("", "going-on", &going_on).await?;
        let nowhere = (ConversationId(uuid::Uuid::now_v7()), RunId(uuid::Uuid::now_v7()));
        for client in ["colleague", "stranger"] {
            let there = try_everything(&world, client, (mine.conversation_id, mine.run_id)).await?;
            let not_there = try_everything(&world, client, nowhere).await?;
            ensure!(there == not_there, "{there:?}\n{not_there:?}");
        }
        // Everything is as it was for its owner.
        let rename = ConversationRename {
            conversation_id: mine.conversation_id,
            title: "Mine".to_owned(),
            extra: Extra::new(),
        };
        let renamed = world.ask_for("phone", "rename", &rename).await?;
        ensure!(renamed.event_type != MessageFailed::TYPE, "{renamed:?}");
        Ok(())
    }

    // Its owner erases a conversation before somebody else was told that there is none.
    async fn a_refusal_outlives_the_conversation_it_was_about(world: World) -> Result<()> {
        let mine = world.turn("mine", None, ("my secret", "kept")).await?;
        let id = mine.conversation_id.to_string();
        let message = json!({ "text": "let me in", "conversation_id": id }).to_string();
        world.put_as("colleague", "knock", MessageSubmitted::TYPE, &message).await?;
        let refused = world.answered("colleague", "knock").await?;
        world.put("delete", "conversation.delete", &json!({ "conversation_id": id }).to_string()).await?;
        world.answered("", "delete").await?;
        world.put_as("colleague", "knock", MessageSubmitted::TYPE, &message).await?;
        let channel = nexus_contracts::channels::processed("colleague");
        let again = world.nth(&channel, MessageFailed::TYPE, 1).await?;
        ensure!(again.id == refused.id && again.payload == refused.payload);
        Ok(())
    }
}
