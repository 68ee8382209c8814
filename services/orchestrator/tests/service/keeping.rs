//! What is kept how long: snapshots, retention, and that a conversation still folds.

use anyhow::{Result, ensure};
use nexus_contracts::events::{ConversationBranch, Event, MessageAccepted, MessageFailed};
use nexus_contracts::settings::Settings;
use nexus_contracts::{Extra, Timestamp};
use nexus_orchestrator::db::prune::{Before, prune};
use nexus_orchestrator::db::verify::verify;
use nexus_orchestrator::plan::SNAPSHOT_EVERY;
use nexus_store::{Store, Value};

use crate::world::{ORG, World, sqlite_and_postgres};

async fn count(store: &Store, table: &str) -> Result<i64> {
    let tx = store.read(ORG).await?;
    let sql = format!("SELECT COUNT(*) AS rows_there FROM {table} WHERE org_id = $1");
    let rows = tx.query(&sql, vec![Value::from(ORG.to_string())]).await?;
    tx.commit().await?;
    Ok(rows
        .first()
        .map(|row| row.get("rows_there"))
        .transpose()?
        .unwrap_or_default())
}

sqlite_and_postgres! {
    async fn a_long_conversation_keeps_snapshots_and_sheds_its_past(world: World) -> Result<()> {
        let first = world.turn("0", None, ("turn 0", "answer")).await?;
        let mut last = first.clone();
        for n in 1..=SNAPSHOT_EVERY / 2 {
            last = world.turn(&n.to_string(), Some(first.conversation_id), ("turn", "answer")).await?;
        }
        let store = world.database().await?;
        let verified = verify(&store).await?;
        ensure!(verified.wrong.is_empty() && verified.events > SNAPSHOT_EVERY, "{verified:?}");
        ensure!(count(&store, "snapshot").await? == 1);
        let everything = Timestamp::from_millis(i64::MAX);
        let tx = store.begin_shared().await?;
        let before = Before { repetitions: everything, history: Some(everything) };
        prune(&tx.tenant(ORG), before).await?;
        tx.commit().await?;
        ensure!(count(&store, "journal").await? == verified.events - SNAPSHOT_EVERY);
        ensure!(count(&store, "inbox").await? == 0);
        ensure!(verify(&store).await?.wrong.is_empty());
        // What is still remembered can be branched from, what is not is refused in words.
        let branch = |run_id| ConversationBranch {
            conversation_id: first.conversation_id,
            run_id,
            text: "other".to_owned(),
            settings: Settings::default(),
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        let refused = world.ask_for("", "early", &branch(first.run_id)).await?;
        let refused: MessageFailed = refused.decode()?;
        ensure!(refused.code == "unknown_run" && refused.detail.contains("not kept"), "{refused:?}");
        let taken = world.ask_for("", "late", &branch(last.run_id)).await?;
        ensure!(taken.event_type == MessageAccepted::TYPE);
        Ok(())
    }
}
