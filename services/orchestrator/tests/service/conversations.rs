//! Branches, imports, deletion, and what keepers are told.

use anyhow::{Context, Result, ensure};
use nexus_bus::ReadFrom;
use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::events::{
    ConversationBranch, ConversationBranched, ConversationDelete, ConversationDeleted,
    ConversationImport, ConversationImported, Event, InferenceRequested, MessageAccepted,
    MessageFailed, MessageSubmitted,
};
use nexus_contracts::settings::Settings;
use nexus_contracts::{ConversationId, Extra, RunId, channels};
use nexus_orchestrator::db::verify::verify;
use nexus_store::{Store, Value};

use crate::world::{ORG, World, sqlite_and_postgres};

fn branch(conversation_id: ConversationId, run_id: RunId, text: &str) -> ConversationBranch {
    ConversationBranch {
        conversation_id,
        run_id,
        text: text.to_owned(),
        settings: Settings::default(),
        metadata: Extra::new(),
        extra: Extra::new(),
    }
}

/// What the model gets to see in the first step of a run, without instructions.
async fn history(world: &World, run: RunId) -> Result<Vec<String>> {
    let asked: InferenceRequested = world.model_call(run, 1).await?.decode()?;
    let said = asked.messages.into_iter().skip(1);
    Ok(said.map(|message| message.content).collect())
}

/// Tables with content, and the column that has it.
const CONTENT: [(&str, &str); 6] = [
    ("conversation", "state"),
    ("journal", "payload"),
    ("snapshot", "state"),
    ("outbox", "body"),
    ("answer", "body"),
    ("environment", "body"),
];

/// In which tables some text is.
async fn found(store: &Store, text: &str) -> Result<Vec<&'static str>> {
    let tx = store.read(ORG).await?;
    let mut found = Vec::new();
    for (table, column) in CONTENT {
        let sql = format!("SELECT {column} AS content FROM {table} WHERE org_id = $1");
        for row in tx.query(&sql, vec![Value::from(ORG.to_string())]).await? {
            let content: Vec<u8> = row.get("content")?;
            if content
                .windows(text.len())
                .any(|part| part == text.as_bytes())
            {
                found.push(table);
            }
        }
    }
    tx.commit().await?;
    Ok(found)
}

sqlite_and_postgres! {
    async fn a_branch_goes_on_from_an_earlier_message(world: World) -> Result<()> {
        let first = world.turn("one", None, ("one", "first")).await?;
        let second = world.turn("two", Some(first.conversation_id), ("two", "second")).await?;
        let accepted = world.ask_for("", "branch", &branch(first.conversation_id, second.run_id, "other")).await?;
        let child: MessageAccepted = accepted.decode()?;
        ensure!(child.conversation_id != first.conversation_id);
        ensure!(history(&world, child.run_id).await? == ["one", "first", "other"]);
        let told = world.next(channels::CONVERSATIONS, ConversationBranched::TYPE).await?;
        let told: ConversationBranched = told.decode()?;
        ensure!((told.conversation_id, told.parent) == (child.conversation_id, first.conversation_id));
        // The parent does not know.
        let third = world.turn("three", Some(first.conversation_id), ("three", "third")).await?;
        ensure!(history(&world, third.run_id).await? == ["one", "first", "two", "second", "three"]);
        // The same command again is the same branch.
        world.put("branch", ConversationBranch::TYPE, &serde_json::to_string(&branch(first.conversation_id, second.run_id, "other"))?).await?;
        let again = world.nth(channels::REQUESTS_PROCESSED, MessageAccepted::TYPE, 4).await?;
        ensure!(again.id == accepted.id);
        let verified = verify(&world.database().await?).await?;
        ensure!(verified.wrong.is_empty() && verified.conversations == 2, "{verified:?}");
        Ok(())
    }

    async fn a_deleted_conversation_is_nowhere(world: World) -> Result<()> {
        let secret = "a-secret-that-must-go";
        let mine = world.turn("one", None, (secret, secret)).await?;
        let running = MessageSubmitted {
            text: format!("more {secret}"),
            conversation_id: Some(mine.conversation_id),
            ..MessageSubmitted::default()
        };
        let running: MessageAccepted = world.ask_for("", "two", &running).await?.decode()?;
        let asked = world.model_call(running.run_id, 1).await?;
        let store = world.database().await?;
        ensure!(found(&store, secret).await?.len() > 2);
        let delete = ConversationDelete { conversation_id: mine.conversation_id, extra: Extra::new() };
        let deleted = world.ask_for("", "delete", &delete).await?;
        ensure!(deleted.event_type == MessageAccepted::TYPE);
        let ended: MessageFailed = world.outcome(running.run_id).await?.decode()?;
        ensure!(ended.code == "cancelled");
        let told: ConversationDeleted = world.next(channels::CONVERSATIONS, ConversationDeleted::TYPE).await?.decode()?;
        ensure!(told.conversation_id == mine.conversation_id);
        // A late answer brings nothing back.
        world.answer(&asked, secret).await?;
        let late = MessageSubmitted { conversation_id: Some(mine.conversation_id), text: "there?".to_owned(), ..MessageSubmitted::default() };
        let refused: MessageFailed = world.ask_for("", "late", &late).await?.decode()?;
        ensure!(refused.code == "unknown_conversation");
        let left = found(&store, secret).await?;
        ensure!(left.is_empty(), "still in {left:?}");
        let verified = verify(&store).await?;
        ensure!(verified.wrong.is_empty(), "{verified:?}");
        Ok(())
    }

    async fn an_imported_conversation_goes_on(world: World) -> Result<()> {
        let said = |role, text: &str| SaidMessage {
            role, text: text.to_owned(), at: None, provider: None, model: None, extra: Extra::new(),
        };
        let conversation = ConversationDocument {
            format: FORMAT.to_owned(),
            version: 1,
            title: Some("Elsewhere".to_owned()),
            created_at: None,
            messages: vec![said(Speaker::User, "hi"), said(Speaker::Assistant, "hello")],
            extra: Extra::new(),
        };
        let import = ConversationImport { conversation, extra: Extra::new() };
        let accepted: MessageAccepted = world.ask_for("", "import", &import).await?.decode()?;
        let told: ConversationImported = world.next(channels::CONVERSATIONS, ConversationImported::TYPE).await?.decode()?;
        ensure!(told.conversation_id == accepted.conversation_id);
        ensure!(told.conversation == import.conversation);
        let turn = world.turn("two", Some(accepted.conversation_id), ("go on", "on")).await?;
        ensure!(history(&world, turn.run_id).await? == ["hi", "hello", "go on"]);
        Ok(())
    }

    async fn keepers_are_told_until_each_has_confirmed(world: World) -> Result<()> {
        let mine = world.turn("one", None, ("one", "first")).await?;
        let delete = ConversationDelete { conversation_id: mine.conversation_id, extra: Extra::new() };
        world.ask_for("", "delete", &delete).await?;
        let told = |nth| world.nth(channels::CONVERSATIONS, ConversationDeleted::TYPE, nth);
        let first = told(0).await?;
        world.confirm(&first, "one").await?;
        world.confirm(&first, "somebody").await?;
        let again = told(1).await?;
        ensure!(again.id == first.id && again.payload == first.payload);
        world.confirm(&first, "two").await?;
        let store = world.database().await?;
        nexus_testkit::wait_for(std::time::Duration::from_secs(20), "nothing due", async || {
            let tx = store.read_shared().await?;
            let rows = tx.query("SELECT id FROM dispatch WHERE kind = 'message'", vec![]).await?;
            tx.commit().await?;
            Ok(rows.is_empty().then_some(()))
        }).await?;
        let heard = world.bus().read(channels::CONVERSATIONS, ReadFrom::Start, 1000).await?.len();
        ensure!(heard >= 2);
        let left = found(&store, "first").await?;
        ensure!(left.is_empty(), "still in {left:?}");
        told(0).await.map(|_| ()).context("told")
    }
}
