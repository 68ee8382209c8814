//! Watching a table.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use futures::stream::BoxStream;
use nexus_bus::{Expect, TableChange};
use nexus_testkit::wait_until;
use tokio::time::timeout;

use crate::harness::Harness;
use crate::member::PATIENCE;
use crate::tables::{TABLE, put};

type Changes = BoxStream<'static, TableChange>;

async fn next(changes: &mut Changes) -> Result<TableChange> {
    let change = timeout(PATIENCE, changes.next())
        .await
        .context("waiting for a change")?;
    change.context("the watch ended")
}

/// What a change says, in short.
fn shown(change: &TableChange) -> String {
    match change {
        TableChange::Put(value) => {
            format!("{}={}", value.key, String::from_utf8_lossy(&value.value))
        }
        TableChange::Deleted { key } => format!("-{key}"),
        TableChange::Ready => "ready".to_owned(),
    }
}

/// Up to and with `Ready`, sorted.
async fn until_ready(changes: &mut Changes) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    loop {
        match next(changes).await? {
            TableChange::Ready => {
                seen.sort_unstable();
                return Ok(seen);
            }
            change => seen.push(shown(&change)),
        }
    }
}

/// First everything there is, then each change.
pub(crate) async fn watch(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    for key in ["a", "b", "gone"] {
        put(&bus, key, "1", Expect::Any).await?;
    }
    bus.table_delete(TABLE, "gone", Expect::Any).await?;
    let mut one = bus.table_watch(TABLE).await?;
    ensure!(
        until_ready(&mut one).await? == ["a=1", "b=1"],
        "what there is"
    );
    let version = put(&bus, "a", "2", Expect::Any).await?;
    let change = next(&mut one).await?;
    let put_now = matches!(&change, TableChange::Put(value) if value.version == version);
    ensure!(put_now && shown(&change) == "a=2", "{change:?}");
    bus.table_delete(TABLE, "b", Expect::Any).await?;
    put(&bus, "c", "3", Expect::Absent).await?;
    ensure!(shown(&next(&mut one).await?) == "-b", "a deletion");
    ensure!(shown(&next(&mut one).await?) == "c=3", "a new key");
    Ok(())
}

/// Watchers do not take changes from each other, whenever they began.
pub(crate) async fn every_watcher_hears(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut watches = vec![bus.table_watch(TABLE).await?];
    for number in 0..5 {
        put(&bus, &format!("k{number}"), "v", Expect::Any).await?;
        watches.push(bus.table_watch(TABLE).await?);
    }
    for changes in &mut watches {
        let mut heard = BTreeSet::new();
        while heard.len() < 5 {
            match next(changes).await? {
                TableChange::Ready => {}
                change => ensure!(heard.insert(shown(&change)), "twice: {change:?}"),
            }
        }
    }
    Ok(())
}

/// A table that nobody has written can be watched.
pub(crate) async fn watch_of_nothing(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut changes = bus.table_watch(TABLE).await?;
    ensure!(
        next(&mut changes).await? == TableChange::Ready,
        "nothing there"
    );
    put(&bus, "a", "1", Expect::Absent).await?;
    ensure!(
        shown(&next(&mut changes).await?) == "a=1",
        "the first value"
    );
    Ok(())
}

/// A table that was lost has another incarnation when it is written again: its readers know that
/// nothing was deleted.
pub(crate) async fn a_flushed_table_is_a_new_one(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let old = put(&bus, "a", "1", Expect::Any).await?;
    harness.flush().await?;
    let bus = harness.bus().await?;
    let new = put(&bus, "a", "1", Expect::Any).await?;
    ensure!(new.incarnation != old.incarnation, "{new:?}");
    let stale = bus
        .table_put(TABLE, "a", "2".into(), Expect::Version(old))
        .await?;
    ensure!(
        matches!(stale, nexus_bus::PutOutcome::Conflict(_)),
        "{stale:?}"
    );
    Ok(())
}

/// A watch outlives the server: what changed meanwhile is seen, and what changes later.
pub(crate) async fn watch_across_a_reconnect(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    put(&bus, "a", "1", Expect::Any).await?;
    let mut changes = bus.table_watch(TABLE).await?;
    ensure!(until_ready(&mut changes).await? == ["a=1"], "what there is");
    harness.restart().await?;
    wait_until(PATIENCE, "writing to work again", async || {
        put(&bus, "b", "2", Expect::Any).await?;
        Ok(true)
    })
    .await?;
    let mut latest = String::new();
    while latest != "b=2" {
        latest = shown(&next(&mut changes).await?);
    }
    Ok(())
}
