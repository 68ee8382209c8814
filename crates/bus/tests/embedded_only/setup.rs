//! A file, and something in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nexus_bus::{
    Bus, BusConfig, BusError, BusUrl, Delivery, Expect, Group, GroupSpec, Leased, Outgoing, Record,
};

pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn config(path: &Path) -> BusConfig {
    let blobs: PathBuf = path.with_extension("blobs");
    BusConfig::new(
        BusUrl::Embedded {
            path: path.to_owned(),
            read_only: false,
        },
        blobs,
    )
}

pub(crate) async fn open_beside(path: &Path) -> Result<Bus, BusError> {
    let url = BusUrl::Embedded {
        path: path.to_owned(),
        read_only: true,
    };
    Bus::connect(&BusConfig {
        url,
        ..config(path)
    })
    .await
}

pub(crate) async fn open(path: &Path) -> Result<Bus, BusError> {
    Bus::connect(&config(path)).await
}

pub(crate) fn outgoing(text: &str) -> Outgoing {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned().into());
    let record = Record::new([field("type", "test"), field("payload", text)]);
    Outgoing {
        channel: "work".to_owned(),
        record,
    }
}

pub(crate) async fn join(bus: &Bus) -> Result<Group, BusError> {
    let spec = GroupSpec {
        channel: "work".to_owned(),
        group: "group".to_owned(),
        consumer: "one".to_owned(),
        lease: LEASE,
        max_in_flight: 100,
    };
    bus.group(spec).await
}

pub(crate) fn text(leased: &Leased) -> String {
    leased
        .entry
        .record
        .text("payload")
        .unwrap_or_default()
        .to_owned()
}

/// A bus with some of everything in it: settled, open, delayed and undelivered entries, a dead
/// letter, a table. Closed again.
pub(crate) async fn furnish(path: &Path) -> Result<()> {
    let bus = open(path).await?;
    bus.publish(
        (0..40)
            .map(|number| outgoing(&format!("n{number}")))
            .collect(),
    )
    .await?;
    let Group {
        mut reader,
        settler,
    } = join(&bus).await?;
    let mut taken = reader.next(30, Duration::ZERO).await?;
    let held = taken.split_off(20);
    let settlements: Vec<_> = taken
        .into_iter()
        .enumerate()
        .map(|(number, leased)| match number {
            5 => Delivery::new(leased).retry(LEASE),
            6 => Delivery::new(leased).dead("no", Vec::new()),
            _ => Delivery::new(leased).ack(Vec::new()),
        })
        .collect();
    for result in settler.settle(&settlements).await {
        result?;
    }
    drop(held);
    for key in ["a", "b", "c"] {
        bus.table_put("control.tools", key, "value".into(), Expect::Any)
            .await?;
    }
    drop((reader, Arc::clone(&settler)));
    bus.close().await;
    Ok(())
}
