//! A consumer in a process of its own, to be killed: this test binary, run again.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_testkit::{Spawn, Spawned};

use crate::member::{Member, PATIENCE, texts};

/// Said when everything asked for is held.
const HOLDING: &str = "holding everything";

/// A consumer of channel `work`, group `group`.
pub(crate) struct Consumer {
    child: Spawned,
}

impl Consumer {
    pub(crate) fn start(config: &BusConfig, lease: Duration) -> Result<Self> {
        let url = match &config.url {
            BusUrl::Embedded { path, .. } => format!("embedded:{}", path.display()),
            BusUrl::Redis(url) | BusUrl::Nats(url) => url.clone(),
        };
        let mut child = Spawn::new(std::env::current_exe()?)
            .args(["process::consumer", "--exact", "--ignored", "--nocapture"])
            .with_stdin()
            .start()?;
        let blobs = config.blobs.display().to_string();
        for line in [&url, &config.prefix, &blobs, &lease.as_millis().to_string()] {
            child.send_line(line)?;
        }
        Ok(Self { child })
    }

    /// Takes and acknowledges some, then takes some more and keeps them.
    pub(crate) async fn ack_then_hold(&mut self, ack: usize, hold: usize) -> Result<()> {
        self.child.send_line(&format!("{ack}"))?;
        self.child.send_line(&format!("{hold}"))?;
        self.child.wait_line(PATIENCE, HOLDING).await?;
        Ok(())
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

fn line() -> Result<String> {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 {
        bail!("this test is a process that other tests start and kill; it takes orders on stdin");
    }
    Ok(line.trim_end().to_owned())
}

#[tokio::test]
#[ignore = "started by others as a process of its own"]
async fn consumer() -> Result<()> {
    let url: BusUrl = line()?.parse()?;
    let prefix = line()?;
    let mut config = BusConfig::new(url, PathBuf::from(line()?));
    config.prefix = prefix;
    let lease = Duration::from_millis(line()?.parse().context("a lease")?);
    let (ack, hold) = (line()?.parse()?, line()?.parse()?);
    let bus = Bus::connect(&config).await?;
    let mut member = Member::join_as(&bus, "work", "group", "victim", lease).await?;
    let done = member.take(ack).await?;
    member.ack_all(done).await?;
    let held = member.take(hold).await?;
    println!("{HOLDING}: {:?}", texts(&held));
    // Until it is killed; ends by itself when whoever started it is gone.
    line()?;
    Ok(())
}
