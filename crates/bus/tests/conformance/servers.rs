//! The three kinds of bus.

mod embedded;
mod nats;
mod redis;

use anyhow::Result;
use tempfile::TempDir;

use crate::harness::Harness;

pub(crate) async fn embedded() -> Result<Harness> {
    let folder = TempDir::with_prefix("nexus-bus-")?;
    let server = embedded::File::new(folder.path());
    Ok(Harness::new(Box::new(server), folder))
}

pub(crate) async fn redis() -> Result<Harness> {
    let folder = TempDir::with_prefix("nexus-bus-")?;
    Ok(Harness::new(Box::new(redis::Redis::start().await?), folder))
}

pub(crate) async fn nats() -> Result<Harness> {
    let folder = TempDir::with_prefix("nexus-bus-")?;
    Ok(Harness::new(Box::new(nats::Nats::start().await?), folder))
}
