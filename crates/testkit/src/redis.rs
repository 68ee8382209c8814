//! A real `redis-server` for one test.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Signal, Spawn};
use crate::server::{Kind, Look, Server};

/// Starts Redis with an append-only file (`everysec`) and no snapshots.
///
/// # Errors
/// When `redis-server` is not installed or does not start.
pub async fn redis() -> Result<RedisServer> {
    redis_with(&[]).await
}

/// As [`redis()`], with more options, for example `["--maxmemory", "20mb"]`. They stay in force
/// when the server is started again.
///
/// # Errors
/// As [`redis()`].
pub async fn redis_with(options: &[&str]) -> Result<RedisServer> {
    let options = options.iter().map(|&option| option.to_owned()).collect();
    let dir = TempDir::with_prefix("nexus-redis-").context("make a folder for Redis")?;
    Ok(RedisServer(
        Server::start_new(Redis { options }, dir).await?,
    ))
}

/// A running Redis. Gone, with its data, when dropped.
pub struct RedisServer(Server<Redis>);

impl RedisServer {
    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// The port it listens on, the same for its whole life.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.0.port()
    }

    /// The folder with its append-only file.
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

    /// Starts it again on the same port with the data that reached its file.
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

struct Redis {
    options: Vec<String>,
}

impl Kind for Redis {
    const NAME: &'static str = "redis-server";

    fn spawn(&self, port: u16, dir: &Path) -> Spawn {
        Spawn::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--daemonize",
                "no",
            ])
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(dir)
            .args(&self.options)
            .dir(dir)
    }

    async fn is_ready(&self, server: Look<'_>) -> Result<bool> {
        // INFO names the process: another server may have taken the port a moment earlier.
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
        stream.write_all(b"INFO\r\n").await?;
        let ours = format!("process_id:{}\r\n", server.pid);
        let mut answer = Vec::new();
        let mut chunk = [0_u8; 8192];
        let read = async {
            loop {
                let count = stream.read(&mut chunk).await?;
                answer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                let text = String::from_utf8_lossy(&answer);
                if text.contains("\r\nloading:") || text.starts_with('-') || count == 0 {
                    return Ok(text.contains(&ours) && text.contains("\r\nloading:0\r\n"));
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(2), read).await?
    }
}
