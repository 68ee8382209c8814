//! Groups: delays, leases, and groups that go away.

use std::time::Duration;

use anyhow::{Context, Result};
use nexus_bus::{Delivery, ReadFrom};
use nexus_testkit::wait_until;
use tokio::time::{Instant, timeout};

use crate::setup::{LONG, Member, PATIENCE, SHORT, Setup, outgoing, publish, texts};

#[tokio::test]
async fn a_delayed_delivery_ends_a_read_that_blocks_for_longer() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", LONG).await?;
    publish(&setup.bus, &["a"]).await?;
    let leased = member.take_one().await?;
    let settler = std::sync::Arc::clone(&member.settler);
    let began = Instant::now();
    let retry = [Delivery::new(leased).retry(Duration::from_millis(150))];
    let (read, settled) = tokio::join!(member.reader.next(1, LONG), async {
        tokio::task::yield_now().await;
        settler.settle(&retry).await
    });
    settled.into_iter().collect::<Result<Vec<()>, _>>()?;
    assert_eq!(texts(&read?), ["a"]);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(150) && took < Duration::from_millis(800),
        "{took:?}"
    );
    Ok(())
}

#[tokio::test]
async fn another_process_takes_what_a_dead_one_has_delayed() -> Result<()> {
    let setup = Setup::new().await?;
    let mut dead = setup.join("group", "dead", LONG).await?;
    publish(&setup.bus, &["a"]).await?;
    let leased = dead.take_one().await?;
    dead.settle(Delivery::new(leased).retry(Duration::from_millis(100)))
        .await?;
    drop(dead);
    let bus = setup.another_bus().await?;
    let mut other = Member::join(&bus, "group", "other", LONG).await?;
    let leased = timeout(Duration::from_secs(5), other.take_one()).await??;
    assert_eq!(leased.attempts, 2);
    Ok(())
}

#[tokio::test]
async fn a_delayed_delivery_whose_place_is_lost_is_due() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", SHORT).await?;
    publish(&setup.bus, &["a"]).await?;
    let leased = member.take_one().await?;
    member.settle(Delivery::new(leased).wait(LONG)).await?;
    assert_eq!(setup.cli::<u64>(&["DEL", "work.delayed.group"]).await?, 1);
    let leased = member.take_one().await?;
    assert_eq!(leased.attempts, 1, "waiting was not counted: {leased:?}");
    Ok(())
}

#[tokio::test]
async fn delayed_deliveries_are_pending_and_never_trimmed() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", LONG).await?;
    publish(&setup.bus, &["a", "b"]).await?;
    let mut taken = member.take(2).await?;
    let (b, a) = (taken.pop().context("b")?, taken.pop().context("a")?);
    member.settle(Delivery::new(b).retry(LONG)).await?;
    member.settle(Delivery::new(a).ack(Vec::new())).await?;
    assert_eq!(setup.bus.trim("work", Duration::ZERO).await?, 1);
    let kept = setup.bus.read("work", ReadFrom::Start, 10).await?;
    assert_eq!(kept.len(), 1);
    let backlog = setup.bus.backlog("work", "group").await?;
    assert_eq!((backlog.undelivered, backlog.pending), (0, 1));
    assert!(backlog.oldest_age.is_some());
    Ok(())
}

#[tokio::test]
async fn a_group_that_was_destroyed_goes_on_behind_its_checkpoint() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", SHORT).await?;
    publish(&setup.bus, &["settled", "held"]).await?;
    let mut taken = member.take(2).await?;
    let (held, settled) = (
        taken.pop().context("held")?,
        taken.pop().context("settled")?,
    );
    member
        .settle(Delivery::new(settled).ack(Vec::new()))
        .await?;
    wait_until(
        PATIENCE,
        "a checkpoint behind the settled one",
        async || {
            // The reader keeps the checkpoint on its rounds; the delivery stays held.
            member
                .settler
                .extend(std::slice::from_ref(&held.token))
                .await?;
            member.reader.next(1, Duration::from_millis(20)).await?;
            let mark: Option<String> = setup.cli(&["HGET", "work.checkpoints", "group"]).await?;
            let first: Vec<(String, Vec<String>)> = setup
                .cli(&["XRANGE", "work", "-", "+", "COUNT", "1"])
                .await?;
            let mark = mark.and_then(|mark| mark.parse::<nexus_bus::EntryId>().ok());
            Ok(first.first().and_then(|(id, _)| id.parse().ok()) <= mark && mark.is_some())
        },
    )
    .await?;
    assert_eq!(
        setup
            .cli::<u64>(&["XGROUP", "DESTROY", "work", "group"])
            .await?,
        1
    );
    publish(&setup.bus, &["new"]).await?;
    assert_eq!(texts(&member.take(2).await?), ["held", "new"]);
    Ok(())
}

#[tokio::test]
async fn consumers_long_gone_are_forgotten() -> Result<()> {
    let setup = Setup::new().await?;
    let mut gone = setup.join("group", "gone", SHORT).await?;
    publish(&setup.bus, &["a"]).await?;
    let leased = gone.take_one().await?;
    gone.settle(Delivery::new(leased).ack(Vec::new())).await?;
    drop(gone);
    let mut member = setup
        .join("group", "one", Duration::from_millis(20))
        .await?;
    wait_until(PATIENCE, "the consumer to be forgotten", async || {
        member.reader.next(1, Duration::from_millis(20)).await?;
        let leases: Vec<String> = setup.cli(&["HKEYS", "work.leases.group"]).await?;
        Ok(leases == ["one"])
    })
    .await
}

#[tokio::test]
async fn an_entry_that_was_deleted_while_it_was_held_is_let_go() -> Result<()> {
    let setup = Setup::new().await?;
    let mut hung = setup.join("group", "hung", SHORT).await?;
    publish(&setup.bus, &["a", "b"]).await?;
    let taken = hung.take(2).await?;
    let first = taken.first().context("two")?.entry.id.to_string();
    assert_eq!(setup.cli::<u64>(&["XDEL", "work", &first]).await?, 1);
    let mut other = setup.join("group", "other", SHORT).await?;
    let leased = other.take_one().await?;
    assert_eq!(texts(std::slice::from_ref(&leased)), ["b"]);
    other.settle(Delivery::new(leased).ack(Vec::new())).await?;
    wait_until(PATIENCE, "nothing pending", async || {
        other.reader.next(1, Duration::from_millis(50)).await?;
        Ok(setup.bus.backlog("work", "group").await?.pending == 0)
    })
    .await
}

#[tokio::test]
async fn an_append_that_is_refused_is_reported_for_its_settlement_alone() -> Result<()> {
    let setup = Setup::new().await?;
    setup
        .cli::<()>(&["SET", "taken", "by something else"])
        .await?;
    let mut member = setup.join("group", "one", LONG).await?;
    publish(&setup.bus, &["a", "b"]).await?;
    let batch: Vec<_> = member
        .take(2)
        .await?
        .into_iter()
        .zip(["taken", "out"])
        .map(|(leased, channel)| Delivery::new(leased).ack(vec![outgoing(channel, "x")]))
        .collect();
    let results = member.settler.settle(&batch).await;
    assert!(
        matches!(results.as_slice(), [Err(_), Ok(())]),
        "{results:?}"
    );
    assert_eq!(setup.bus.read("out", ReadFrom::Start, 10).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_message_costs_no_more_commands_than_it_must() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", LONG).await?;
    publish(&setup.bus, &["first"]).await?;
    let mut leased = member.take_one().await?;
    setup.cli::<()>(&["CONFIG", "RESETSTAT"]).await?;
    for _ in 0..200 {
        // One transaction: MULTI, XADD, XACK, EXEC.
        member
            .settle(Delivery::new(leased).ack(vec![outgoing("work", "x")]))
            .await?;
        leased = member.take_one().await?;
    }
    let stats: String = setup.cli(&["INFO", "commandstats"]).await?;
    let calls = |command: &str| -> u64 {
        let line = stats
            .lines()
            .find(|line| line.starts_with(&format!("cmdstat_{command}:")));
        let calls = line.and_then(|line| line.split_once("calls=")?.1.split(',').next());
        calls
            .and_then(|calls| calls.parse().ok())
            .unwrap_or_default()
    };
    assert_eq!(
        (calls("xadd"), calls("xack"), calls("exec")),
        (200, 200, 200),
        "{stats}"
    );
    // Looks around for due and left-behind deliveries go by time, not by message.
    assert!(
        calls("xreadgroup") <= 220 && calls("evalsha") <= 40,
        "{stats}"
    );
    Ok(())
}

/// What the server calls `lag` is off for ever after this: it counts entries that were read, and that
/// count is not written to a log that was rewritten meanwhile.
#[tokio::test]
async fn nothing_is_left_over_after_a_restart_from_a_rewritten_log() -> Result<()> {
    let mut setup = Setup::new().await?;
    let mut member = setup.join("group", "one", LONG).await?;
    let handle = async |setup: &Setup, member: &mut Member, text: &str| {
        publish(&setup.bus, &[text]).await?;
        let leased = member.take_one().await?;
        member.settle(Delivery::new(leased).ack(Vec::new())).await?;
        anyhow::Ok(())
    };
    handle(&setup, &mut member, "a").await?;
    let _started: String = setup.cli(&["BGREWRITEAOF"]).await?;
    wait_until(PATIENCE, "the log to be rewritten", async || {
        let told: String = setup.cli(&["INFO", "persistence"]).await?;
        let done = |line: &str| told.lines().any(|told| told == line);
        Ok(done("aof_rewrite_in_progress:0") && done("aof_rewrite_scheduled:0"))
    })
    .await?;
    handle(&setup, &mut member, "b").await?;
    handle(&setup, &mut member, "c").await?;
    setup.server.kill().await?;
    setup.server.start().await?;
    let left = async || {
        let backlog = setup.bus.backlog("work", "group").await?;
        anyhow::Ok((backlog.undelivered, backlog.pending))
    };
    // Connections are made anew.
    wait_until(PATIENCE, "the server", async || {
        setup.bus.ping().await?;
        Ok(true)
    })
    .await?;
    assert_eq!(left().await?, (0, 0));
    publish(&setup.bus, &["d", "e"]).await?;
    assert_eq!(left().await?, (2, 0));
    Ok(())
}
