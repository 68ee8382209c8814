//! What only NATS has: its connection, its limits, its own clients. What every bus must do is in
//! the conformance suite.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_bus::{
    Bus, BusConfig, BusError, BusUrl, Delivery, Expect, Group, GroupSpec, Leased, LiveEntry,
    Outgoing, ReadFrom, Record,
};
use nexus_testkit::{NatsServer, wait_until};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);

async fn open(url: &str, folder: &TempDir) -> Result<Bus> {
    let config = BusConfig::new(BusUrl::Nats(url.to_owned()), folder.path());
    Ok(Bus::connect(&config).await?)
}

async fn start() -> Result<(NatsServer, TempDir, Bus)> {
    let server = nexus_testkit::nats().await?;
    let folder = TempDir::with_prefix("nexus-nats-bus-")?;
    let bus = open(&server.url(), &folder).await?;
    Ok((server, folder, bus))
}

fn outgoing(channel: &str, id: &str) -> Outgoing {
    let record = Record::new([("id".to_owned(), id.to_owned().into())]);
    Outgoing {
        channel: channel.to_owned(),
        record,
    }
}

async fn join(bus: &Bus, consumer: &str, lease: Duration) -> Result<Group> {
    let spec = GroupSpec {
        channel: "work".to_owned(),
        group: "group".to_owned(),
        consumer: consumer.to_owned(),
        lease,
        max_in_flight: 100,
    };
    Ok(bus.group(spec).await?)
}

async fn take(group: &mut Group) -> Result<Leased> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(leased) = group.reader.next(1, Duration::from_secs(1)).await?.pop() {
            return Ok(leased);
        }
        ensure!(Instant::now() < deadline, "nothing was delivered");
    }
}

async fn ask(client: &async_nats::Client, call: &str) -> Result<Value> {
    let answer = client.request(format!("$JS.API.{call}"), "".into()).await?;
    Ok(serde_json::from_slice(&answer.payload)?)
}

#[tokio::test]
async fn a_server_that_comes_up_later_is_found() -> Result<()> {
    let mut server = nexus_testkit::nats().await?;
    let folder = TempDir::with_prefix("nexus-nats-bus-")?;
    server.kill().await?;
    let url = server.url().replace("nats://", "nats://someone:hunter2@");
    let bus = open(&url, &folder)
        .await
        .context("connecting is no error")?;
    let refused = bus.publish(vec![outgoing("work", "early")]).await;
    let Err(error @ BusError::Unreachable { .. }) = refused else {
        anyhow::bail!("{refused:?}")
    };
    let said = error.to_string();
    ensure!(
        said.contains("127.0.0.1") && !said.contains("hunter2"),
        "{said}"
    );
    server.start().await?;
    wait_until(PATIENCE, "the server to be found", async || {
        Ok(bus.ping().await.is_ok())
    })
    .await?;
    ensure!(
        bus.read("work", ReadFrom::Start, 9).await?.is_empty(),
        "what was refused is not kept"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for_without_end() -> Result<()> {
    let (server, _folder, bus) = start().await?;
    bus.publish(vec![outgoing("work", "before")]).await?;
    server.pause()?;
    let began = Instant::now();
    let refused = bus.publish(vec![outgoing("work", "meanwhile")]).await;
    ensure!(
        matches!(refused, Err(BusError::Unreachable { .. })),
        "{refused:?}"
    );
    ensure!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    server.resume()?;
    wait_until(PATIENCE, "the server to go on", async || {
        Ok(bus.ping().await.is_ok())
    })
    .await
}

#[tokio::test]
async fn any_nats_client_can_write_and_read_a_channel() -> Result<()> {
    let (server, _folder, bus) = start().await?;
    bus.publish(vec![outgoing("requests.incoming", "ours")])
        .await?;
    let client = async_nats::connect(server.url()).await?;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("type", "message.submitted");
    let jetstream = async_nats::jetstream::new(client.clone());
    jetstream
        .publish_with_headers("requests.incoming", headers, r#"{"text":"hello"}"#.into())
        .await?
        .await?;
    let read = bus.read("requests.incoming", ReadFrom::Start, 9).await?;
    let foreign = read.get(1).context("two entries")?;
    ensure!(
        foreign.record.text("type") == Some("message.submitted"),
        "{foreign:?}"
    );
    ensure!(
        foreign.record.text("payload") == Some(r#"{"text":"hello"}"#),
        "{foreign:?}"
    );
    let stream = ask(&client, "STREAM.INFO.requests_incoming").await?;
    ensure!(
        stream["config"]["subjects"][0] == "requests.incoming",
        "{stream}"
    );
    ensure!(stream["config"]["discard"] == "new" && stream["config"]["storage"] == "file");
    // Tables as `nats kv` lays them out.
    bus.table_put("control.tools", "math", "on".into(), Expect::Absent)
        .await?;
    let message = jetstream
        .get_stream("KV_control_tools")
        .await?
        .get_last_raw_message_by_subject("$KV.control_tools.math")
        .await?;
    ensure!(message.payload == "on", "{message:?}");
    Ok(())
}

#[tokio::test]
async fn a_record_the_server_would_not_take_says_so() -> Result<()> {
    let (_server, _folder, bus) = start().await?;
    let mut large = outgoing("work", "large");
    large.record.set("metadata", vec![b'x'; 2 * 1024 * 1024]);
    let refused = bus.publish(vec![large]).await;
    let Err(error @ BusError::Config(_)) = refused else {
        anyhow::bail!("{refused:?}")
    };
    ensure!(
        error.to_string().contains("max_payload") && !error.is_transient(),
        "{error}"
    );
    let mut headers_full = outgoing("work", "much");
    headers_full.record.set("metadata", vec![b'x'; 200_000]);
    bus.publish(vec![headers_full.clone()]).await?;
    let read = bus.read("work", ReadFrom::Start, 9).await?;
    ensure!(
        read.iter().all(|entry| entry.record == headers_full.record),
        "above 64 KiB of fields"
    );
    Ok(())
}

#[tokio::test]
async fn a_long_lease_lasts_beside_a_short_one() -> Result<()> {
    let (_server, _folder, bus) = start().await?;
    let short = Duration::from_millis(600);
    let mut hasty = join(&bus, "hasty", short).await?;
    let mut patient = join(&bus, "patient", PATIENCE * 3).await?;
    bus.publish(vec![outgoing("work", "a")]).await?;
    let leased = take(&mut patient).await?;
    let until = Instant::now() + short * 4;
    while Instant::now() < until {
        let stolen = hasty.reader.next(1, short / 2).await?;
        ensure!(stolen.is_empty(), "{stolen:?}");
    }
    drop(patient);
    // Nobody keeps it alive any more: it comes back after the short lease.
    let back = take(&mut hasty).await?;
    ensure!(
        back.entry.id == leased.entry.id && back.attempts == 2,
        "{back:?}"
    );
    Ok(())
}

#[tokio::test]
async fn settled_entries_leave_no_note_of_their_waits() -> Result<()> {
    let (server, _folder, bus) = start().await?;
    let client = async_nats::connect(server.url()).await?;
    let notes = async || anyhow::Ok(ask(&client, "STREAM.INFO.WAITS__").await?);
    let mut group = join(&bus, "one", PATIENCE).await?;
    bus.publish(vec![outgoing("work", "a")]).await?;
    for round in 0..3 {
        let leased = take(&mut group).await?;
        ensure!(leased.attempts == 1, "round {round}: {leased:?}");
        let results = group
            .settler
            .settle(&[Delivery::new(leased).wait(Duration::ZERO)])
            .await;
        ensure!(matches!(results.as_slice(), [Ok(())]), "{results:?}");
    }
    ensure!(
        notes().await?["state"]["messages"] == 1,
        "one note for one entry"
    );
    let leased = take(&mut group).await?;
    let results = group
        .settler
        .settle(&[Delivery::new(leased).ack(Vec::new())])
        .await;
    ensure!(matches!(results.as_slice(), [Ok(())]), "{results:?}");
    ensure!(
        notes().await?["state"]["messages"] == 0,
        "none when it is settled"
    );
    Ok(())
}

#[tokio::test]
async fn two_writers_of_a_topic_count_as_one() -> Result<()> {
    let (server, folder, one) = start().await?;
    let two = open(&server.url(), &folder).await?;
    let entry = [LiveEntry {
        snapshot: false,
        data: "x".into(),
    }];
    let mut counted = Vec::new();
    for _ in 0..20 {
        let (first, second) = tokio::join!(
            one.live_publish("run:1", &entry),
            two.live_publish("run:1", &entry)
        );
        counted.extend([first?, second?]);
    }
    counted.sort_unstable();
    ensure!(counted == (1..=40).collect::<Vec<u64>>(), "{counted:?}");
    Ok(())
}

#[tokio::test]
async fn a_closed_bus_says_so() -> Result<()> {
    let (_server, _folder, bus) = start().await?;
    let mut group = join(&bus, "one", PATIENCE).await?;
    let (waited, ()) = tokio::join!(group.reader.next(1, PATIENCE), bus.close());
    ensure!(matches!(waited, Err(BusError::Closed)), "{waited:?}");
    let refused = bus.publish(vec![outgoing("work", "late")]).await;
    ensure!(matches!(refused, Err(BusError::Closed)), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn the_server_is_described_with_advice() -> Result<()> {
    let (_server, _folder, bus) = start().await?;
    let info = bus.info().await?;
    ensure!(info.kind == "nats", "{info:?}");
    ensure!(
        info.warnings
            .iter()
            .any(|warning| warning.contains("sync_interval")),
        "{info:?}"
    );
    Ok(())
}
