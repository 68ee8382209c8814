//! Making servers lose what they were given. Told in the servers' own protocols, so that no client
//! library is needed for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for a server's answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes everything a Redis holds (`FLUSHALL`).
///
/// # Errors
/// When the server does not answer, or refuses.
pub async fn flush_redis(port: u16) -> Result<()> {
    let flush = async {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
        stream.write_all(b"FLUSHALL\r\n").await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        ensure!(answer.starts_with("+OK"), "FLUSHALL: {answer}");
        Ok(())
    };
    timeout(PATIENCE, flush)
        .await
        .context("FLUSHALL: no answer")?
}

/// Cuts the last `bytes` off the append-only file of a Redis that is not running, as a crash of the
/// machine would; gives how many there were to cut.
///
/// # Errors
/// When there is no such file.
pub fn truncate_aof(dir: &Path, bytes: u64) -> Result<u64> {
    let newest = increments(&dir.join("appendonlydir"))?
        .into_iter()
        .max()
        .context("no append-only file")?
        .1;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&newest)
        .with_context(|| newest.display().to_string())?;
    let cut = file.metadata()?.len().min(bytes);
    file.set_len(file.metadata()?.len() - cut)?;
    Ok(cut)
}

/// The incremental files of an append-only folder, by their number.
fn increments(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name
            .and_then(|name| name.strip_suffix(".incr.aof"))
            .and_then(|name| name.rsplit_once('.')?.1.parse().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// What is done to every stream of a NATS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamLoss {
    /// Its messages go; the stream and its consumers stay.
    Purge,
    /// It goes, with everything about it.
    Delete,
}

/// Makes a NATS lose what is in its streams; gives how many there were.
///
/// # Errors
/// When the server does not answer, or refuses.
pub async fn lose_streams(port: u16, loss: StreamLoss) -> Result<usize> {
    let verb = match loss {
        StreamLoss::Purge => "PURGE",
        StreamLoss::Delete => "DELETE",
    };
    let lose = async {
        let mut nats = JetStream::connect(port).await?;
        let names = nats.ask("NAMES").await?;
        let streams = names.get("streams").and_then(Value::as_array);
        let streams = streams.cloned().unwrap_or_default();
        for stream in streams.iter().filter_map(Value::as_str) {
            let answer = nats.ask(&format!("{verb}.{stream}")).await?;
            let refused = answer.get("error");
            ensure!(refused.is_none(), "{verb} {stream}: {refused:?}");
        }
        Ok(streams.len())
    };
    timeout(PATIENCE, lose)
        .await
        .with_context(|| format!("{verb} streams: no answer"))?
}

/// As much of the NATS protocol as it takes to ask for something about streams.
struct JetStream(BufReader<TcpStream>);

/// Where answers go.
const INBOX: &str = "loss.answers";

impl JetStream {
    async fn connect(port: u16) -> Result<Self> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
        let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {INBOX} 1\r\n");
        stream.write_all(hello.as_bytes()).await?;
        Ok(Self(stream))
    }

    async fn ask(&mut self, what: &str) -> Result<Value> {
        let question = format!("PUB $JS.API.STREAM.{what} {INBOX} 0\r\n\r\n");
        self.0.write_all(question.as_bytes()).await?;
        loop {
            let mut line = String::new();
            ensure!(
                self.0.read_line(&mut line).await? > 0,
                "the connection ended"
            );
            if line.starts_with("PING") {
                self.0.write_all(b"PONG\r\n").await?;
            } else if line.starts_with("-ERR") {
                bail!("{}", line.trim());
            } else if let Some(size) = line.strip_prefix("MSG ").and_then(|line| {
                let size = line.split_whitespace().last()?;
                size.parse::<usize>().ok()
            }) {
                // The answer and the line end behind it.
                let mut answer = vec![0; size + 2];
                self.0.read_exact(&mut answer).await?;
                return Ok(serde_json::from_slice(
                    answer.get(..size).unwrap_or_default(),
                )?);
            }
        }
    }
}
