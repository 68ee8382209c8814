//! Clients that know nothing of Nexus.

use anyhow::{Context, Result};
use nexus_bus::{Delivery, ReadFrom};

use crate::setup::{LONG, Setup};

#[tokio::test]
async fn what_redis_cli_writes_is_read_and_has_one_id_for_everyone() -> Result<()> {
    let setup = Setup::new().await?;
    let payload = r#"{"text":"What is 6*7?"}"#;
    let line = [
        "XADD",
        "work",
        "*",
        "type",
        "message.submitted",
        "payload",
        payload,
    ];
    setup.cli::<String>(&line).await?;

    let mut one = setup.join("one", "a", LONG).await?;
    let mut two = setup.join("two", "b", LONG).await?;
    let (first, second) = (one.take_one().await?, two.take_one().await?);
    let id = first.entry.record.text("id").context("an id")?.to_owned();
    assert_eq!(id.len(), 32);
    assert_eq!(second.entry.record.text("id"), Some(id.as_str()));
    assert_eq!(first.entry.record.text("payload"), Some(payload));

    one.settle(Delivery::new(first).retry(std::time::Duration::ZERO))
        .await?;
    let again = one.take_one().await?;
    assert_eq!(
        again.entry.record.text("id"),
        Some(id.as_str()),
        "a retry is the same message"
    );
    let read = setup.bus.read("work", ReadFrom::Start, 10).await?;
    assert_eq!(
        read.first().and_then(|entry| entry.record.text("id")),
        Some(id.as_str())
    );
    Ok(())
}

#[tokio::test]
async fn a_stream_that_redis_cli_made_is_a_channel() -> Result<()> {
    let setup = Setup::new().await?;
    setup
        .cli::<String>(&["XADD", "requests.incoming.acme", "*", "type", "x"])
        .await?;
    setup.cli::<()>(&["SET", "not-a-stream", "1"]).await?;
    setup
        .bus
        .table_put("settings", "k", "v".into(), nexus_bus::Expect::Any)
        .await?;
    setup.join("one", "a", LONG).await?;
    let channels = setup.bus.channels().await?;
    let found: Vec<_> = channels
        .iter()
        .map(|c| (c.name.as_str(), c.entries, c.groups.len()))
        .collect();
    assert_eq!(found, [("requests.incoming.acme", 1, 0), ("work", 0, 1)]);
    Ok(())
}

#[tokio::test]
async fn a_prefix_keeps_two_buses_on_one_server_apart() -> Result<()> {
    let setup = Setup::new().await?;
    let folder = tempfile::TempDir::new()?;
    let mut config =
        nexus_bus::BusConfig::new(setup.server.url().parse()?, folder.path().join("blobs"));
    config.prefix = "t[1]:".to_owned();
    let prefixed = nexus_bus::Bus::connect(&config).await?;
    prefixed
        .publish(vec![crate::setup::outgoing("work", "a")])
        .await?;
    setup
        .cli::<String>(&["XADD", "t1:other", "*", "type", "x"])
        .await?;
    let names: Vec<_> = prefixed
        .channels()
        .await?
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(names, ["work"]);
    assert_eq!(setup.cli::<u64>(&["XLEN", "t[1]:work"]).await?, 1);
    Ok(())
}
