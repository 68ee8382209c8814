//! Readers that wait, are cut off, or are slow.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, timeout};

use crate::harness::Harness;
use crate::member::{LONG, Member, contents, publish, publish_numbers, texts};

/// A reader that waits for a minute keeps nobody else waiting: neither writers nor other readers.
pub(crate) async fn a_waiting_reader_blocks_nobody(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut waiting = Member::join(&bus, "quiet", "group").await?;
    let mut busy = Member::join(&bus, "work", "group").await?;
    let wait = waiting.reader.next(1, LONG);
    let work = async {
        for round in 0..20 {
            publish(&bus, "work", &[&format!("{round}")]).await?;
            let leased = busy.take_one().await?;
            busy.ack(leased).await?;
        }
        bus.ping().await?;
        anyhow::Ok(())
    };
    tokio::select! {
        early = wait => anyhow::bail!("the quiet channel has nothing: {early:?}"),
        done = timeout(LONG / 4, work) => done.context("blocked behind a waiting reader")?,
    }
}

/// The first message after a quiet while arrives at once, the first time.
pub(crate) async fn an_idle_reader_hears_at_once(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    // Longer than the half second after which some clients give an answer up.
    let idle = Duration::from_millis(1200);
    ensure!(
        member.reader.next(1, idle).await?.is_empty(),
        "nothing was published"
    );
    let (taken, published) = tokio::join!(member.reader.next(1, LONG), async {
        // The reader is polled first, so that it waits when this is published.
        tokio::task::yield_now().await;
        publish(&bus, "work", &["a"]).await?;
        anyhow::Ok(Instant::now())
    });
    let (taken, late) = (taken?, published?.elapsed());
    ensure!(late < Duration::from_secs(2), "heard after {late:?}");
    ensure!(
        texts(&taken) == ["a"] && taken.iter().all(|l| l.attempts == 1),
        "{taken:?}"
    );
    Ok(())
}

/// Reads that are given up half way lose nothing: it comes later.
pub(crate) async fn a_cancelled_read_loses_nothing(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let lease = Duration::from_secs(2);
    let mut member = Member::join_as(&bus, "work", "group", "one", lease).await?;
    let mut seen = Vec::new();
    for round in 0..10u64 {
        publish(&bus, "work", &[&format!("n{round}")]).await?;
        let given = Duration::from_micros(round * 150);
        if let Ok(batch) = timeout(given, member.reader.next(1, LONG)).await {
            let batch = batch?;
            seen.extend(texts(&batch));
            member.ack_all(batch).await?;
        }
    }
    while seen.len() < 10 {
        let leased = member.take_one().await?;
        seen.extend(texts(std::slice::from_ref(&leased)));
        member.ack(leased).await?;
    }
    seen.sort_unstable();
    let all: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    ensure!(seen == all, "{seen:?}");
    Ok(())
}

/// A group that does not read costs the others nothing, and loses nothing itself.
pub(crate) async fn slow_reader(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut quick = Member::join(&bus, "work", "quick").await?;
    let mut slow = Member::join(&bus, "work", "slow").await?;
    let mut published = Vec::new();
    for _ in 0..5 {
        // More than any buffer between the log and a reader keeps.
        let numbers = publish_numbers(&bus, "work", 1_000).await?;
        let taken = quick.take(1_000).await?;
        ensure!(texts(&taken) == numbers, "the quick group");
        quick.ack_all(taken).await?;
        published.extend(numbers);
    }
    ensure!(contents(&bus, "work").await?.len() == 5_000, "all are kept");
    ensure!(
        texts(&slow.take(5_000).await?) == published,
        "the slow group"
    );
    Ok(())
}
