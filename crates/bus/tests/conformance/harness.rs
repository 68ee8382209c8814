//! What a property may do to the bus it is tried on.

use std::path::Path;

use anyhow::{Context, Result};
use async_trait::async_trait;
use nexus_bus::{Bus, BusConfig, BusUrl, INLINE_LIMIT};
use tempfile::TempDir;

/// A backend's server, or the file of the embedded one.
#[async_trait(?Send)]
pub(crate) trait Server {
    /// Where it is.
    fn url(&self) -> BusUrl;

    /// Whether a handle goes on working when the server comes back.
    fn handles_survive(&self) -> bool;

    /// Opens a handle.
    async fn open(&self, config: &BusConfig) -> Result<Bus>;

    /// Stops the server in good order.
    async fn stop(&mut self) -> Result<()>;

    /// Starts it again with what it kept.
    async fn start(&mut self) -> Result<()>;

    /// Makes it forget everything, while it runs where it can.
    async fn flush(&mut self) -> Result<()>;

    /// From now on it takes nothing, or only little more.
    async fn fill(&mut self) -> Result<()>;

    /// It takes messages again.
    async fn relieve(&mut self) -> Result<()>;
}

/// A bus of its own for one test.
pub(crate) struct Harness {
    server: Box<dyn Server>,
    config: BusConfig,
    bus: Option<Bus>,
    folder: TempDir,
}

impl Harness {
    pub(crate) fn new(server: Box<dyn Server>, folder: TempDir) -> Self {
        let mut config = BusConfig::new(server.url(), folder.path().join("blobs"));
        config.prefix = format!("{}:", nexus_testkit::prefix());
        config.inline_limit = INLINE_LIMIT;
        Self {
            server,
            config,
            bus: None,
            folder,
        }
    }

    pub(crate) const fn config(&self) -> &BusConfig {
        &self.config
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The bus; opened on the first call, and again after a handle that did not survive.
    pub(crate) async fn bus(&mut self) -> Result<Bus> {
        if let Some(bus) = &self.bus {
            return Ok(bus.clone());
        }
        let bus = self
            .server
            .open(&self.config)
            .await
            .context("open the bus")?;
        self.bus = Some(bus.clone());
        Ok(bus)
    }

    /// Closes the bus, so that another process may own it where only one can.
    pub(crate) async fn leave(&mut self) {
        if let Some(bus) = self.bus.take() {
            bus.close().await;
        }
    }

    /// Whether handles from before [`Harness::stop`] or [`Harness::flush`] still work.
    pub(crate) fn handles_survive(&self) -> bool {
        self.server.handles_survive()
    }

    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.leave_if_mortal().await;
        self.server.stop().await.context("stop the server")
    }

    pub(crate) async fn start(&mut self) -> Result<()> {
        self.server.start().await.context("start the server again")
    }

    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.leave_if_mortal().await;
        self.server.flush().await.context("make the server forget")
    }

    pub(crate) async fn fill(&mut self) -> Result<()> {
        self.leave_if_mortal().await;
        self.server.fill().await.context("fill the server")
    }

    pub(crate) async fn relieve(&mut self) -> Result<()> {
        self.leave_if_mortal().await;
        self.server.relieve().await.context("relieve the server")
    }

    /// Closes everything in good order.
    pub(crate) async fn end(mut self) {
        self.leave().await;
    }

    async fn leave_if_mortal(&mut self) {
        if !self.handles_survive() {
            self.leave().await;
        }
    }
}
