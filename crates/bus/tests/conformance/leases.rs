//! Consumers that die, hang, or take long.

use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_bus::Delivery;
use tokio::time::Instant;

use crate::harness::Harness;
use crate::member::{
    LONG, Member, PATIENCE, SHORT, contents, entry_texts, payload, publish, publish_numbers, texts,
};
use crate::process::Consumer;

/// What a consumer held when it was killed (SIGKILL) is handed to another, once more counted; what
/// it had settled is not.
pub(crate) async fn reclaim_after_kill(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["done", "a", "b"]).await?;
    drop(bus);
    harness.leave().await;
    let mut consumer = Consumer::start(harness.config(), SHORT)?;
    consumer.ack_then_hold(1, 2).await?;
    consumer.kill().await?;
    let bus = harness.bus().await?;
    let mut other = Member::join_as(&bus, "work", "group", "two", SHORT).await?;
    let taken = other.take(2).await?;
    let mut found = texts(&taken);
    found.sort_unstable();
    ensure!(found == ["a", "b"], "{found:?}");
    ensure!(taken.iter().all(|leased| leased.attempts == 2), "{taken:?}");
    other.ack_all(taken).await?;
    other.take_none().await
}

/// However many a dead consumer held, all come back.
pub(crate) async fn reclaim_of_many(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut published = publish_numbers(&bus, "work", 1_500).await?;
    let mut hung = Member::join_as(&bus, "work", "group", "hung", SHORT).await?;
    hung.take(1_500).await?;
    let mut other = Member::join_as(&bus, "work", "group", "other", LONG).await?;
    let mut found = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while found.len() < 1_500 && Instant::now() < deadline {
        let batch = other.reader.next(100, SHORT).await?;
        found.extend(texts(&batch));
        other.ack_all(batch).await?;
    }
    found.sort_unstable();
    published.sort_unstable();
    ensure!(
        found == published,
        "{} of 1500 came back, each once",
        found.len()
    );
    Ok(())
}

/// Work that takes longer than a lease is not handed to another while it is kept alive.
pub(crate) async fn heartbeat(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["long"]).await?;
    let mut worker = Member::join_as(&bus, "work", "group", "worker", SHORT).await?;
    let mut other = Member::join_as(&bus, "work", "group", "other", SHORT).await?;
    let leased = worker.take_one().await?;
    let began = Instant::now();
    while began.elapsed() < SHORT * 3 {
        let lost = worker
            .settler
            .extend(std::slice::from_ref(&leased.token))
            .await?;
        ensure!(lost.is_empty(), "lost after {:?}", began.elapsed());
        // The other looks for the third of a lease between two heartbeats.
        let stolen = other.reader.next(1, SHORT / 3).await?;
        ensure!(
            stolen.is_empty(),
            "stolen after {:?}: {stolen:?}",
            began.elapsed()
        );
    }
    worker.ack(leased).await?;
    let left = other.reader.next(1, SHORT * 2).await?;
    ensure!(left.is_empty(), "done is done: {left:?}");
    Ok(())
}

/// A worker learns that its delivery has gone to another, and does not steal it back.
pub(crate) async fn a_lost_lease_is_told(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    let mut hung = Member::join_as(&bus, "work", "group", "hung", SHORT).await?;
    let mut other = Member::join_as(&bus, "work", "group", "other", LONG).await?;
    let old = hung.take_one().await?;
    let new = other.take_one().await?;
    ensure!(new.attempts == 2, "{new:?}");
    let lost = hung
        .settler
        .extend(std::slice::from_ref(&old.token))
        .await?;
    ensure!(
        lost == [old.token.clone()],
        "the old worker is told: {lost:?}"
    );
    let kept = other
        .settler
        .extend(std::slice::from_ref(&new.token))
        .await?;
    ensure!(kept.is_empty(), "the new worker keeps it");
    // A retry by who has lost it changes nothing for who has it.
    hung.settle(Delivery::new(old).retry(Duration::ZERO))
        .await?;
    other.take_none().await?;
    other.ack(new).await?;
    other.take_none().await
}

/// Attempts rise with every consumer that goes silent over an entry, so that it can be told from a
/// healthy one without being decoded, and buried.
pub(crate) async fn poison(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["poison"]).await?;
    for attempt in 1..=3 {
        let consumer = format!("victim {attempt}");
        let mut victim = Member::join_as(&bus, "work", "group", &consumer, SHORT).await?;
        let leased = victim.take_one().await?;
        ensure!(leased.attempts == attempt, "attempt {attempt}: {leased:?}");
    }
    let mut last = Member::join_as(&bus, "work", "group", "last", LONG).await?;
    let leased = last.take_one().await?;
    ensure!(
        leased.attempts == 4 && payload(&leased.entry.record) == "poison",
        "{leased:?}"
    );
    last.settle(Delivery::new(leased).dead("tried three times", Vec::new()))
        .await?;
    last.take_none().await?;
    ensure!(
        entry_texts(&contents(&bus, "work.dead").await?) == ["poison"],
        "the letter"
    );
    Ok(())
}
