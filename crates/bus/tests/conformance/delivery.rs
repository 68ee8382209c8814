//! Who gets what, in which order, and what becomes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_bus::Delivery;
use tokio::time::Instant;

use crate::harness::Harness;
use crate::member::{
    LONG, Member, contents, entry_texts, outgoing, payload, publish, publish_numbers, record, texts,
};

/// A group receives in the order of publication, also across calls.
pub(crate) async fn order(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a", "b"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    publish(&bus, "work", &["c", "d", "e"]).await?;
    let taken = member.take(5).await?;
    ensure!(texts(&taken) == ["a", "b", "c", "d", "e"], "{taken:?}");
    ensure!(taken.iter().all(|leased| leased.attempts == 1), "{taken:?}");
    ensure!(
        taken.is_sorted_by_key(|leased| leased.entry.id),
        "{taken:?}"
    );
    let numbers = publish_numbers(&bus, "work", 1_000).await?;
    ensure!(
        texts(&member.take(1_000).await?) == numbers,
        "a thousand in order"
    );
    Ok(())
}

/// Every group receives everything, from the oldest entry on, whenever it joins.
pub(crate) async fn groups(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut early = Member::join(&bus, "work", "early").await?;
    publish(&bus, "work", &["a", "b"]).await?;
    let taken = early.take(2).await?;
    early.ack_all(taken).await?;
    let mut late = Member::join(&bus, "work", "late").await?;
    ensure!(
        texts(&late.take(2).await?) == ["a", "b"],
        "a late group begins at the oldest"
    );
    publish(&bus, "work", &["c"]).await?;
    ensure!(texts(&early.take(1).await?) == ["c"], "the early group");
    ensure!(texts(&late.take(1).await?) == ["c"], "the late group");
    Ok(())
}

/// Within a group each entry goes to one consumer.
pub(crate) async fn competing_consumers(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut one = Member::join_as(&bus, "work", "group", "one", LONG).await?;
    let mut two = Member::join_as(&bus, "work", "group", "two", LONG).await?;
    let published: BTreeSet<String> = publish_numbers(&bus, "work", 200)
        .await?
        .into_iter()
        .collect();
    let (mut seen, mut total) = (BTreeSet::new(), 0);
    let deadline = Instant::now() + LONG;
    while total < 200 && Instant::now() < deadline {
        for member in [&mut one, &mut two] {
            let batch = member.reader.next(7, Duration::from_millis(50)).await?;
            total += batch.len();
            seen.extend(texts(&batch));
            member.ack_all(batch).await?;
        }
    }
    ensure!(
        total == 200 && seen == published,
        "{total} deliveries of {} entries",
        seen.len()
    );
    one.take_none().await?;
    two.take_none().await
}

/// A reader gets no more than it has permits for; the rest is there for others.
pub(crate) async fn reads_no_more_than_asked(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish_numbers(&bus, "work", 10).await?;
    let mut one = Member::join_as(&bus, "work", "group", "one", LONG).await?;
    let mut two = Member::join_as(&bus, "work", "group", "two", LONG).await?;
    ensure!(
        texts(&one.take(3).await?) == ["n0", "n1", "n2"],
        "three for the first"
    );
    let rest = two.take(7).await?;
    ensure!(
        texts(&rest).first().is_some_and(|text| text == "n3"),
        "{rest:?}"
    );
    Ok(())
}

/// What is acknowledged does not come again, to nobody; settling twice does no harm.
pub(crate) async fn acknowledged_is_gone(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a", "b"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let taken = member.take(2).await?;
    member.ack_all(taken.clone()).await?;
    member.ack_all(taken).await?;
    member.take_none().await?;
    Member::join_as(&bus, "work", "group", "two", LONG)
        .await?
        .take_none()
        .await
}

/// What a handler sends goes out with its acknowledgement.
pub(crate) async fn outgoing_is_stored(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let leased = member.take_one().await?;
    let sent = vec![outgoing("out", record("x")), outgoing("other", record("y"))];
    member.settle(Delivery::new(leased).ack(sent)).await?;
    ensure!(entry_texts(&contents(&bus, "out").await?) == ["x"], "out");
    ensure!(
        entry_texts(&contents(&bus, "other").await?) == ["y"],
        "other"
    );
    member.take_none().await
}

/// A retry comes again and counts.
pub(crate) async fn retry(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    for attempt in 1..=3 {
        let leased = member.take_one().await?;
        ensure!(leased.attempts == attempt, "attempt {attempt}: {leased:?}");
        ensure!(payload(&leased.entry.record) == "a", "{leased:?}");
        member
            .settle(Delivery::new(leased).retry(Duration::ZERO))
            .await?;
    }
    let leased = member.take_one().await?;
    member.ack(leased).await?;
    member.take_none().await
}

/// A retry does not come before its time.
pub(crate) async fn delayed_retry(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let leased = member.take_one().await?;
    let entry = leased.entry.id;
    let delay = Duration::from_millis(700);
    let settled = Instant::now();
    member.settle(Delivery::new(leased).retry(delay)).await?;
    member.take_none().await?;
    let again = member.take_one().await?;
    // A server may round to its own clock's milliseconds.
    ensure!(
        settled.elapsed() >= delay - Duration::from_millis(5),
        "{:?}",
        settled.elapsed()
    );
    ensure!(again.attempts == 2 && again.entry.id == entry, "{again:?}");
    Ok(())
}

/// Waiting is not an attempt, however often.
pub(crate) async fn waiting_does_not_count(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    for _ in 0..3 {
        let leased = member.take_one().await?;
        ensure!(leased.attempts == 1, "{leased:?}");
        member
            .settle(Delivery::new(leased).wait(Duration::from_millis(20)))
            .await?;
    }
    let leased = member.take_one().await?;
    member
        .settle(Delivery::new(leased).retry(Duration::ZERO))
        .await?;
    let leased = member.take_one().await?;
    ensure!(leased.attempts == 2, "only the retry counts: {leased:?}");
    member
        .settle(Delivery::new(leased).wait(Duration::ZERO))
        .await?;
    let leased = member.take_one().await?;
    ensure!(leased.attempts == 2, "{leased:?}");
    Ok(())
}

/// A dead one is moved aside with what tells whoever waits, and does not come again.
pub(crate) async fn dead(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["bad", "good"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let (bad, good) = (member.take_one().await?, member.take_one().await?);
    let told = vec![outgoing("out", record("it failed"))];
    member
        .settle(Delivery::new(bad).dead("cannot be read", told))
        .await?;
    member.ack(good).await?;
    ensure!(
        entry_texts(&contents(&bus, "work.dead").await?) == ["bad"],
        "the letter"
    );
    ensure!(
        entry_texts(&contents(&bus, "out").await?) == ["it failed"],
        "the notice"
    );
    member.take_none().await
}

/// Others are worked on while one waits for its time.
pub(crate) async fn a_retry_holds_nobody_up(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a", "b"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let leased = member.take_one().await?;
    member.settle(Delivery::new(leased).retry(LONG)).await?;
    let leased = member.take_one().await?;
    ensure!(payload(&leased.entry.record) == "b", "{leased:?}");
    publish(&bus, "work", &["c"]).await?;
    let leased = member.take_one().await?;
    ensure!(payload(&leased.entry.record) == "c", "{leased:?}");
    Ok(())
}

/// The bus removes no duplicates: a republication that is needed must get through. They carry one
/// id, by which inboxes know them.
pub(crate) async fn publishing_twice_stores_twice(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    publish(&bus, "work", &["a"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let taken = member.take(2).await?;
    let ids: BTreeSet<_> = taken
        .iter()
        .map(|leased| leased.entry.record.text("id"))
        .collect();
    ensure!(ids.len() == 1 && ids.contains(&Some("id-a")), "{ids:?}");
    Ok(())
}
