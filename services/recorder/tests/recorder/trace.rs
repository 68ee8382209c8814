//! Everything under a correlation id.

use anyhow::{Context, Result, ensure};
use nexus_recorder::read;
use nexus_recorder::write::write;
use nexus_store::Store;

use crate::on_both;
use crate::world::{ORG, USER, World, open};

on_both! {
    async fn a_trace_has_every_message_in_order(store: &Store) -> Result<()> {
        let mut world = World::new();
        world.turn(None, "question", "answer")?;
        write(store, &world.messages).await?;
        let trace = read::trace(store, world.reader, "all").await?.context("a trace")?;
        let types: Vec<&str> = trace.messages.iter().map(|hop| hop.event_type.as_str()).collect();
        let expected = ["message.submitted", "message.accepted", "tool.requested", "message.completed"];
        ensure!(types == expected, "{types:?}");
        let run = trace.runs.first().context("a run")?;
        ensure!(trace.runs.len() == 1 && run.status == "completed", "{run:?}");
        ensure!(run.input_tokens == Some(3) && run.model.as_deref() == Some("demo-1"), "{run:?}");
        Ok(())
    }

    async fn what_starts_no_run_is_none(store: &Store) -> Result<()> {
        let mut world = World::new();
        let asked = world.turn(None, "question", "answer")?;
        let other = world.turn(None, "other", "answer")?;
        world.delete(other.conversation)?;
        world.rename(asked.conversation, "given")?;
        write(store, &world.messages).await?;
        let trace = read::trace(store, world.reader, "all").await?.context("a trace")?;
        let runs: Vec<&str> = trace.runs.iter().map(|run| run.run_id.as_str()).collect();
        ensure!(runs == [asked.run.to_string()], "{runs:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_trace_is_found_by_its_index() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = open(&format!("sqlite:{}", folder.path().display())).await?;
    let tx = store.read(ORG).await?;
    let key = vec![
        ORG.to_string().into(),
        USER.to_string().into(),
        "all".to_owned().into(),
    ];
    let plan = tx
        .query(&format!("EXPLAIN QUERY PLAN {}", read::TRACE), key)
        .await?;
    let plan: Vec<String> = plan
        .iter()
        .map(|row| row.get("detail"))
        .collect::<Result<_, _>>()?;
    ensure!(
        plan.iter().any(|line| line.contains("archive_correlation")),
        "{plan:?}"
    );
    Ok(())
}
