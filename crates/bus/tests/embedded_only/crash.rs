//! The owner is killed (SIGKILL): what it acknowledged is there, and what kills it is counted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nexus_bus::{Delivery, ReadFrom};
use nexus_testkit::{Spawn, Spawned, wait_until};
use tempfile::TempDir;

use crate::setup::{LEASE, PATIENCE, join, open, outgoing, text};

/// This test binary, run again as an owner that does as it is told.
fn owner(path: &Path, order: &str) -> Result<Spawned> {
    let mut child = Spawn::new(std::env::current_exe()?)
        .args([
            "crash::owner_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .with_stdin()
        .start()?;
    child.send_line(&path.display().to_string())?;
    child.send_line(order)?;
    Ok(child)
}

fn line() -> Result<String> {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 {
        bail!("this test is a process that other tests start and kill; it takes orders on stdin");
    }
    Ok(line.trim_end().to_owned())
}

#[tokio::test]
#[ignore = "started by others as a process of its own"]
async fn owner_process() -> Result<()> {
    let bus = open(&PathBuf::from(line()?)).await?;
    match line()?.as_str() {
        "publish for ever" => {
            let stored = bus.read("work", ReadFrom::Start, 1_000_000).await?.len();
            for number in stored.. {
                bus.publish(vec![outgoing(&number.to_string())]).await?;
                println!("stored {number}.");
            }
        }
        "die of the first" => {
            let taken = join(&bus).await?.reader.next(1, LEASE).await?;
            let first = taken.first().context("one")?;
            println!("attempt {} of {}.", first.attempts, text(first));
            // As a handler that takes the process down with it, at once.
            std::process::abort();
        }
        order => bail!("{order}?"),
    }
    Ok(())
}

/// What the child said it had stored.
fn numbers(child: &Spawned) -> Vec<u64> {
    let number = |line: &String| {
        line.strip_prefix("stored ")?
            .strip_suffix('.')?
            .parse()
            .ok()
    };
    child.stdout().iter().filter_map(number).collect()
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_kill() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
    for life in 1..=5 {
        let mut child = owner(&path, "publish for ever")?;
        wait_until(PATIENCE, "fifty to be stored", async || {
            Ok(numbers(&child).len() > 50)
        })
        .await?;
        child.kill().await.with_context(|| format!("life {life}"))?;
        acknowledged.extend(numbers(&child));
    }
    let bus = open(&path).await?;
    let stored = bus.read("work", ReadFrom::Start, 1_000_000).await?;
    let stored: BTreeSet<u64> = stored
        .iter()
        .filter_map(|entry| entry.record.text("payload")?.parse().ok())
        .collect();
    ensure!(acknowledged.len() > 200, "{}", acknowledged.len());
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    ensure!(lost.is_empty(), "lost {lost:?}");
    bus.close().await;
    Ok(())
}

/// A message that kills the process at once is counted all the same: whatever an earlier life may
/// have died of is written down before it is handed out.
#[tokio::test]
async fn a_poison_that_kills_the_process_is_counted() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    let bus = open(&path).await?;
    bus.publish(vec![outgoing("poison")]).await?;
    bus.close().await;
    for life in 1..=4 {
        let mut child = owner(&path, "die of the first")?;
        child
            .wait_line(PATIENCE, &format!("attempt {life} of poison."))
            .await?;
        child.wait_exit(PATIENCE).await?;
    }
    let bus = open(&path).await?;
    let group = join(&bus).await?;
    let mut reader = group.reader;
    let leased = reader
        .next(1, Duration::ZERO)
        .await?
        .pop()
        .context("it comes again")?;
    assert_eq!(leased.attempts, 5);
    group
        .settler
        .settle(&[Delivery::new(leased).dead("kills", Vec::new())])
        .await
        .remove(0)?;
    assert_eq!(bus.read("work.dead", ReadFrom::Start, 10).await?.len(), 1);
    bus.close().await;
    Ok(())
}
