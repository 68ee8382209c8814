//! Servers that are made to lose something have lost it, and go on.

use anyhow::{Context, Result, ensure};
use nexus_testkit::loss::{StreamLoss, flush_redis, lose_streams, truncate_aof};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn redis(port: u16, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(command.as_bytes()).await?;
    stream.write_all(b"\r\n").await?;
    let mut answer = vec![0; 1024];
    let count = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(answer.get(..count).context("read")?).into_owned())
}

#[tokio::test]
async fn a_flushed_redis_is_empty() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    redis(server.port(), "SET key value").await?;
    flush_redis(server.port()).await?;
    assert_eq!(redis(server.port(), "DBSIZE").await?, ":0\r\n");
    Ok(())
}

#[tokio::test]
async fn a_truncated_file_has_lost_the_last_write_alone() -> Result<()> {
    let mut server = nexus_testkit::redis().await?;
    redis(server.port(), "SET first 1").await?;
    redis(server.port(), "SET last 1").await?;
    server.kill().await?;
    assert_eq!(truncate_aof(server.dir(), 5)?, 5);
    server.start().await?;
    assert_eq!(redis(server.port(), "GET first").await?, "$1\r\n1\r\n");
    assert_eq!(redis(server.port(), "GET last").await?, "$-1\r\n");
    Ok(())
}

#[tokio::test]
async fn streams_are_purged_and_deleted() -> Result<()> {
    let server = nexus_testkit::nats().await?;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
    let config = r#"{"name":"S","subjects":["s"]}"#;
    let said = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB in 1\r\nPUB $JS.API.STREAM.CREATE.S in {}\r\n{config}\r\n\
         PUB s in 5\r\nhello\r\nPING\r\n",
        config.len()
    );
    stream.write_all(said.as_bytes()).await?;
    let mut heard = String::new();
    let mut piece = vec![0; 4096];
    // Two answers: the stream is made, the message is stored.
    while heard.matches("MSG in").count() < 2 {
        let count = stream.read(&mut piece).await?;
        ensure!(count > 0, "the connection ended after {heard}");
        heard.push_str(&String::from_utf8_lossy(
            piece.get(..count).context("read")?,
        ));
    }
    assert_eq!(lose_streams(server.port(), StreamLoss::Purge).await?, 1);
    assert_eq!(lose_streams(server.port(), StreamLoss::Delete).await?, 1);
    assert_eq!(lose_streams(server.port(), StreamLoss::Delete).await?, 0);
    Ok(())
}
