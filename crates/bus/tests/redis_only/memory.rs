//! Memory full.

use anyhow::{Context, Result, ensure};
use nexus_bus::{BusError, Delivery, ReadFrom};

use crate::setup::{LONG, Setup, outgoing, publish, texts};

async fn fill(setup: &Setup) -> Result<()> {
    setup.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await
}

#[tokio::test]
async fn with_memory_full_nothing_is_acknowledged_that_could_not_be_sent() -> Result<()> {
    let setup = Setup::with(&["--maxmemory-policy", "noeviction"]).await?;
    let mut member = setup.join("group", "one", LONG).await?;
    publish(&setup.bus, &["a", "b", "c"]).await?;
    let mut taken = member.take(3).await?;
    let (c, b, a) = (taken.pop(), taken.pop(), taken.pop());
    fill(&setup).await?;

    let full = |result: &Result<(), BusError>| matches!(result, Err(BusError::Full { .. }));
    let sends = Delivery::new(a.context("a")?).ack(vec![outgoing("out", "x")]);
    let retries = Delivery::new(b.context("b")?).retry(std::time::Duration::ZERO);
    let results = member
        .settler
        .settle(&[sends.clone(), retries.clone()])
        .await;
    ensure!(results.iter().all(full), "{results:?}");
    let published = setup
        .bus
        .publish(vec![outgoing("x", "1"), outgoing("x", "2")])
        .await;
    ensure!(
        matches!(published, Err(BusError::Full { .. })),
        "{published:?}"
    );
    assert_eq!(setup.bus.backlog("work", "group").await?.pending, 3);
    // What needs no memory goes on: it is what makes room.
    member
        .settle(Delivery::new(c.context("c")?).ack(Vec::new()))
        .await?;
    setup.join("group", "two", LONG).await?;

    setup
        .cli::<()>(&["CONFIG", "SET", "maxmemory", "0"])
        .await?;
    let results = member.settler.settle(&[sends, retries]).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(texts(&member.take(1).await?), ["b"]);
    assert_eq!(setup.bus.read("out", ReadFrom::Start, 10).await?.len(), 1);
    assert_eq!(setup.bus.backlog("work", "group").await?.pending, 1);
    Ok(())
}

#[tokio::test]
async fn a_server_that_would_evict_channels_is_warned_about() -> Result<()> {
    let setup = Setup::with(&["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"]).await?;
    let info = setup.bus.info().await?;
    assert_eq!(info.kind, "redis");
    ensure!(!info.version.is_empty());
    let warnings = info.warnings.join("\n");
    ensure!(
        warnings.contains("noeviction") && warnings.contains("appendonly"),
        "{warnings}"
    );
    let good = Setup::new().await?.bus.info().await?;
    ensure!(
        good.warnings.is_empty() && good.durability.contains("kill -9"),
        "{good:?}"
    );
    Ok(())
}
