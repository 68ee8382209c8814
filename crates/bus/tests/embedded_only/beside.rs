//! Another process that reads beside the owner. (Another connection is as good as another process.)

use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use nexus_bus::{Backlog, BusError, Expect, ReadFrom, TableChange};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::setup::{PATIENCE, furnish, join, open, open_beside, outgoing};

#[tokio::test]
async fn it_sees_what_the_owner_sees() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    furnish(&path).await?;
    let owner = open(&path).await?;
    let beside = open_beside(&path).await?;
    let expected = owner.read("work", ReadFrom::Start, 100).await?;
    assert_eq!(beside.read("work", ReadFrom::Start, 100).await?, expected);
    assert_eq!(beside.channels().await?, owner.channels().await?);
    assert_eq!(
        beside.incarnation("work").await?,
        owner.incarnation("work").await?
    );
    assert_eq!(
        beside.table_list("control.tools").await?,
        owner.table_list("control.tools").await?
    );
    let figures = |backlog: Backlog| (backlog.undelivered, backlog.pending);
    assert_eq!(figures(beside.backlog("work", "group").await?), (10, 11));
    assert_eq!(figures(owner.backlog("work", "group").await?), (10, 11));
    owner.publish(vec![outgoing("new")]).await?;
    assert_eq!(
        beside.read("work", ReadFrom::Start, 100).await?.len(),
        41,
        "and goes on seeing"
    );
    beside.close().await;
    owner.close().await;
    Ok(())
}

#[tokio::test]
async fn it_reads_when_there_is_no_owner() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    let missing = open_beside(&path).await.err();
    assert!(
        matches!(&missing, Some(BusError::File { .. })),
        "{missing:?}"
    );
    assert!(!path.exists(), "looking makes no file");
    furnish(&path).await?;
    let beside = open_beside(&path).await?;
    assert_eq!(beside.read("work", ReadFrom::Start, 100).await?.len(), 40);
    beside.ping().await?;
    beside.close().await;
    open(&path).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn it_writes_nothing() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    furnish(&path).await?;
    let beside = open_beside(&path).await?;
    let refused = [
        beside.publish(vec![outgoing("x")]).await.err(),
        join(&beside).await.err(),
        beside.trim("work", Duration::ZERO).await.err(),
        beside
            .table_put("control.tools", "a", "x".into(), Expect::Any)
            .await
            .err(),
        beside
            .table_delete("control.tools", "a", Expect::Any)
            .await
            .err(),
        beside.live_subscribe("run:1", 0).await.err(),
    ];
    for refusal in refused {
        assert!(matches!(refusal, Some(BusError::ReadOnly)), "{refusal:?}");
    }
    Ok(())
}

#[tokio::test]
async fn it_watches_tables_by_looking() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    furnish(&path).await?;
    let owner = open(&path).await?;
    let beside = open_beside(&path).await?;
    let mut changes = beside.table_watch("control.tools").await?;
    let mut first = Vec::new();
    loop {
        match timeout(PATIENCE, changes.next())
            .await?
            .context("it goes on")?
        {
            TableChange::Ready => break,
            change => first.push(change),
        }
    }
    assert_eq!(first.len(), 3);
    owner
        .table_delete("control.tools", "b", Expect::Any)
        .await?;
    let change = timeout(PATIENCE, changes.next())
        .await?
        .context("it goes on")?;
    assert_eq!(
        change,
        TableChange::Deleted {
            key: "b".to_owned()
        }
    );
    owner
        .table_put("control.tools", "a", "new".into(), Expect::Any)
        .await?;
    let change = timeout(PATIENCE, changes.next())
        .await?
        .context("it goes on")?;
    assert!(
        matches!(&change, TableChange::Put(value) if value.value == "new"),
        "{change:?}"
    );
    owner.close().await;
    Ok(())
}
