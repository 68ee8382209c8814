//! The embedded bus: a file. What is done to a server elsewhere is done to the file here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use nexus_bus::embedded::Embedded;
use nexus_bus::{Blobs, Bus, BusConfig, BusUrl};

use crate::harness::Server;

/// Room beyond what the file has when it is filled.
const ROOM: u64 = 100_000;

pub(crate) struct File {
    path: PathBuf,
    max_bytes: Option<u64>,
}

impl File {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("bus.db"),
            max_bytes: None,
        }
    }
}

#[async_trait(?Send)]
impl Server for File {
    fn url(&self) -> BusUrl {
        BusUrl::Embedded {
            path: self.path.clone(),
            read_only: false,
        }
    }

    fn handles_survive(&self) -> bool {
        false
    }

    async fn open(&self, config: &BusConfig) -> Result<Bus> {
        let Some(max_bytes) = self.max_bytes else {
            return Ok(Bus::connect(config).await?);
        };
        let backend = Embedded::open(&self.path, config.durability, Some(max_bytes)).await?;
        let blobs = Blobs::local(&config.blobs, config.inline_limit)?;
        Ok(Bus::over(Arc::new(backend), blobs))
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }

    async fn start(&mut self) -> Result<()> {
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        for ending in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(ending);
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.max_bytes = Some(std::fs::metadata(&self.path)?.len() + ROOM);
        Ok(())
    }

    async fn relieve(&mut self) -> Result<()> {
        self.max_bytes = None;
        Ok(())
    }
}
