//! Servers that are away, connections that break, and what is left of them at the end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use nexus_bus::{Bus, BusConfig, BusError, Delivery, Expect, LiveEntry, LiveItem, TableChange};
use nexus_testkit::wait_until;
use tokio::time::timeout;

use crate::setup::{LONG, Member, PATIENCE, Setup, open, outgoing, publish, texts};

#[tokio::test]
async fn a_bus_opens_while_its_server_is_down_and_works_when_it_is_up() -> Result<()> {
    let mut server = nexus_testkit::redis().await?;
    server.kill().await?;
    let folder = tempfile::TempDir::new()?;
    let bus = open(&server, &folder).await?;
    let error = bus.ping().await.err().context("the server is down")?;
    assert!(
        matches!(error, BusError::Unreachable { .. }) && error.is_transient(),
        "{error}"
    );
    let mut changes = bus.table_watch("settings").await?;
    let mut reports = bus.live_subscribe("run:1", 0).await?;
    server.start().await?;
    wait_until(PATIENCE, "a publication", async || {
        bus.publish(vec![outgoing("work", "a")]).await?;
        Ok(true)
    })
    .await?;
    assert_eq!(
        timeout(PATIENCE, changes.next()).await?,
        Some(TableChange::Ready)
    );
    let entry = LiveEntry {
        snapshot: true,
        data: "x".into(),
    };
    bus.live_publish("run:1", &[entry]).await?;
    let heard = timeout(PATIENCE, reports.next()).await?;
    assert!(
        matches!(heard, Some(LiveItem::Entry { sequence: 1, .. })),
        "{heard:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_address_never_shows_its_password() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    let folder = tempfile::TempDir::new()?;
    let url = format!("redis://user:secret@127.0.0.1:{}", server.port()).parse()?;
    let bus = Bus::connect(&BusConfig::new(url, folder.path())).await?;
    let error = bus
        .ping()
        .await
        .err()
        .context("a wrong password")?
        .to_string();
    assert!(!error.contains("secret"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_reader_outlives_every_connection_and_loses_nothing() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", LONG).await?;
    for round in 0..5 {
        publish(&setup.bus, &[&format!("{round}")]).await?;
        let leased = member.take_one().await?;
        assert_eq!(texts(std::slice::from_ref(&leased)), [format!("{round}")]);
        setup
            .cli::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await?;
        member.settle(Delivery::new(leased).ack(Vec::new())).await?;
    }
    assert_eq!(setup.bus.backlog("work", "group").await?.pending, 0);
    Ok(())
}

#[tokio::test]
async fn what_was_delivered_to_a_broken_connection_comes_at_once() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", LONG).await?;
    // Given up in the middle of a blocking read, which the server goes on with.
    let given_up = timeout(Duration::from_millis(50), member.reader.next(1, LONG)).await;
    ensure!(given_up.is_err(), "there was nothing to read");
    publish(&setup.bus, &["a"]).await?;
    wait_until(PATIENCE, "the delivery to nobody", async || {
        Ok(setup.bus.backlog("work", "group").await?.undelivered == 0)
    })
    .await?;
    let leased = timeout(Duration::from_secs(5), member.take_one()).await??;
    assert_eq!(leased.attempts, 1, "it never reached anyone: {leased:?}");
    Ok(())
}

#[tokio::test]
async fn a_reconnect_tells_watchers_everything_again() -> Result<()> {
    let setup = Setup::new().await?;
    setup
        .bus
        .table_put("settings", "kept", "1".into(), Expect::Any)
        .await?;
    setup
        .bus
        .table_put("settings", "gone", "1".into(), Expect::Any)
        .await?;
    let mut changes = setup.bus.table_watch("settings").await?;
    for _ in 0..3 {
        timeout(PATIENCE, changes.next()).await?;
    }
    let mut reports = setup.bus.live_subscribe("run:1", 0).await?;
    let entry = |text: &'static str| LiveEntry {
        snapshot: false,
        data: text.into(),
    };
    setup.bus.live_publish("run:1", &[entry("a")]).await?;
    ensure!(matches!(
        timeout(PATIENCE, reports.next()).await?,
        Some(LiveItem::Entry { .. })
    ));

    setup
        .cli::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"])
        .await?;
    setup
        .bus
        .table_delete("settings", "gone", Expect::Any)
        .await?;
    setup.bus.live_publish("run:1", &[entry("b")]).await?;
    let mut heard = Vec::new();
    while heard.last() != Some(&TableChange::Ready) {
        heard.push(
            timeout(PATIENCE, changes.next())
                .await?
                .context("a change")?,
        );
    }
    ensure!(
        heard.contains(&TableChange::Deleted {
            key: "gone".to_owned()
        }),
        "{heard:?}"
    );
    ensure!(
        heard
            .iter()
            .any(|c| matches!(c, TableChange::Put(v) if v.key == "kept"))
    );
    let heard = timeout(PATIENCE, reports.next()).await?;
    assert!(
        matches!(heard, Some(LiveItem::Entry { sequence: 2, .. })),
        "{heard:?}"
    );
    Ok(())
}

#[tokio::test]
async fn all_subscriptions_share_one_connection() -> Result<()> {
    let setup = Setup::new().await?;
    let mut streams = Vec::new();
    for topic in 0..50 {
        streams.push(setup.bus.live_subscribe(&format!("run:{topic}"), 0).await?);
    }
    for (topic, stream) in streams.iter_mut().enumerate() {
        let entry = LiveEntry {
            snapshot: true,
            data: format!("{topic}").into(),
        };
        setup
            .bus
            .live_publish(&format!("run:{topic}"), &[entry])
            .await?;
        let heard = timeout(PATIENCE, stream.next()).await?;
        ensure!(
            matches!(heard, Some(LiveItem::Entry { sequence: 1, .. })),
            "{heard:?}"
        );
    }
    let listeners: String = setup.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]).await?;
    assert_eq!(listeners.lines().count(), 1, "{listeners}");
    drop(streams);
    wait_until(PATIENCE, "the end of the subscriptions", async || {
        let listeners: String = setup.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]).await?;
        Ok(listeners.contains(" sub=0 ") || listeners.is_empty())
    })
    .await
}

#[tokio::test]
async fn closing_ends_what_waits_and_leaves_no_connection() -> Result<()> {
    let setup = Setup::new().await?;
    let bus = setup.another_bus().await?;
    let mut member = Member::join(&bus, "group", "one", LONG).await?;
    let mut changes = bus.table_watch("settings").await?;
    timeout(PATIENCE, changes.next()).await?;
    setup.bus.ping().await?;
    let (next, ()) = tokio::join!(member.reader.next(1, LONG), async {
        tokio::task::yield_now().await;
        bus.close().await;
    });
    assert!(matches!(next, Err(BusError::Closed)), "{next:?}");
    assert_eq!(timeout(PATIENCE, changes.next()).await?, None);
    assert!(matches!(bus.ping().await, Err(BusError::Closed)));
    drop((member, changes, bus));
    wait_until(PATIENCE, "its connections to be gone", async || {
        let clients: String = setup.cli(&["CLIENT", "LIST"]).await?;
        // The raw client and the other bus.
        Ok(clients.lines().count() == 2)
    })
    .await
}

#[tokio::test]
async fn dropping_everything_ends_the_shared_subscriber() -> Result<()> {
    let setup = Setup::new().await?;
    let bus = setup.another_bus().await?;
    let mut changes = bus.table_watch("settings").await?;
    assert_eq!(
        timeout(PATIENCE, changes.next()).await?,
        Some(TableChange::Ready)
    );
    drop((changes, bus));
    wait_until(PATIENCE, "its connections to be gone", async || {
        let listeners: String = setup.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]).await?;
        Ok(listeners.is_empty())
    })
    .await
}

#[tokio::test]
async fn a_frozen_server_is_noticed_and_costs_nothing() -> Result<()> {
    let setup = Setup::new().await?;
    let mut member = setup.join("group", "one", LONG).await?;
    member.reader.next(1, Duration::from_millis(1)).await?;
    setup.server.pause()?;
    let (read, published) = tokio::join!(
        timeout(PATIENCE, member.reader.next(1, Duration::from_secs(1))),
        timeout(PATIENCE, setup.bus.publish(vec![outgoing("work", "a")])),
    );
    setup.server.resume()?;
    let told = |error: Option<BusError>| error.is_some_and(|error| error.is_transient());
    ensure!(told(read?.err()) && told(published?.err()), "both are told");
    publish(&setup.bus, &["after"]).await?;
    // The one whose outcome was not known may have been stored too, before it.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while !seen.iter().any(|text| text == "after") && tokio::time::Instant::now() < deadline {
        let leased = member.take_one().await?;
        seen.extend(texts(std::slice::from_ref(&leased)));
        member.settle(Delivery::new(leased).ack(Vec::new())).await?;
    }
    ensure!(seen.last().is_some_and(|text| text == "after"), "{seen:?}");
    Ok(())
}
