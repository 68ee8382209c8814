//! Tables and live streams on a server that forgets.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream::BoxStream};
use nexus_bus::{Expect, LiveEntry, LiveItem, PutOutcome, TableChange};
use tokio::time::timeout;

use crate::setup::{PATIENCE, Setup};

async fn next<T>(stream: &mut BoxStream<'static, T>) -> Result<T> {
    timeout(PATIENCE, stream.next())
        .await?
        .context("the stream ended")
}

fn report(text: &str) -> LiveEntry {
    LiveEntry {
        snapshot: true,
        data: text.to_owned().into(),
    }
}

#[tokio::test]
async fn a_table_that_was_wiped_deletes_nothing_and_its_watchers_hear_of_it() -> Result<()> {
    let setup = Setup::new().await?;
    setup
        .bus
        .table_put("settings", "a", "1".into(), Expect::Any)
        .await?;
    let mut changes = setup.bus.table_watch("settings").await?;
    ensure!(matches!(next(&mut changes).await?, TableChange::Put(_)));
    assert_eq!(next(&mut changes).await?, TableChange::Ready);
    setup.cli::<()>(&["FLUSHALL"]).await?;
    // Nobody writes and no connection breaks, and whoever owns the table has to put it again.
    assert_eq!(next(&mut changes).await?, TableChange::Ready);
    setup
        .bus
        .table_put("settings", "b", "2".into(), Expect::Any)
        .await?;
    let TableChange::Put(put) = next(&mut changes).await? else {
        anyhow::bail!("a put")
    };
    assert_eq!((put.key.as_str(), put.version.n), ("b", 1));
    assert_eq!(next(&mut changes).await?, TableChange::Ready);
    Ok(())
}

#[tokio::test]
async fn a_version_of_a_life_before_does_not_match() -> Result<()> {
    let setup = Setup::new().await?;
    let put = setup
        .bus
        .table_put("settings", "a", "1".into(), Expect::Any)
        .await?;
    let PutOutcome::Stored(old) = put else {
        anyhow::bail!("stored")
    };
    setup.cli::<()>(&["FLUSHALL"]).await?;
    setup
        .bus
        .table_put("settings", "a", "2".into(), Expect::Any)
        .await?;
    let put = setup
        .bus
        .table_put("settings", "a", "3".into(), Expect::Version(old))
        .await?;
    let PutOutcome::Conflict(Some(found)) = put else {
        anyhow::bail!("a conflict: {put:?}")
    };
    assert_eq!((&found.value[..], found.version.n), (&b"2"[..], 1));
    Ok(())
}

#[tokio::test]
async fn a_watcher_that_missed_more_than_is_kept_is_told_everything() -> Result<()> {
    let setup = Setup::new().await?;
    setup
        .bus
        .table_put("settings", "a", "1".into(), Expect::Any)
        .await?;
    let mut changes = setup.bus.table_watch("settings").await?;
    next(&mut changes).await?;
    next(&mut changes).await?;
    // The announcement arrives; what it announces is gone already.
    setup
        .bus
        .table_put("settings", "b", "2".into(), Expect::Any)
        .await?;
    setup
        .cli::<u64>(&["XTRIM", "table:settings:changes", "MAXLEN", "0"])
        .await?;
    setup
        .bus
        .table_put("settings", "c", "3".into(), Expect::Any)
        .await?;
    let mut keys = Vec::new();
    while keys.last().is_none_or(|key| key != "c") {
        if let TableChange::Put(put) = next(&mut changes).await? {
            keys.push(put.key);
        }
    }
    ensure!(keys.iter().any(|key| key == "b"), "{keys:?}");
    Ok(())
}

#[tokio::test]
async fn a_topic_that_began_anew_says_that_something_is_gone() -> Result<()> {
    let setup = Setup::new().await?;
    setup
        .bus
        .live_publish("run:1", &[report("a"), report("b")])
        .await?;
    let mut reports = setup.bus.live_subscribe("run:1", 1).await?;
    ensure!(matches!(
        next(&mut reports).await?,
        LiveItem::Entry { sequence: 2, .. }
    ));
    setup.cli::<()>(&["FLUSHALL"]).await?;
    setup.bus.live_publish("run:1", &[report("c")]).await?;
    assert_eq!(next(&mut reports).await?, LiveItem::Gap);
    ensure!(matches!(
        next(&mut reports).await?,
        LiveItem::Entry { sequence: 1, .. }
    ));
    Ok(())
}

#[tokio::test]
async fn a_topic_expires_and_keeps_no_more_than_its_capacity() -> Result<()> {
    let setup = Setup::new().await?;
    let many: Vec<_> = (0..1500).map(|n| report(&n.to_string())).collect();
    assert_eq!(setup.bus.live_publish("run:1", &many).await?, 1500);
    assert_eq!(setup.cli::<u64>(&["XLEN", "live:run:1"]).await?, 1024);
    let seconds: i64 = setup.cli(&["TTL", "live:run:1"]).await?;
    ensure!((1..=600).contains(&seconds), "{seconds}");
    let mut reports = setup.bus.live_subscribe("run:1", 0).await?;
    assert_eq!(next(&mut reports).await?, LiveItem::Gap);
    ensure!(matches!(
        next(&mut reports).await?,
        LiveItem::Entry { sequence: 477, .. }
    ));
    Ok(())
}

#[tokio::test]
async fn a_subscriber_that_is_slow_reads_what_it_missed() -> Result<()> {
    let setup = Setup::new().await?;
    let mut reports = setup.bus.live_subscribe("run:1", 0).await?;
    setup.bus.live_publish("run:1", &[report("0")]).await?;
    next(&mut reports).await?;
    // More announcements than are kept waiting for one listener, fewer than the stream keeps.
    for n in 1..=900 {
        setup
            .bus
            .live_publish("run:1", &[report(&n.to_string())])
            .await?;
    }
    for expected in 2..=901 {
        let item = next(&mut reports).await?;
        ensure!(
            matches!(item, LiveItem::Entry { sequence, .. } if sequence == expected),
            "{item:?}"
        );
    }
    Ok(())
}
