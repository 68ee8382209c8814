//! What a process that died leaves, file and log, with arbitrary damage: told clearly, or harmless,
//! and never more than what came after the damage is missing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_bus::{BusError, ReadFrom};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::setup::{open, outgoing};

/// Messages that were acknowledged before the process died.
const STORED: usize = 50;

/// Damaged copies that are tried; more with `BOLERO_RANDOM_ITERATIONS`.
const COPIES: usize = 150;

/// File and log of a bus that was not closed.
struct Left {
    file: Vec<u8>,
    log: Vec<u8>,
}

async fn left_behind() -> Result<Left> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    let bus = open(&path).await?;
    for number in 0..STORED {
        bus.publish(vec![outgoing(&format!("n{number}"))]).await?;
    }
    let left = Left {
        file: std::fs::read(&path)?,
        log: std::fs::read(beside(&path, "-wal"))?,
    };
    bus.close().await;
    ensure!(!left.log.is_empty(), "nothing in the log to damage");
    Ok(left)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    format!("{}{ending}", path.display()).into()
}

/// Cuts the log, and flips bits of file and log.
fn damaged(left: &Left, (cut, flips): &(u16, Vec<(bool, u16, u8)>)) -> Left {
    let share = |of: usize, part: u16| of * usize::from(part) / usize::from(u16::MAX);
    let mut copy = Left {
        file: left.file.clone(),
        log: left.log.clone(),
    };
    copy.log.truncate(share(left.log.len(), *cut));
    for (in_file, at, bit) in flips.iter().take(4) {
        let bytes = if *in_file {
            &mut copy.file
        } else {
            &mut copy.log
        };
        let at = share(bytes.len().saturating_sub(1), *at);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << (bit % 8);
        }
    }
    copy
}

/// Opens what is left; gives what is still there, or nothing when the damage is told.
async fn recovered(left: &Left) -> Result<Option<Vec<String>>> {
    let folder = TempDir::new()?;
    let path = folder.path().join("bus.db");
    std::fs::write(&path, &left.file)?;
    std::fs::write(beside(&path, "-wal"), &left.log)?;
    let read = async {
        let bus = open(&path).await?;
        let read = bus.read("work", ReadFrom::Start, 1_000).await;
        bus.close().await;
        read
    };
    match tokio::time::timeout(Duration::from_secs(30), read).await? {
        Ok(entries) => Ok(Some(
            entries
                .iter()
                .filter_map(|entry| entry.record.text("payload").map(str::to_owned))
                .collect(),
        )),
        Err(BusError::File { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

#[test]
fn a_log_cut_anywhere_leaves_everything_before_the_cut() {
    let runtime = Runtime::new().unwrap();
    let left = runtime.block_on(left_behind()).unwrap();
    bolero::check!()
        .with_type::<u16>()
        .with_iterations(COPIES)
        .for_each(|cut| {
            let copy = damaged(&left, &(*cut, Vec::new()));
            let found = runtime.block_on(recovered(&copy)).unwrap();
            // A cut is what a power failure leaves: never told, and never a hole.
            let found = found.expect("the file opens");
            let expected: Vec<String> = (0..found.len()).map(|n| format!("n{n}")).collect();
            assert_eq!(found, expected);
            assert!(found.len() <= STORED);
        });
}

#[test]
fn arbitrary_damage_is_told_or_harmless() {
    let runtime = Runtime::new().unwrap();
    let left = runtime.block_on(left_behind()).unwrap();
    bolero::check!()
        .with_type::<(u16, Vec<(bool, u16, u8)>)>()
        .with_iterations(COPIES)
        .for_each(|damage| {
            let copy = damaged(&left, damage);
            runtime.block_on(recovered(&copy)).unwrap();
        });
}
