//! A provider that does as it is told, and whoever asks it.

mod gate;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::ModelParameters;
use nexus_provider_router::assembler::Answer;
use nexus_provider_router::provider::{ChatRequest, DeltaSink, Origin, ProviderFailure};
use nexus_provider_router::registry::Registry;
use nexus_provider_router::registry::file::ProvidersFile;
use nexus_testkit::wait_until;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use gate::Gate;

/// Long enough for a busy machine; nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a request is answered with.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: String,
    parts: Vec<Part>,
    end: End,
}

#[derive(Clone)]
enum Part {
    Bytes(Vec<u8>),
    Wait(Gate),
}

#[derive(Clone)]
enum End {
    /// As it should be.
    Whole,
    /// The connection closes before the body is whole.
    BrokenOff,
    /// Nothing more comes, and the connection stays.
    LeftOpen,
    /// This again and again, for as long as anybody reads it.
    Endless(Vec<u8>),
}

impl Reply {
    /// 200 and these events.
    pub(crate) fn events(body: impl Into<Vec<u8>>) -> Self {
        Self::of(200, "text/event-stream", body.into())
    }

    /// JSON as a whole.
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::of(status, "application/json", body.into())
    }

    fn of(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: format!("content-type: {kind}\r\n"),
            parts: vec![Part::Bytes(body)],
            end: End::Whole,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Waits for the gate and goes on with this.
    pub(crate) fn wait_for(mut self, gate: &Gate, then: impl Into<Vec<u8>>) -> Self {
        self.parts.push(Part::Wait(gate.clone()));
        self.parts.push(Part::Bytes(then.into()));
        self
    }

    /// In chunks of at most this many bytes.
    pub(crate) fn cut(mut self, size: usize) -> Self {
        let parts = self.parts.into_iter().flat_map(|part| match part {
            Part::Bytes(bytes) => {
                let chunks = bytes.chunks(size.max(1));
                let parts = chunks.map(|chunk| Part::Bytes(chunk.to_vec()));
                parts.collect::<Vec<_>>()
            }
            gate @ Part::Wait(_) => vec![gate],
        });
        self.parts = parts.collect();
        self
    }

    pub(crate) fn broken_off(self) -> Self {
        Self {
            end: End::BrokenOff,
            ..self
        }
    }

    pub(crate) fn left_open(self) -> Self {
        Self {
            end: End::LeftOpen,
            ..self
        }
    }

    pub(crate) fn endless(self, piece: impl Into<Vec<u8>>) -> Self {
        Self {
            end: End::Endless(piece.into()),
            ..self
        }
    }

    async fn send(self, stream: &mut TcpStream, seen: &Seen) -> Result<ControlFlow<()>> {
        let (status, headers) = (self.status, self.headers);
        let head = format!("HTTP/1.1 {status} It\r\n{headers}transfer-encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        for part in self.parts {
            match part {
                // An empty chunk would be the end.
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => stream.write_all(&chunk(&bytes)).await?,
                Part::Wait(gate) => gate.pass().await?,
            }
        }
        match self.end {
            End::Whole => {
                stream.write_all(b"0\r\n\r\n").await?;
                return Ok(ControlFlow::Continue(()));
            }
            End::BrokenOff => return Ok(ControlFlow::Break(())),
            End::LeftOpen => {
                // Until the client closes; a reset is as good.
                drop(stream.read_to_end(&mut Vec::new()).await);
            }
            End::Endless(piece) => {
                let piece = chunk(&piece);
                while stream.write_all(&piece).await.is_ok() {
                    seen.written.fetch_add(piece.len(), Ordering::SeqCst);
                }
            }
        }
        seen.hung_up.fetch_add(1, Ordering::SeqCst);
        Ok(ControlFlow::Break(()))
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend(bytes);
    chunk.extend(b"\r\n");
    chunk
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    hung_up: AtomicUsize,
    written: AtomicUsize,
    connections: AtomicUsize,
    /// The connections that have ended, from 0.
    ended: Mutex<Vec<usize>>,
}

struct Request {
    connection: usize,
    head: String,
    body: Value,
}

type Answering = dyn Fn(usize, &Value) -> Reply + Send + Sync;

/// A provider on 127.0.0.1; ends when dropped.
pub(crate) struct Upstream {
    port: u16,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// `answering` is told how many requests there were before, and what is asked.
    pub(crate) async fn start(
        answering: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (seen, answering) = (Arc::<Seen>::default(), Arc::new(answering));
        let noted = Arc::clone(&seen);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, answering) = (Arc::clone(&noted), Arc::clone(&answering));
                // A client that hangs up ends its connection and nothing else.
                connections.spawn(async move {
                    let number = noted.connections.fetch_add(1, Ordering::SeqCst);
                    drop(serve((number, stream), &noted, &*answering).await);
                    noted.ended.lock().push(number);
                });
            }
        });
        Ok(Self {
            port,
            seen,
            _tasks: tasks,
        })
    }

    pub(crate) async fn always(reply: Reply) -> Result<Self> {
        Self::start(move |_, _| reply.clone()).await
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.seen.requests.lock().len()
    }

    /// What was asked, in this place from 0.
    pub(crate) fn body(&self, place: usize) -> Result<Value> {
        let requests = self.seen.requests.lock();
        let request = requests.get(place).context("it was not asked so often")?;
        Ok(request.body.clone())
    }

    /// The heads of all requests, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        let requests = self.seen.requests.lock();
        requests
            .iter()
            .map(|request| request.head.to_ascii_lowercase())
            .collect()
    }

    /// On which connection each request came, from 0.
    pub(crate) fn connections(&self) -> Vec<usize> {
        let requests = self.seen.requests.lock();
        requests.iter().map(|one| one.connection).collect()
    }

    /// Whether this connection has ended.
    pub(crate) fn has_ended(&self, connection: usize) -> bool {
        self.seen.ended.lock().contains(&connection)
    }

    /// About how many bytes of an endless reply the system took.
    pub(crate) fn written(&self) -> usize {
        self.seen.written.load(Ordering::SeqCst)
    }

    /// Waits until as many clients have closed their connection to a reply without an end.
    pub(crate) async fn is_left_by(&self, clients: usize) -> Result<()> {
        let what = format!("{clients} closed connections");
        wait_until(PATIENCE, &what, async || {
            Ok(self.seen.hung_up.load(Ordering::SeqCst) == clients)
        })
        .await
    }
}

async fn serve(
    (connection, stream): (usize, TcpStream),
    seen: &Seen,
    answering: &Answering,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let request = request(&mut stream, connection).await?;
        let reply = {
            let mut requests = seen.requests.lock();
            let reply = answering(requests.len(), &request.body);
            requests.push(request);
            reply
        };
        if reply.send(stream.get_mut(), seen).await?.is_break() {
            return Ok(());
        }
    }
}

async fn request(stream: &mut BufReader<TcpStream>, connection: usize) -> Result<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(stream.read_line(&mut head).await? > 0, "closed");
    }
    let lower = head.to_ascii_lowercase();
    let mut lines = lower.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.context("no length")?.parse()?];
    stream.read_exact(&mut body).await?;
    let body = serde_json::from_slice(&body)?;
    Ok(Request {
        connection,
        head,
        body,
    })
}

/// What came of a question, and what was heard meanwhile.
pub(crate) struct Outcome {
    pub(crate) result: Result<Answer, ProviderFailure>,
    pub(crate) heard: String,
}

impl Outcome {
    pub(crate) fn answer(self) -> Result<Answer> {
        Ok(self.result?)
    }

    pub(crate) fn failure(self) -> Result<ProviderFailure> {
        match self.result {
            Err(failure) => Ok(failure),
            Ok(answer) => bail!("an answer: {answer:?}"),
        }
    }
}

#[derive(Default)]
struct Text(String);

#[async_trait]
impl DeltaSink for Text {
    async fn delta(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// The same for every test; what differs is put into it.
pub(crate) fn question() -> ChatRequest {
    ChatRequest {
        id: "cmd".to_owned(),
        model: "m-1".to_owned(),
        messages: vec![ChatMessage::text(Role::User, "Hello?")],
        tools: Vec::new(),
        parameters: ModelParameters::default(),
        origin: Origin::default(),
    }
}

/// One provider of this type, and more of its settings.
pub(crate) fn registry(kind: &str, upstream: &Upstream, more: &str) -> Result<Registry> {
    let base_url = upstream.base_url();
    let text =
        format!("providers: {{it: {{type: {kind}, base_url: \"{base_url}\", model: m-1{more}}}}}");
    let file = ProvidersFile::parse(&text, "providers.yaml")?;
    Ok(Registry::build(&file, &|_| None)?)
}

/// Asks the one provider there is.
pub(crate) async fn ask_of(registry: &Registry, request: &ChatRequest) -> Result<Outcome> {
    let configured = registry.find(None)?;
    let provider = configured.provider.as_deref().map_err(Clone::clone)?;
    let mut text = Text::default();
    let result = timeout(PATIENCE, provider.chat(request, &mut text)).await;
    Ok(Outcome {
        result: result.context("waited for the end of a call")?,
        heard: text.0,
    })
}

pub(crate) async fn ask(kind: &str, upstream: &Upstream, request: &ChatRequest) -> Result<Outcome> {
    ask_of(&registry(kind, upstream, "")?, request).await
}

/// What goes out for this request.
pub(crate) async fn sent(kind: &str, request: &ChatRequest) -> Result<Value> {
    let upstream = Upstream::always(Reply::json(400, "{}")).await?;
    let refused = ask(kind, &upstream, request).await?.failure();
    let body = upstream.body(0);
    body.with_context(|| format!("{kind}: nothing was sent: {refused:?}"))
}
