//! Live streams: lossy, but never with a hole that nobody is told of.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use futures::future::try_join_all;
use futures::stream::BoxStream;
use nexus_bus::live::LIVE_CAPACITY;
use nexus_bus::{Bus, LiveEntry, LiveItem};
use tokio::time::timeout;

use crate::harness::Harness;
use crate::member::{DOUBT, PATIENCE};

type Items = BoxStream<'static, LiveItem>;

/// Says its number; a snapshot where `every` divides it.
fn entry(number: u64, every: u64) -> LiveEntry {
    let snapshot = number.is_multiple_of(every);
    LiveEntry {
        snapshot,
        data: number.to_string().into(),
    }
}

/// Publishes `from..=to`, each saying its number; a snapshot wherever `every` divides it.
async fn publish(bus: &Bus, topic: &str, from: u64, to: u64, every: u64) -> Result<u64> {
    let entries: Vec<LiveEntry> = (from..=to).map(|number| entry(number, every)).collect();
    let mut last = 0;
    for some in entries.chunks(100) {
        last = bus.live_publish(topic, some).await?;
    }
    Ok(last)
}

async fn next(items: &mut Items) -> Result<LiveItem> {
    let item = timeout(PATIENCE, items.next())
        .await
        .context("waiting for an entry")?;
    item.context("the stream ended")
}

async fn next_entry(items: &mut Items) -> Result<(u64, bool, String)> {
    match next(items).await? {
        LiveItem::Entry {
            sequence,
            snapshot,
            data,
        } => Ok((
            sequence,
            snapshot,
            String::from_utf8_lossy(&data).into_owned(),
        )),
        LiveItem::Gap => anyhow::bail!("a gap"),
    }
}

/// Everyone who listens hears everything in order, counted from 1; topics are apart.
pub(crate) async fn live_order(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut one = bus.live_subscribe("run:1", 0).await?;
    let mut two = bus.live_subscribe("run:1", 0).await?;
    let mut other = bus.live_subscribe("run:2", 0).await?;
    ensure!(
        publish(&bus, "run:1", 1, 50, 1_000).await? == 50,
        "sequences count from 1"
    );
    for items in [&mut one, &mut two] {
        for number in 1..=50 {
            ensure!(
                next_entry(items).await? == (number, false, number.to_string()),
                "{number}"
            );
        }
    }
    ensure!(
        timeout(DOUBT, other.next()).await.is_err(),
        "nothing on another topic"
    );
    Ok(())
}

/// Who comes back says what it saw last, and misses nothing.
pub(crate) async fn live_resume(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "run:1", 1, 10, 1_000).await?;
    let mut items = bus.live_subscribe("run:1", 4).await?;
    for number in 5..=10 {
        ensure!(next_entry(&mut items).await?.0 == number, "{number}");
    }
    publish(&bus, "run:1", 11, 12, 1_000).await?;
    for number in 11..=12 {
        ensure!(next_entry(&mut items).await?.0 == number, "{number}");
    }
    let mut late = bus.live_subscribe("run:1", 12).await?;
    ensure!(
        timeout(DOUBT, late.next()).await.is_err(),
        "nothing new yet"
    );
    publish(&bus, "run:1", 13, 13, 1_000).await?;
    ensure!(
        next_entry(&mut late).await? == (13, false, "13".to_owned()),
        "what comes"
    );
    Ok(())
}

/// Who comes back too late is told, and goes on at the next snapshot.
pub(crate) async fn live_gap_then_snapshot(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let (kept, snapshot) = (3 * LIVE_CAPACITY as u64, 3 * LIVE_CAPACITY as u64 - 10);
    publish(&bus, "run:1", 1, kept, snapshot).await?;
    let mut items = bus.live_subscribe("run:1", 1).await?;
    ensure!(next(&mut items).await? == LiveItem::Gap, "a gap first");
    ensure!(
        next_entry(&mut items).await? == (snapshot, true, snapshot.to_string()),
        "snapshot"
    );
    for number in snapshot + 1..=kept {
        ensure!(
            next_entry(&mut items).await?.0 == number,
            "{number} behind the snapshot"
        );
    }
    Ok(())
}

/// A subscriber that does not read holds nobody up. Later it gets everything, or a gap and a
/// snapshot: never a silent hole.
pub(crate) async fn slow_subscriber(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut slow = bus.live_subscribe("run:1", 0).await?;
    publish(&bus, "run:1", 1, 1, 1_000).await?;
    ensure!(next_entry(&mut slow).await?.0 == 1, "it listens");
    let last = 6 * LIVE_CAPACITY as u64;
    let publishing = publish(&bus, "run:1", 2, last, 128);
    timeout(PATIENCE, publishing)
        .await
        .context("a slow subscriber held a publisher up")??;
    let mut quick = bus.live_subscribe("run:1", last - 1).await?;
    ensure!(
        next_entry(&mut quick).await?.0 == last,
        "others hear at once"
    );
    let (mut seen, mut gap) = (1, false);
    while seen < last {
        match next(&mut slow).await? {
            LiveItem::Gap => gap = true,
            LiveItem::Entry {
                sequence, snapshot, ..
            } => {
                ensure!(
                    sequence == seen + 1 || (gap && snapshot),
                    "{seen}, then {sequence}"
                );
                (seen, gap) = (sequence, false);
            }
        }
    }
    Ok(())
}

/// A topic that lost its past (a server that forgot) is told as a gap, not passed over.
pub(crate) async fn a_stream_that_began_again(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "run:1", 1, 10, 1_000).await?;
    harness.flush().await?;
    let bus = harness.bus().await?;
    bus.live_publish("run:1", &[entry(1, 1), entry(2, 1_000)])
        .await?;
    let mut items = bus.live_subscribe("run:1", 10).await?;
    ensure!(next(&mut items).await? == LiveItem::Gap, "a gap first");
    ensure!(
        next_entry(&mut items).await? == (1, true, "1".to_owned()),
        "its first snapshot"
    );
    Ok(())
}

/// Hundreds of topics are listened to at once.
pub(crate) async fn many_topics(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let topics: Vec<String> = (0..300).map(|number| format!("run:{number}")).collect();
    let mut streams = try_join_all(topics.iter().map(|topic| bus.live_subscribe(topic, 0))).await?;
    for topic in &topics {
        bus.live_publish(
            topic,
            &[LiveEntry {
                snapshot: true,
                data: topic.clone().into(),
            }],
        )
        .await?;
    }
    let heard = streams.iter_mut().zip(&topics).map(async |(items, topic)| {
        let heard = next_entry(items).await?;
        ensure!(heard == (1, true, topic.clone()), "{topic}: {heard:?}");
        Ok(())
    });
    timeout(PATIENCE + Duration::from_secs(30), try_join_all(heard)).await??;
    Ok(())
}
