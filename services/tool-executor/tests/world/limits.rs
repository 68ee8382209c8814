//! What keeps a call from being made, and what of a result a model gets to see.

use std::time::Duration;

use anyhow::{Context, Result};
use nexus_contracts::tool::{ToolSwitch, WholeResult};
use nexus_contracts::{ConversationId, Envelope, MessageId, Timestamp, tables};
use nexus_service_kit::{Clock, Deps, put_table};
use nexus_store::Ledger;
use nexus_testkit::wait_until;
use nexus_tool_executor::migrations::{MIGRATIONS, SET};
use nexus_tool_executor::quota::{Counted, Quota, Quotas, Used};
use nexus_tool_executor::switches::Switches;
use nexus_tool_executor::{NAME, ToolHealth};
use serde_json::json;

use crate::fixtures::{PATIENCE, World, completed, failed, kill};

impl World {
    fn in_conversation(&self, id: &str, tool: &str, arguments: &str) -> Result<Envelope> {
        let mut command = self.command(id, tool, arguments)?;
        command.metadata.conversation_id = Some(conversation());
        Ok(command)
    }

    async fn code(&self, id: &str, tool: &str) -> Result<String> {
        let command = self.in_conversation(id, tool, "{}")?;
        Ok(failed(&self.ask(&command).await?)?.code)
    }
}

fn conversation() -> ConversationId {
    ConversationId(nexus_contracts::derive_id([b"conversation".as_slice()]))
}

async fn switches(deps: &Deps) -> Result<Switches> {
    let store = deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
    store.migrate(SET, MIGRATIONS).await?;
    Ok(Switches::new(store, deps.bus.clone()))
}

/// What is kept of a long result, and the beginning of it.
async fn long(world: &World) -> Result<(String, WholeResult)> {
    let command = world.in_conversation("long", "long", r#"{"count":30000}"#)?;
    let event = completed(&world.ask(&command).await?)?;
    let beginning = event.result.as_str().context("it is text")?.to_owned();
    Ok((beginning, event.whole.context("the rest is kept")?))
}

#[tokio::test]
async fn a_long_result_is_cut_and_can_be_read_to_its_end() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    let (mut text, whole) = long(&world).await?;
    assert_eq!(
        (text.len(), whole.bytes, whole.dropped_bytes),
        (1000, 30_000, 0)
    );
    let mut offset = Some(1000_u64);
    while let Some(from) = offset {
        let arguments = json!({ "reference": whole.reference, "offset": from }).to_string();
        let read = world.in_conversation(&format!("on-{from}"), "read_result", &arguments)?;
        let part = completed(&world.ask(&read).await?)?.result;
        text.push_str(part["text"].as_str().context("it has text")?);
        offset = part["next_offset"].as_u64();
    }
    assert_eq!(text.len(), 30_000);
    assert!(text.starts_with("line 0\nline 1\n"));
    let last = text.lines().last().context("it has lines")?;
    assert!(
        "line 30000".starts_with(last) || last.starts_with("line "),
        "{last}"
    );
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn another_conversation_cannot_read_on() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    let (_, whole) = long(&world).await?;
    let arguments = json!({ "reference": whole.reference }).to_string();
    let mut other = world.command("other", "read_result", &arguments)?;
    other.metadata.conversation_id = Some(ConversationId(uuid(9)));
    let refused = failed(&world.ask(&other).await?)?;
    assert_eq!(refused.code, "bad_arguments");
    assert!(
        refused.detail.contains("no result is kept"),
        "{}",
        refused.detail
    );
    kill(worker).await;
    Ok(())
}

fn uuid(n: u8) -> uuid::Uuid {
    nexus_contracts::derive_id([[n].as_slice()])
}

#[tokio::test]
async fn what_is_too_long_to_keep_is_said_to_be_dropped() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[("keep_bytes", "2000")]).await?;
    let (_, whole) = long(&world).await?;
    assert_eq!((whole.bytes, whole.dropped_bytes), (2000, 28_000));
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn a_tool_that_keeps_failing_is_left_alone_and_said_to_be() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    for call in 0..6 {
        let command = world.command(&format!("away-{call}"), "away", "{}")?;
        let refused = failed(&world.ask(&command).await?)?;
        assert_eq!(refused.code, "unavailable");
        assert_eq!(
            refused.detail.contains("left alone"),
            call == 5,
            "{call}: {}",
            refused.detail
        );
    }
    wait_until(PATIENCE, "its health", async || {
        let entries = world.bus.table_list(tables::TOOLS_HEALTH).await?;
        let health = entries
            .iter()
            .filter_map(|entry| serde_json::from_slice::<ToolHealth>(&entry.value).ok());
        Ok(health
            .into_iter()
            .any(|one| one.tool == "away" && one.bad == 0 && one.for_ms.is_some()))
    })
    .await?;
    kill(worker).await;
    Ok(())
}

async fn quotas_hold(world: World) -> Result<()> {
    let first = world
        .worker(&[("quotas", "{ panics: { calls: 2, per: 1000d } }")])
        .await?;
    assert_eq!(world.code("1", "panics").await?, "broken");
    kill(first).await;
    // Another process counts on, and a repeated command does not count.
    let second = world
        .worker(&[("quotas", "{ panics: { calls: 2, per: 1000d } }")])
        .await?;
    let repeated = world.in_conversation("1", "panics", "{}")?;
    world.send(&repeated).await?;
    assert_eq!(world.code("2", "panics").await?, "broken");
    counts_once(&world, &second).await?;
    let third = world.in_conversation("3", "panics", "{}")?;
    let refused = failed(&world.ask(&third).await?)?;
    assert_eq!(refused.code, "quota_exceeded");
    assert!(refused.detail.contains("2 times"), "{}", refused.detail);
    kill(second).await;
    Ok(())
}

#[tokio::test]
async fn an_organisation_has_its_quota_on_sqlite() -> Result<()> {
    quotas_hold(World::new().await?).await
}

#[tokio::test]
async fn an_organisation_has_its_quota_on_postgres() -> Result<()> {
    quotas_hold(World::on_postgres().await?).await
}

/// Whoever begins a call again, it was counted.
async fn counts_once(world: &World, deps: &Deps) -> Result<()> {
    let store = deps.stores.open(NAME, Ledger::MIGRATIONS).await?;
    let quota = Quota {
        calls: 1,
        per: Duration::from_secs(60),
    };
    let quotas = Quotas::new(store, [("search".to_owned(), quota)].into());
    let now = Timestamp::from_millis(1);
    let count = async |id: &str, now| {
        let id = MessageId::new(id)?;
        Ok::<_, anyhow::Error>(quotas.count(world.org, "search", &id, now).await?)
    };
    for _ in 0..2 {
        assert_eq!(count("one", now).await?, Counted::Within);
        let over = Used {
            calls: 2,
            of: 1,
            until: 60_000,
        };
        assert_eq!(count("another", now).await?, Counted::Over(over));
    }
    let used = quotas.used(world.org, "search", now).await?;
    assert_eq!(used.context("it has a quota")?.calls, 1);
    // In the next window too: its effect may have happened.
    let later = Timestamp::from_millis(60_000);
    assert_eq!(count("another", later).await?, Counted::Within);
    assert_eq!(count("one", later).await?, Counted::Within);
    let used = quotas.used(world.org, "search", later).await?;
    assert_eq!(used.context("it has a quota")?.calls, 1);
    Ok(())
}

async fn switches_hold(world: World) -> Result<()> {
    let worker = world.worker(&[]).await?;
    let switches = switches(&worker).await?;
    let clock = Clock::system();
    let off = |conversation_id| ToolSwitch {
        org_id: world.org,
        conversation_id,
        tool: "away".to_owned(),
        at: clock.now(),
    };
    switches.off(off(Some(conversation()))).await?;
    assert_eq!(
        world.code("in-the-conversation", "away").await?,
        "switched_off"
    );
    let elsewhere = world.command("elsewhere", "away", "{}")?;
    assert_eq!(failed(&world.ask(&elsewhere).await?)?.code, "unavailable");
    switches.on(world.org, Some(conversation()), "away").await?;
    assert_eq!(world.code("on-again", "away").await?, "unavailable");
    switches.off(off(None)).await?;
    assert_eq!(world.code("everywhere", "away").await?, "switched_off");
    kill(worker).await;
    // What is switched off stays off when the bus lost it and nobody was there.
    let key = ToolSwitch::key(world.org, None, "away");
    let any = nexus_bus::Expect::Any;
    world.bus.table_delete(tables::TOOLS_OFF, &key, any).await?;
    let stale = ToolSwitch {
        tool: "gone".to_owned(),
        ..off(None)
    };
    let stale_key = ToolSwitch::key(world.org, None, "gone");
    put_table(&world.bus, tables::TOOLS_OFF, &stale_key, &stale).await?;
    let again = world.worker(&[]).await?;
    assert_eq!(world.code("after-a-restart", "away").await?, "switched_off");
    wait_until(PATIENCE, "what nobody stored to go", async || {
        Ok(world
            .bus
            .table_get(tables::TOOLS_OFF, &stale_key)
            .await?
            .is_none())
    })
    .await?;
    kill(again).await;
    Ok(())
}

#[tokio::test]
async fn a_tool_is_switched_off_and_on_while_it_is_used_on_sqlite() -> Result<()> {
    switches_hold(World::new().await?).await
}

#[tokio::test]
async fn a_tool_is_switched_off_and_on_while_it_is_used_on_postgres() -> Result<()> {
    switches_hold(World::on_postgres().await?).await
}
