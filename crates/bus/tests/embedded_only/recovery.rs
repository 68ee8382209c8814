//! Files that were cut short or changed: told clearly, or harmless. Never a panic, never a hang.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nexus_bus::{BusError, Group, ReadFrom};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::setup::{PATIENCE, furnish, join, open, outgoing};

/// A small generator, so that a failure can be repeated by its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides.max(1)
    }
}

/// Uses everything there is; a damaged file may only answer with `BusError::File`.
async fn use_all(path: &Path) -> Result<(), BusError> {
    let bus = open(path).await?;
    let worked = work(&bus).await;
    bus.close().await;
    worked
}

async fn work(bus: &nexus_bus::Bus) -> Result<(), BusError> {
    for channel in bus.channels().await? {
        bus.read(&channel.name, ReadFrom::Start, 1_000).await?;
        bus.read(&channel.name, ReadFrom::Time(1), 1_000).await?;
        bus.trim(&channel.name, Duration::ZERO).await?;
    }
    bus.table_list("control.tools").await?;
    bus.backlog("work", "group").await?;
    let Group {
        mut reader,
        settler,
    } = join(bus).await?;
    for _ in 0..10 {
        let batch = reader.next(100, Duration::ZERO).await?;
        let batch: Vec<_> = batch
            .into_iter()
            .map(|leased| nexus_bus::Delivery::new(leased).ack(vec![outgoing("more")]))
            .collect();
        settler
            .settle(&batch)
            .await
            .into_iter()
            .collect::<Result<(), BusError>>()?;
    }
    bus.publish(vec![outgoing("x")]).await?;
    Ok(())
}

/// Tries one damaged copy. Returns whether the damage was told.
async fn try_damaged(folder: &Path, number: u64, bytes: &[u8]) -> Result<bool> {
    let path = folder.join(format!("damaged-{number}.db"));
    std::fs::write(&path, bytes)?;
    let used = timeout(PATIENCE, use_all(&path)).await;
    let told = match used.with_context(|| format!("copy {number} hangs"))? {
        Ok(()) => false,
        Err(error @ BusError::File { .. }) => {
            ensure!(error.to_string().contains("bus file"), "{error}");
            true
        }
        Err(other) => bail!("copy {number}: {other:?}"),
    };
    for ending in ["", "-wal", "-shm", ".lock"] {
        std::fs::remove_file(format!("{}{ending}", path.display())).ok();
    }
    Ok(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_cut_short_is_told() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    furnish(&path).await?;
    let whole = std::fs::read(&path)?;
    let mut dice = Dice(0x5eed);
    for number in 0..60 {
        // An empty file is a new one; from a single byte on it is a broken one.
        let keep = 1 + dice.roll(whole.len() as u64 - 4096);
        let kept = whole.get(..usize::try_from(keep)?).context("a part")?;
        ensure!(
            try_damaged(folder.path(), number, kept).await?,
            "cut to {keep} and not told"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_are_told_or_harmless() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    furnish(&path).await?;
    let whole = std::fs::read(&path)?;
    let mut dice = Dice(0xb17);
    let mut told = 0;
    for number in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=dice.roll(4) {
            let at = usize::try_from(dice.roll(bytes.len() as u64))?;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.roll(8);
            }
        }
        told += u32::from(try_damaged(folder.path(), number, &bytes).await?);
    }
    ensure!(
        told > 10,
        "only {told} of 300 were told: the test does not reach what matters"
    );
    Ok(())
}

/// A record whose bytes changed is handed out as what it is, so that it ends as a dead letter; the
/// others are worked on.
#[tokio::test]
async fn a_damaged_record_holds_nobody_up() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    let bus = open(&path).await?;
    bus.publish(["a", "b", "c"].map(outgoing).to_vec()).await?;
    bus.close().await;
    rusqlite::Connection::open(&path)?.execute_batch(
        "UPDATE entries_1 SET record = CAST(substr(record, 1, 20) || x'ff' AS BLOB) WHERE seq = 2",
    )?;
    let bus = open(&path).await?;
    let taken = join(&bus).await?.reader.next(10, Duration::ZERO).await?;
    let types: Vec<Option<&str>> = taken.iter().map(|l| l.entry.record.text("type")).collect();
    assert_eq!(types, [Some("test"), None, Some("test")]);
    let damaged = &taken.get(1).context("three")?.entry.record;
    assert!(
        damaged
            .text("bus_damaged")
            .is_some_and(|why| why.contains("checksum")),
        "{damaged:?}"
    );
    assert!(
        damaged
            .get("payload")
            .is_some_and(|bytes| !bytes.is_empty()),
        "all there is of it"
    );
    assert!(damaged.get("id").is_some());
    bus.close().await;
    Ok(())
}

/// Rows that somebody deleted by hand are passed over, and told.
#[tokio::test]
async fn a_missing_entry_holds_nobody_up() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    let bus = open(&path).await?;
    bus.publish(["a", "b", "c", "d"].map(outgoing).to_vec())
        .await?;
    join(&bus).await?;
    bus.close().await;
    rusqlite::Connection::open(&path)?.execute_batch("DELETE FROM entries_1 WHERE seq = 2")?;
    let bus = open(&path).await?;
    let taken = join(&bus).await?.reader.next(10, Duration::ZERO).await?;
    let texts: Vec<String> = taken.iter().map(crate::setup::text).collect();
    assert_eq!(texts, ["a", "c", "d"]);
    assert_eq!(bus.backlog("work", "group").await?.pending, 3);
    bus.close().await;
    Ok(())
}
