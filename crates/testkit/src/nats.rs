//! A real `nats-server` with `JetStream` for one test.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use crate::process::{Signal, Spawn};
use crate::server::{Kind, Look, Server, prefix};

/// Starts NATS with `JetStream`, stored on disk.
///
/// # Errors
/// When `nats-server` is not installed or does not start.
pub async fn nats() -> Result<NatsServer> {
    nats_with(&[]).await
}

/// As [`nats()`], with more options. They stay in force when the server is started again.
///
/// # Errors
/// As [`nats()`].
pub async fn nats_with(options: &[&str]) -> Result<NatsServer> {
    let options = options.iter().map(|&option| option.to_owned()).collect();
    let dir = TempDir::with_prefix("nexus-nats-").context("make a folder for NATS")?;
    let kind = Nats {
        name: prefix(),
        options,
    };
    Ok(NatsServer(Server::start_new(kind, dir).await?))
}

/// A running NATS. Gone, with its data, when dropped.
pub struct NatsServer(Server<Nats>);

impl NatsServer {
    /// `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// The port it listens on, the same for its whole life.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.0.port()
    }

    /// The folder with its streams.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.0.dir()
    }

    /// Stops it in good order and starts it again with its data.
    ///
    /// # Errors
    /// When it is not running or does not come back.
    pub async fn restart(&mut self) -> Result<()> {
        self.0.stop(Signal::Terminate).await?;
        self.0.start().await
    }

    /// Stops it in good order; [`Self::start`] brings it back with its data.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn stop(&mut self) -> Result<()> {
        self.0.stop(Signal::Terminate).await
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// When it is not running.
    pub async fn kill(&mut self) -> Result<()> {
        self.0.kill().await
    }

    /// Starts it again on the same port with the data that reached its files.
    ///
    /// # Errors
    /// When it is running already or does not start.
    pub async fn start(&mut self) -> Result<()> {
        self.0.start().await
    }

    /// Freezes it: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> Result<()> {
        self.0.signal(Signal::Stop)
    }

    /// Thaws it.
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> Result<()> {
        self.0.signal(Signal::Continue)
    }
}

struct Nats {
    name: String,
    options: Vec<String>,
}

impl Kind for Nats {
    const NAME: &'static str = "nats-server";

    fn spawn(&self, port: u16, dir: &Path) -> Spawn {
        // Debian puts the server in /usr/sbin, which an ordinary user's search path leaves out.
        let debian = Path::new("/usr/sbin/nats-server");
        Spawn::new(if debian.exists() {
            debian
        } else {
            Path::new("nats-server")
        })
        .args([
            "-a",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-js",
            "-n",
            &self.name,
            "-sd",
        ])
        .arg(dir)
        .args(&self.options)
        .dir(dir)
    }

    async fn is_ready(&self, server: Look<'_>) -> Result<bool> {
        // The greeting names the server: another may have taken the port a moment earlier.
        let stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
        let mut greeting = String::new();
        let read = BufReader::new(stream);
        let mut read = std::pin::pin!(read);
        tokio::time::timeout(Duration::from_secs(2), read.read_line(&mut greeting)).await??;
        let ours = format!("\"server_name\":\"{}\"", self.name);
        Ok(greeting.contains(&ours) && greeting.contains("\"jetstream\":true"))
    }
}
