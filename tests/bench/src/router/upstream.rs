//! A model that costs next to nothing: an OpenAI-compatible server of a few lines, in a process of its
//! own. Each word of an answer is one event, one HTTP chunk and one write, without Nagle's delay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Buf, Bytes, BytesMut};
use clap::Args;
use nexus_testkit::Spawned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::wanted::{MOST_WORDS, Wanted, word};
use crate::table::say;

/// Longest head and longest body that are read.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Connections that may wait to be accepted: all of a run begin at once.
const BACKLOG: u32 = 4096;

/// How long the process has to say where it is.
const START: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Args)]
pub(crate) struct Options {
    /// The port; 0 is any.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// What has been seen of clients so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Connections they opened.
    pub(super) connections: u64,
    /// Answers that were begun.
    pub(super) answers: u64,
    /// Most answers that were going on at once.
    pub(super) at_once: u64,
}

/// The server as a process beside this one; it ends when this is dropped.
pub(super) struct Upstream {
    address: String,
    _process: Spawned,
}

impl Upstream {
    /// Starts it; port 0 is any.
    pub(super) async fn start(port: u16) -> Result<Self> {
        let command = super::child(&["router-upstream", "--port", &port.to_string()])?;
        let mut process = command.start()?;
        let address = process
            .wait_in_lines(START, "its address", |line| {
                let address = line.trim();
                address
                    .starts_with("127.0.0.1:")
                    .then(|| address.to_owned())
            })
            .await
            .context("start the upstream")?;
        Ok(Self {
            address,
            _process: process,
        })
    }

    /// The address of its API, up to and with the version.
    pub(super) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it has seen so far.
    pub(super) async fn seen(&self) -> Result<Seen> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream
            .write_all(b"GET /seen HTTP/1.1\r\nconnection: close\r\n\r\n")
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let (_head, body) = text.split_once("\r\n\r\n").context("no answer")?;
        Ok(serde_json::from_str(body)?)
    }
}

/// Serves until the process ends.
pub(crate) fn serve(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(([127, 0, 0, 1], options.port).into())?;
        let listener = socket.listen(BACKLOG)?;
        say(&listener.local_addr()?.to_string())?;
        accept(&listener, &Arc::new(Model::new())).await
    })
}

async fn accept(listener: &TcpListener, model: &Arc<Model>) -> Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(talk(stream, Arc::clone(model)));
            }
            // A client that hangs up is no error of the server.
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// Everything that can be said, ready to be written.
struct Model {
    head: Vec<u8>,
    words: Vec<Vec<u8>>,
    connections: AtomicU64,
    answers: AtomicU64,
    now: AtomicU64,
    at_once: AtomicU64,
}

impl Model {
    fn new() -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let opening = event(r#"{"role":"assistant","content":""}"#, "null", "");
        let said = |place| {
            let delta = format!(r#"{{"content":"{}"}}"#, word(place));
            chunk(&event(&delta, "null", ""))
        };
        Self {
            head: [head.as_bytes(), &chunk(&opening)].concat(),
            words: (1..=MOST_WORDS).map(said).collect(),
            connections: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            now: AtomicU64::new(0),
            at_once: AtomicU64::new(0),
        }
    }

    fn seen(&self) -> Seen {
        Seen {
            connections: self.connections.load(Relaxed),
            answers: self.answers.load(Relaxed),
            at_once: self.at_once.load(Relaxed),
        }
    }

    /// One answer, which begins at once.
    async fn answer(&self, stream: &mut TcpStream, wanted: Wanted) -> std::io::Result<()> {
        self.answers.fetch_add(1, Relaxed);
        let _going_on = GoingOn::new(self);
        stream.write_all(&self.head).await?;
        let pause = Duration::from_millis(wanted.pause_ms);
        for (place, word) in self.words.iter().take(wanted.words).enumerate() {
            if place > 0 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            stream.write_all(word).await?;
        }
        let usage = format!(
            r#","usage":{{"prompt_tokens":9,"completion_tokens":{0},"total_tokens":{0}}}"#,
            wanted.words
        );
        let end = event("{}", r#""stop""#, &usage) + "data: [DONE]\n\n";
        stream.write_all(&chunk(&end)).await?;
        // On its own, as the servers that people run models with do it.
        stream.write_all(b"0\r\n\r\n").await
    }
}

/// Counts an answer as going on for as long as it lives.
struct GoingOn<'a>(&'a Model);

impl<'a> GoingOn<'a> {
    fn new(model: &'a Model) -> Self {
        let now = model.now.fetch_add(1, Relaxed) + 1;
        model.at_once.fetch_max(now, Relaxed);
        Self(model)
    }
}

impl Drop for GoingOn<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

fn event(delta: &str, reason: &str, more: &str) -> String {
    format!(
        r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"mock","choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]{more}}}"#
    ) + "\n\n"
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// What is read of a request.
enum Request {
    Ask(Bytes),
    Other,
}

/// One connection, until the client hangs up.
async fn talk(mut stream: TcpStream, model: Arc<Model>) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    let mut asked_before = false;
    while let Some(request) = next(&mut stream, &mut buffer).await? {
        let Request::Ask(body) = request else {
            let seen = serde_json::to_string(&model.seen())?;
            let length = seen.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {length}\r\n\r\n{seen}"
            );
            return Ok(stream.write_all(answer.as_bytes()).await?);
        };
        if !asked_before {
            model.connections.fetch_add(1, Relaxed);
            asked_before = true;
        }
        let wanted = Wanted::read(&body).context("the question asks for no words")?;
        model.answer(&mut stream, wanted).await?;
    }
    Ok(())
}

/// The next request on a connection, or `None` where it was closed before one.
async fn next(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Option<Request>> {
    const END: &[u8] = b"\r\n\r\n";
    loop {
        let found = buffer.windows(END.len()).position(|text| text == END);
        if let Some(head) = found {
            let whole = head + END.len();
            let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default());
            let asks = text.starts_with("POST ");
            let body = length(&text)?;
            anyhow::ensure!(body <= MOST_BYTES, "a body of {body} bytes");
            while buffer.len() < whole + body {
                anyhow::ensure!(stream.read_buf(buffer).await? > 0, "half a request");
            }
            buffer.advance(whole);
            let body = buffer.split_to(body).freeze();
            return Ok(Some(if asks {
                Request::Ask(body)
            } else {
                Request::Other
            }));
        }
        anyhow::ensure!(buffer.len() < MOST_BYTES, "a head without end");
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// The length of the body a head announces.
fn length(head: &str) -> Result<usize> {
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok(value.trim().parse()?);
        }
        let in_chunks = name.eq_ignore_ascii_case("transfer-encoding");
        anyhow::ensure!(!in_chunks, "a body in chunks is not read here");
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_say_how_long_they_are() {
        assert_eq!(chunk("0123456789abcdef"), b"10\r\n0123456789abcdef\r\n");
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() -> Result<()> {
        assert_eq!(length("POST / HTTP/1.1\r\nContent-Length: 12")?, 12);
        assert_eq!(length("GET / HTTP/1.1\r\nhost: here")?, 0);
        assert!(length("POST / HTTP/1.1\r\nTransfer-Encoding: chunked").is_err());
        Ok(())
    }

    #[tokio::test]
    async fn what_was_asked_for_is_said() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut stream = TcpStream::connect(listener.local_addr()?).await?;
        let (served, _) = listener.accept().await?;
        let model = Arc::new(Model::new());
        let mut server = JoinSet::new();
        server.spawn(talk(served, Arc::clone(&model)));
        let wanted = Wanted {
            words: 2,
            pause_ms: 1,
        };
        let body = wanted.question();
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
        // Two on one connection.
        stream.write_all(request.repeat(2).as_bytes()).await?;
        let mut text = String::new();
        while text.matches("\r\n0\r\n\r\n").count() < 2 {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await?;
            text.push_str(std::str::from_utf8(&bytes[..read])?);
        }
        assert_eq!(text.matches(r#"{"content":" word-2."}"#).count(), 2);
        assert_eq!(text.matches("[DONE]").count(), 2);
        drop(stream);
        server.join_next().await.unwrap()??;
        let seen = model.seen();
        assert_eq!((seen.connections, seen.answers, seen.at_once), (1, 2, 1));
        Ok(())
    }
}
