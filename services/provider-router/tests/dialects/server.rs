//! A server that writes the bytes it is told to, chunk by chunk.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;
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

/// The head of a request, and its body.
type Request = (String, Vec<u8>);

type Answering = dyn Fn(usize) -> Body + Send + Sync;

/// Ends when dropped.
pub(crate) struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// `answering` is told how many requests there were before.
    pub(crate) async fn start(
        answering: impl Fn(usize) -> Body + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let all = Arc::<Mutex<Vec<Request>>>::default();
        let (seen, answering) = (Arc::clone(&all), Arc::new(answering));
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
            seen: all,
            _tasks: tasks,
        })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|(head, _)| head.clone()).collect()
    }

    /// The bodies of all requests.
    pub(crate) fn bodies(&self) -> Result<Vec<Value>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let bodies = seen.iter().map(|(_, body)| serde_json::from_slice(body));
        Ok(bodies.collect::<Result<_, _>>()?)
    }
}

async fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, answering: &Answering) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let request = request(&mut stream).await?;
        let number = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(request);
            seen.len() - 1
        };
        let answer = bytes(&answering(number));
        stream.get_mut().write_all(&answer).await?;
    }
}

/// The next request.
async fn request(stream: &mut BufReader<TcpStream>) -> Result<Request> {
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
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((head, body))
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
