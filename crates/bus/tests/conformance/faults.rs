//! Servers that stop, forget everything, or are full.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nexus_bus::{Bus, BusError, Delivery, Entry};
use nexus_testkit::wait_until;

use crate::harness::Harness;
use crate::member::{
    LONG, Member, PATIENCE, contents, entry_texts, outgoing, payload, publish, publish_numbers,
    record, texts,
};

/// A server that forgot everything: the group is made again, and what was published since arrives,
/// also with a reader that was there before.
pub(crate) async fn flush(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    publish(&bus, "work", &["lost", "also lost"]).await?;
    let held = member.take_one().await?;
    harness.flush().await?;
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a", "b"]).await?;
    if harness.handles_survive() {
        // What is acknowledged is gone, or the failure is told; nothing panics, nothing hangs.
        let _ = member.settle(Delivery::new(held).ack(Vec::new())).await;
    } else {
        member = Member::join(&bus, "work", "group").await?;
    }
    let taken = member.take(2).await?;
    ensure!(texts(&taken) == ["a", "b"], "{taken:?}");
    member.ack_all(taken).await?;
    publish(&bus, "work", &["c"]).await?;
    let leased = member.take_one().await?;
    ensure!(payload(&leased.entry.record) == "c", "{leased:?}");
    Ok(())
}

/// A bus that takes no more says so. What could not be sent is not acknowledged, so nothing is
/// lost; and when there is room again it goes on.
pub(crate) async fn memory_full(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    for (channel, text) in [("work", "job"), ("out", "before"), ("filler", "before")] {
        publish(&bus, channel, &[text]).await?;
    }
    Member::join_as(&bus, "work", "group", "one", FULL_LEASE).await?;
    harness.fill().await?;
    let bus = harness.bus().await?;
    let accepted = fill_up(&bus).await?;
    ensure!(
        answer(&bus, "one").await? == Answered::Refused,
        "the answer must be refused"
    );
    harness.relieve().await?;
    let bus = harness.bus().await?;
    // Not acknowledged: it comes again, to whoever asks then.
    ensure!(
        answer(&bus, "two").await? == Answered::Stored,
        "there is room again"
    );
    expect_one_answer(&bus).await?;
    let fillers = contents(&bus, "filler").await?.len();
    ensure!(
        fillers == accepted + 1,
        "{fillers}: what was accepted is there"
    );
    Ok(())
}

const FULL_LEASE: Duration = Duration::from_secs(2);

#[derive(PartialEq)]
enum Answered {
    Stored,
    Refused,
}

/// Takes the job and answers it.
async fn answer(bus: &Bus, consumer: &str) -> Result<Answered> {
    let mut member = Member::join_as(bus, "work", "group", consumer, FULL_LEASE).await?;
    let leased = member.take_one().await?;
    ensure!(payload(&leased.entry.record) == "job", "{leased:?}");
    match member
        .settle(Delivery::new(leased).ack(vec![large("answer")]))
        .await
    {
        Ok(()) => Ok(Answered::Stored),
        Err(BusError::Full { .. }) => Ok(Answered::Refused),
        Err(error) => Err(error).context("refused for another reason"),
    }
}

async fn expect_one_answer(bus: &Bus) -> Result<()> {
    let out = contents(bus, "out").await?;
    let is_answer = |entry: &&Entry| entry.record.text("id") == Some("id-answer");
    let answers = out.iter().filter(is_answer).count();
    ensure!(answers == 1, "one answer, not {answers}");
    Ok(())
}

/// Larger than any gap that the filling left.
fn large(id: &str) -> nexus_bus::Outgoing {
    let mut record = record(id);
    record.set("payload", vec![b'x'; 60_000]);
    outgoing("out", record)
}

/// Publishes until it is refused, which must name the reason; returns how much was accepted.
async fn fill_up(bus: &Bus) -> Result<usize> {
    for accepted in 0..10_000 {
        let mut filler = record(&accepted.to_string());
        filler.set("payload", vec![b'x'; 20_000]);
        match bus.publish(vec![outgoing("filler", filler)]).await {
            Ok(_) => {}
            Err(error @ BusError::Full { .. }) => {
                ensure!(error.is_transient(), "writers go on trying");
                return Ok(accepted);
            }
            Err(error) => return Err(error).context("refused for another reason"),
        }
    }
    bail!("200 MB are not refused")
}

/// What was acknowledged as stored is there after the server was started again, and what was not
/// settled comes again.
pub(crate) async fn restart(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let lease = Duration::from_secs(2);
    let mut member = Member::join_as(&bus, "work", "group", "one", lease).await?;
    let published = publish_numbers(&bus, "work", 100).await?;
    let mut taken = member.take(60).await?;
    let held = taken.split_off(30);
    member.ack_all(taken).await?;
    harness.restart().await?;
    let bus = harness.bus().await?;
    wait_until(PATIENCE, "the bus to answer", async || {
        Ok(bus.ping().await.is_ok())
    })
    .await?;
    drop((member, held));
    let mut member = Member::join_as(&bus, "work", "group", "two", LONG).await?;
    let again = member.take(70).await?;
    let mut found = texts(&again);
    found.sort_unstable();
    let mut expected: Vec<String> = published.into_iter().skip(30).collect();
    expected.sort_unstable();
    ensure!(found == expected, "{found:?}");
    member.ack_all(again).await?;
    member.take_none().await
}

/// A server that goes away: writers are told, readers wait, and both go on by themselves when it
/// is back.
pub(crate) async fn reconnect(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    publish(&bus, "work", &["before"]).await?;
    let before = member.take_one().await?;
    member.ack(before).await?;
    harness.stop().await?;
    let refused = bus.publish(vec![outgoing("work", record("refused"))]).await;
    let told = matches!(&refused, Err(error) if error.is_transient());
    ensure!(told, "a writer is told: {refused:?}");
    ensure!(bus.ping().await.is_err(), "so is who asks");
    harness.start().await?;
    let reading = member.take_one();
    let writing = wait_until(PATIENCE, "publishing to work again", async || {
        publish(&bus, "work", &["after"]).await?;
        Ok(true)
    });
    let (leased, written) = tokio::join!(reading, writing);
    written?;
    let leased = leased?;
    // The refused one may have been on its way when the connection broke.
    let text = payload(&leased.entry.record);
    ensure!(text == "after" || text == "refused", "{leased:?}");
    Ok(())
}

/// What waits for its time waits through a restart.
pub(crate) async fn a_delay_survives_a_restart(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["soon", "late"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let (soon, late) = (member.take_one().await?, member.take_one().await?);
    member
        .settle(Delivery::new(soon).retry(Duration::from_millis(500)))
        .await?;
    member.settle(Delivery::new(late).retry(LONG * 10)).await?;
    harness.restart().await?;
    let bus = harness.bus().await?;
    wait_until(PATIENCE, "the bus to answer", async || {
        Ok(bus.ping().await.is_ok())
    })
    .await?;
    let mut member = Member::join_as(&bus, "work", "group", "two", LONG).await?;
    let leased = member.take_one().await?;
    ensure!(
        payload(&leased.entry.record) == "soon" && leased.attempts == 2,
        "{leased:?}"
    );
    member.take_none().await?;
    ensure!(
        entry_texts(&contents(&bus, "work").await?) == ["soon", "late"],
        "both are kept"
    );
    Ok(())
}

/// A bus says what it is and how much of what it acknowledged survives.
pub(crate) async fn info(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let info = bus.info().await?;
    ensure!(
        ["embedded", "redis", "nats"].contains(&info.kind),
        "{info:?}"
    );
    ensure!(
        !info.version.is_empty() && !info.durability.is_empty(),
        "{info:?}"
    );
    Ok(())
}
