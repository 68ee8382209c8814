//! One process owns the file.

use anyhow::Result;
use nexus_bus::{BusError, GroupReader, ReadFrom};
use std::time::Duration;
use tempfile::TempDir;

use crate::setup::{join, open, outgoing};

#[tokio::test]
async fn a_second_owner_is_refused_and_told_who_the_first_is() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("deep/down/bus.db");
    let bus = open(&path).await?;
    let refused = open(&path).await.err();
    let Some(error @ BusError::File { .. }) = refused else {
        anyhow::bail!("{refused:?}");
    };
    let error = error.to_string();
    assert!(
        error.contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    assert!(
        error.contains("mode=ro") && error.contains("bus.db"),
        "{error}"
    );
    bus.close().await;
    open(&path).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn an_owner_that_is_dropped_lets_go() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    let bus = open(&path).await?;
    bus.publish(vec![outgoing("a")]).await?;
    drop(bus);
    nexus_testkit::wait_until(crate::setup::PATIENCE, "the file to be free", async || {
        let bus = open(&path).await?;
        bus.close().await;
        Ok(true)
    })
    .await
}

#[tokio::test]
async fn after_closing_everyone_is_told() -> Result<()> {
    let folder = TempDir::new()?;
    let bus = open(&folder.path().join("bus.db")).await?;
    let mut group = join(&bus).await?;
    let waiting = group.reader.next(1, crate::setup::LEASE);
    let (told, ()) = tokio::join!(waiting, bus.close());
    assert!(matches!(told, Err(BusError::Closed)), "{told:?}");
    let told = bus.publish(vec![outgoing("a")]).await;
    assert!(matches!(told, Err(BusError::Closed)), "{told:?}");
    assert!(matches!(bus.ping().await, Err(BusError::Closed)));
    bus.close().await;
    Ok(())
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone() -> Result<()> {
    let folder = TempDir::new()?;
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database, and longer than a header of one hundred bytes ".repeat(9),
    )?;
    let refused = open(&text).await.err();
    assert!(
        matches!(refused, Some(BusError::File { .. })),
        "{refused:?}"
    );
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other)?.execute_batch("CREATE TABLE mine (x)")?;
    let before = std::fs::read(&other)?;
    let refused = open(&other)
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(refused.contains("not a Nexus bus"), "{refused}");
    assert_eq!(std::fs::read(&other)?, before);
    Ok(())
}

#[tokio::test]
async fn a_newer_file_is_left_alone() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    open(&path).await?.close().await;
    rusqlite::Connection::open(&path)?.execute_batch("PRAGMA user_version = 7")?;
    let refused = open(&path)
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(refused.contains("newer version"), "{refused}");
    Ok(())
}

/// A channel's entries are sent on in the order in which they were published, however many
/// publish at once, and every commit carries what had piled up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_commits() -> Result<()> {
    let folder = TempDir::new()?;
    let bus = open(&folder.path().join("bus.db")).await?;
    let writers = (0..200).map(|number| {
        let bus = bus.clone();
        async move { bus.publish(vec![outgoing(&number.to_string())]).await }
    });
    let ids = futures::future::try_join_all(writers).await?;
    let mut places: Vec<u64> = ids.into_iter().flatten().map(|id| id.major).collect();
    places.sort_unstable();
    assert!(places.into_iter().eq(1..=200));
    assert_eq!(bus.read("work", ReadFrom::Start, 1_000).await?.len(), 200);
    let mut reader: Box<dyn GroupReader> = join(&bus).await?.reader;
    assert_eq!(reader.next(1_000, Duration::ZERO).await?.len(), 200);
    bus.close().await;
    Ok(())
}
