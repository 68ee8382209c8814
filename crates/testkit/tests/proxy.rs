//! What the fault proxy does to a connection.

use std::time::Duration;

use anyhow::Result;
use nexus_testkit::proxy::{Mode, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

/// A server that says everything back, and a proxy in front of it.
async fn echo() -> Result<(Proxy, JoinSet<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::start(listener.local_addr()?.port()).await?;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ended = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    Ok((proxy, serving))
}

async fn say(stream: &mut TcpStream, word: &[u8; 4]) -> Result<[u8; 4]> {
    stream.write_all(word).await?;
    let mut heard = [0; 4];
    timeout(LONG, stream.read_exact(&mut heard)).await??;
    Ok(heard)
}

#[tokio::test]
async fn passes_on_then_slowly_then_not_at_all_and_loses_nothing() -> Result<()> {
    let (proxy, _serving) = echo().await?;
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    assert_eq!(&say(&mut stream, b"fast").await?, b"fast");

    proxy.set(Mode::Slow(SHORT));
    let began = Instant::now();
    assert_eq!(&say(&mut stream, b"slow").await?, b"slow");
    assert!(began.elapsed() >= 2 * SHORT, "{:?}", began.elapsed());

    proxy.set(Mode::Blackhole);
    stream.write_all(b"held").await?;
    let mut heard = [0; 4];
    assert!(
        timeout(SHORT, stream.read_exact(&mut heard)).await.is_err(),
        "something came through: {heard:?}"
    );
    proxy.set(Mode::Pass);
    timeout(LONG, stream.read_exact(&mut heard)).await??;
    assert_eq!(&heard, b"held");
    Ok(())
}

#[tokio::test]
async fn a_reset_ends_what_there_is_and_takes_what_comes() -> Result<()> {
    let (proxy, _serving) = echo().await?;
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    say(&mut stream, b"here").await?;
    proxy.reset();
    let error = timeout(LONG, stream.read_u8()).await?.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    assert_eq!(&say(&mut stream, b"anew").await?, b"anew");
    Ok(())
}

#[tokio::test]
async fn half_closed_is_heard_by_the_client_alone() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::start(listener.local_addr()?.port()).await?;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    let (mut server, _) = timeout(LONG, listener.accept()).await??;
    proxy.half_close();
    let mut heard = [0; 4];
    assert_eq!(timeout(LONG, client.read(&mut heard)).await??, 0);
    client.write_all(b"ping").await?;
    timeout(LONG, server.read_exact(&mut heard)).await??;
    assert_eq!(&heard, b"ping");
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_away_ends_the_connection() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    drop(listener);
    let proxy = Proxy::start(port).await?;
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    let ended = timeout(LONG, stream.read(&mut [0; 4])).await?;
    assert!(!matches!(ended, Ok(count) if count > 0));
    Ok(())
}
