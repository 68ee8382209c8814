//! A server that writes the bytes it is told to, chunk by chunk.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a request is answered with.
pub(crate) enum Body {
    /// All of it, as two chunks.
    Cut(&'static [u8], usize),
    /// As much of it, and an end like any other.
    Until(&'static [u8], usize),
    /// An error.
    Status(u16, &'static str),
}

type Answering = dyn Fn(usize) -> Body + Send + Sync;

/// Ends when dropped.
pub(crate) struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// `answering` is told how many requests there were before.
    pub(crate) async fn start(
        answering: impl Fn(usize) -> Body + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answering) = (Arc::clone(&heads), Arc::new(answering));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answering) = (Arc::clone(&seen), Arc::clone(&answering));
                // A client that hangs up ends its connection and nothing else.
                connections.spawn(async move { drop(serve(stream, &seen, &*answering).await) });
            }
        });
        Ok(Self {
            port,
            heads,
            _tasks: tasks,
        })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock();
        heads.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, answering: &Answering) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let head = head(&mut stream).await?;
        let number = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(head);
            seen.len() - 1
        };
        let answer = bytes(&answering(number));
        stream.get_mut().write_all(&answer).await?;
    }
}

/// The head of the next request; its body is read and forgotten.
async fn head(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = stream.read_line(&mut head).await?;
        anyhow::ensure!(read > 0, "closed");
    }
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("no length")?.parse()?;
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(head)
}

fn bytes(body: &Body) -> Vec<u8> {
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                      transfer-encoding: chunked\r\n\r\n";
    let chunks = |parts: [&[u8]; 2]| {
        let mut bytes = OK.as_bytes().to_vec();
        // An empty chunk would be the end.
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            bytes.extend(format!("{:x}\r\n", part.len()).bytes());
            bytes.extend(part);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    match body {
        Body::Cut(bytes, at) => {
            let (before, after) = bytes.split_at(*at);
            chunks([before, after])
        }
        Body::Until(bytes, at) => chunks([bytes.split_at(*at).0, &[]]),
        Body::Status(status, text) => {
            let length = text.len();
            let head = format!(
                "HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n{text}"
            );
            head.into_bytes()
        }
    }
}
