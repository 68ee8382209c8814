//! The bus under measurement: a file, or a server of its own that ends with the run.

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use nexus_testkit::{NatsServer, RedisServer};

/// Which bus.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Backend {
    /// A file.
    Embedded,
    /// A redis-server with AOF, fsync every second.
    Redis,
    /// A nats-server with `JetStream` on disk.
    Nats,
}

impl Backend {
    /// Its name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }
}

/// A bus that is up.
pub(crate) enum Server {
    /// A file.
    Embedded(String),
    /// A server.
    Redis(RedisServer),
    /// A server.
    Nats(NatsServer),
}

impl Server {
    /// Starts it; files go into `folder`.
    pub(crate) async fn start(backend: Backend, folder: &Path) -> Result<Self> {
        Ok(match backend {
            Backend::Embedded => {
                Self::Embedded(format!("embedded:{}", folder.join("bus.db").display()))
            }
            Backend::Redis => Self::Redis(nexus_testkit::redis().await?),
            Backend::Nats => Self::Nats(nexus_testkit::nats().await?),
        })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Embedded(url) => url.clone(),
            Self::Redis(server) => server.url(),
            Self::Nats(server) => server.url(),
        }
    }

    /// Processor seconds the server has used; none for a file.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let port = match self {
            Self::Embedded(_) => return Ok(0.0),
            Self::Redis(server) => server.port(),
            Self::Nats(server) => server.port(),
        };
        crate::measure::cpu_seconds(listener(port)?)
    }
}

/// The process that listens on a port of this machine.
pub(crate) fn listener(port: u16) -> Result<u32> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let local = format!(":{port:04X}");
    let inode = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row.get(1).is_some_and(|at| at.ends_with(&local)) && row.get(3) == Some(&"0A"))
        .and_then(|row| row.get(9).map(|inode| format!("socket:[{inode}]")))
        .with_context(|| format!("nobody listens on port {port}"))?;
    for process in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = |link: std::path::PathBuf| link.as_os_str() == inode.as_str();
        if files
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(holds))
        {
            return Ok(pid);
        }
    }
    anyhow::bail!("no process holds port {port}")
}
