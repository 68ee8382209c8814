//! The log behind the groups: replay, trimming, figures.

use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_bus::{Backlog, Bus, Delivery, Entry, ReadFrom};
use nexus_testkit::wait_until;

use crate::harness::Harness;
use crate::member::{LONG, Member, PATIENCE, contents, entry_texts, publish, publish_numbers};

/// Reading from an entry on, page by page, disturbs no group.
pub(crate) async fn replay_by_id(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    ensure!(
        bus.read("work", ReadFrom::Start, 10).await?.is_empty(),
        "no channel, no entries"
    );
    publish(&bus, "work", &["a", "b", "c", "d", "e"]).await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let first = bus.read("work", ReadFrom::Start, 2).await?;
    ensure!(entry_texts(&first) == ["a", "b"], "{first:?}");
    let Some(last) = first.last() else {
        anyhow::bail!("two entries")
    };
    let second = bus.read("work", ReadFrom::After(last.id), 2).await?;
    ensure!(entry_texts(&second) == ["c", "d"], "{second:?}");
    ensure!(
        bus.read("work", ReadFrom::End, 10).await?.is_empty(),
        "nothing behind the newest"
    );
    let taken = member.take(5).await?;
    let delivered: Vec<Entry> = taken.into_iter().map(|leased| leased.entry).collect();
    ensure!(
        delivered == contents(&bus, "work").await?,
        "a replay shows what was delivered"
    );
    Ok(())
}

/// Reading from a moment on.
pub(crate) async fn replay_by_time(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["early"]).await?;
    let early = contents(&bus, "work").await?;
    let Some(began) = early.first().map(|entry| entry.stored_at_ms) else {
        anyhow::bail!("one entry")
    };
    // Until the server's clock has moved on.
    wait_until(PATIENCE, "a later millisecond", async || {
        publish(&bus, "work", &["late"]).await?;
        let all = contents(&bus, "work").await?;
        Ok(all
            .last()
            .is_some_and(|entry| entry.stored_at_ms > began + 2))
    })
    .await?;
    let all = contents(&bus, "work").await?;
    ensure!(
        all.is_sorted_by_key(|entry| entry.stored_at_ms),
        "times run forward: {all:?}"
    );
    for moment in [began - 1, began, began + 1, began + 2] {
        let expected: Vec<Entry> = all
            .iter()
            .filter(|entry| entry.stored_at_ms >= moment)
            .cloned()
            .collect();
        let found = bus.read("work", ReadFrom::Time(moment), 10_000).await?;
        ensure!(
            found == expected,
            "from {moment}: {found:?} instead of {expected:?}"
        );
    }
    let future = bus
        .read("work", ReadFrom::Time(began + 86_400_000), 10)
        .await?;
    ensure!(future.is_empty(), "{future:?}");
    Ok(())
}

/// Nothing goes that some group has not received or not settled, however old.
pub(crate) async fn trim_keeps_what_is_not_settled(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut quick = Member::join(&bus, "work", "quick").await?;
    let mut slow = Member::join(&bus, "work", "slow").await?;
    let published = publish_numbers(&bus, "work", 300).await?;
    let taken = quick.take(300).await?;
    quick.ack_all(taken).await?;
    let mut held = slow.take(150).await?;
    held.truncate(100);
    slow.ack_all(held).await?;
    trim_once(&bus).await?;
    let kept = entry_texts(&contents(&bus, "work").await?);
    let needed = published.iter().skip(100);
    ensure!(
        needed.clone().all(|text| kept.contains(text)),
        "pending and undelivered ones stay"
    );
    Ok(())
}

/// What waits for its time is not settled either.
pub(crate) async fn trim_keeps_what_is_delayed(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    let published = publish_numbers(&bus, "work", 300).await?;
    let mut taken = member.take(300).await?;
    let rest = taken.split_off(150);
    for leased in taken.split_off(100) {
        member.settle(Delivery::new(leased).retry(LONG)).await?;
    }
    member.ack_all(taken).await?;
    member.ack_all(rest).await?;
    trim_once(&bus).await?;
    let kept = entry_texts(&contents(&bus, "work").await?);
    let delayed = published.iter().skip(100).take(50);
    ensure!(
        delayed.clone().all(|text| kept.contains(text)),
        "delayed ones stay"
    );
    Ok(())
}

/// Trims with everything that is there now being old.
async fn trim_once(bus: &Bus) -> Result<()> {
    wait_until(PATIENCE, "the entries to be old", async || {
        let newest = contents(bus, "work")
            .await?
            .last()
            .map_or(0, |entry| entry.stored_at_ms);
        publish(bus, "clock", &["tick"]).await?;
        let ticks = contents(bus, "clock").await?;
        Ok(ticks
            .last()
            .is_some_and(|tick| tick.stored_at_ms > newest + 2))
    })
    .await?;
    bus.trim("work", Duration::from_millis(1)).await?;
    Ok(())
}

/// What every group has settled goes when it is older than it is kept for.
pub(crate) async fn trim_drops_what_is(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    publish_numbers(&bus, "work", 1_000).await?;
    let taken = member.take(1_000).await?;
    member.ack_all(taken).await?;
    bus.trim("work", LONG * 60).await?;
    ensure!(
        contents(&bus, "work").await?.len() == 1_000,
        "young ones stay"
    );
    wait_until(PATIENCE, "old entries to go", async || {
        trim_once(&bus).await?;
        // A server may keep some, because it drops whole blocks.
        Ok(contents(&bus, "work").await?.len() < 300)
    })
    .await?;
    publish(&bus, "work", &["next"]).await?;
    let leased = member.take_one().await?;
    ensure!(
        leased.entry.record.text("payload") == Some("next"),
        "{leased:?}"
    );
    ensure!(
        bus.trim("no such channel", LONG).await? == 0,
        "nothing to trim"
    );
    Ok(())
}

/// What a group has before it: not received, and received but not settled, whatever it waits for.
pub(crate) async fn backlog(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut member = Member::join(&bus, "work", "group").await?;
    expect_backlog(&bus, 0, 0).await?;
    publish(&bus, "work", &["a", "b", "c", "d", "e"]).await?;
    expect_backlog(&bus, 5, 0).await?;
    let (a, b) = (member.take_one().await?, member.take_one().await?);
    expect_backlog(&bus, 3, 2).await?;
    member.settle(Delivery::new(a).retry(LONG)).await?;
    expect_backlog(&bus, 3, 2).await?;
    member.ack(b).await?;
    expect_backlog(&bus, 3, 1).await?;
    trim_once(&bus).await?;
    expect_backlog(&bus, 3, 1).await
}

/// The age is that of the oldest entry that is not settled; nothing is as old as nothing.
pub(crate) async fn backlog_age(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    ensure!(
        bus.backlog("work", "group").await? == Backlog::default(),
        "no channel"
    );
    let mut member = Member::join(&bus, "work", "group").await?;
    publish(&bus, "work", &["old"]).await?;
    let old = member.take_one().await?;
    let grown = Duration::from_millis(50);
    wait_until(PATIENCE, "the oldest to grow old", async || {
        publish(&bus, "work", &["young"]).await?;
        let backlog = bus.backlog("work", "group").await?;
        Ok(backlog
            .oldest_age
            .is_some_and(|age| age > grown && age < LONG))
    })
    .await?;
    member.ack(old).await?;
    let young = bus.read("work", ReadFrom::Start, 10_000).await?.len() - 1;
    let rest = member.take(young).await?;
    member.ack_all(rest).await?;
    expect_backlog(&bus, 0, 0).await?;
    ensure!(
        bus.backlog("work", "stranger").await? == Backlog::default(),
        "no such group"
    );
    Ok(())
}

async fn expect_backlog(bus: &Bus, undelivered: u64, pending: u64) -> Result<()> {
    let what = format!("{undelivered} undelivered and {pending} pending");
    wait_until(PATIENCE, &what, async || {
        let backlog = bus.backlog("work", "group").await?;
        anyhow::ensure!(
            backlog.oldest_age.is_some() == (undelivered + pending > 0),
            "{backlog:?}"
        );
        let found = (backlog.undelivered, backlog.pending);
        if found == (undelivered, pending) {
            Ok(true)
        } else {
            anyhow::bail!("{backlog:?}")
        }
    })
    .await
}

/// Every channel is listed with its groups; nothing else is.
pub(crate) async fn channels(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "requests.incoming", &["a", "b"]).await?;
    publish(&bus, "requests.incoming.some-client", &["c"]).await?;
    Member::join(&bus, "requests.incoming", "orchestrator").await?;
    Member::join(&bus, "requests.incoming", "recorder").await?;
    bus.table_put("control.tools", "k", "v".into(), nexus_bus::Expect::Any)
        .await?;
    let entry = nexus_bus::LiveEntry {
        snapshot: true,
        data: "x".into(),
    };
    bus.live_publish("run:1", &[entry]).await?;
    let mut listed = bus.channels().await?;
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<&str> = listed.iter().map(|channel| channel.name.as_str()).collect();
    ensure!(
        names == ["requests.incoming", "requests.incoming.some-client"],
        "{names:?}"
    );
    let mut groups: Vec<String> = listed.iter().flat_map(|c| c.groups.clone()).collect();
    groups.sort_unstable();
    ensure!(groups == ["orchestrator", "recorder"], "{groups:?}");
    let entries: Vec<u64> = listed.iter().map(|channel| channel.entries).collect();
    ensure!(entries == [2, 1], "{entries:?}");
    Ok(())
}

/// A channel has one name for its life, the same for everyone who asks, and another after it was
/// lost.
pub(crate) async fn incarnation(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    publish(&bus, "other", &["a"]).await?;
    let first = bus.incarnation("work").await?;
    ensure!(
        !first.is_empty() && first == bus.incarnation("work").await?,
        "{first}"
    );
    ensure!(
        first != bus.incarnation("other").await?,
        "each channel has its own"
    );
    harness.restart().await?;
    let bus = harness.bus().await?;
    let found = || async { anyhow::Ok(bus.incarnation("work").await? == first) };
    wait_until(PATIENCE, "the same incarnation after a restart", found).await?;
    harness.flush().await?;
    let bus = harness.bus().await?;
    publish(&bus, "work", &["a"]).await?;
    ensure!(
        bus.incarnation("work").await? != first,
        "lost with the data"
    );
    Ok(())
}
