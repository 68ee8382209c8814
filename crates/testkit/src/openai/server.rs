//! The fake server itself.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::script::{Head, Part, Script};
use super::vectors;
use crate::wait::wait_for;

/// A request the server received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; `null` where it is not JSON.
    pub body: Value,
}

type Answer = dyn Fn(&Value) -> Script + Send + Sync;

#[derive(Default)]
struct Shared {
    queue: Mutex<VecDeque<Script>>,
    received: Mutex<Vec<Received>>,
    hung_up: AtomicUsize,
    /// Whether requests are let go once they are answered.
    forgets: bool,
    answer: Option<Box<Answer>>,
}

/// An OpenAI-compatible server on 127.0.0.1, until it is dropped. Embeddings need no script.
pub struct FakeOpenAi {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

impl FakeOpenAi {
    /// Starts with no script; a request that finds none gets 500 and says so.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        Self::serve(Shared::default()).await
    }

    /// Starts with a function that answers every request for which no script is queued. It gets
    /// the request's body, so the answer can depend on the history that was sent.
    ///
    /// # Errors
    /// As [`FakeOpenAi::start`].
    pub async fn answering(
        answer: impl Fn(&Value) -> Script + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::serve(Shared {
            answer: Some(Box::new(answer)),
            ..Shared::default()
        })
        .await
    }

    /// As [`FakeOpenAi::answering`], but keeps no request once it is answered: for long runs.
    ///
    /// # Errors
    /// As [`FakeOpenAi::start`].
    pub async fn forgetting(
        answer: impl Fn(&Value) -> Script + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::serve(Shared {
            answer: Some(Box::new(answer)),
            forgets: true,
            ..Shared::default()
        })
        .await
    }

    async fn serve(shared: Shared) -> Result<Self> {
        let shared = Arc::new(shared);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("bind a port")?;
        let address = listener.local_addr().context("read the bound address")?;
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/embeddings", post(complete))
            .route("/v1/models", get(models))
            .with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            // Accept errors are retried inside; this only ends when the set is dropped.
            let _ = axum::serve(NoDelay(listener), router).await;
        });
        Ok(Self {
            address,
            shared,
            _serving: serving,
        })
    }

    /// What a client takes as its base URL: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Queues the answer to the next request that has none yet.
    pub fn push(&self, script: Script) {
        lock(&self.shared.queue).push_back(script);
    }

    /// How many queued scripts no request has used yet.
    #[must_use]
    pub fn left(&self) -> usize {
        lock(&self.shared.queue).len()
    }

    /// The requests received so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// How many clients closed their connection before they had the whole answer.
    #[must_use]
    pub fn hung_up(&self) -> usize {
        self.shared.hung_up.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests have been received, and gives them all.
    ///
    /// # Errors
    /// When `timeout` passes first.
    pub async fn wait_received(&self, timeout: Duration, count: usize) -> Result<Vec<Received>> {
        wait_for(
            timeout,
            &format!("{count} requests to the model"),
            async || {
                let received = self.received();
                Ok((received.len() >= count).then_some(received))
            },
        )
        .await
    }
}

/// Sends small chunks at once.
struct NoDelay(TcpListener);

impl axum::serve::Listener for NoDelay {
    type Io = tokio::net::TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.0).await;
        // Without it answers are only slower.
        let _ = stream.set_nodelay(true);
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// An answer on its way: dropped before it is out, it counts as hung up on.
struct Answering {
    shared: Arc<Shared>,
    out: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.out {
            self.shared.hung_up.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn models() -> Json<Value> {
    Json(json!({ "object": "list", "data": [{ "id": "fake-model", "object": "model" }] }))
}

async fn complete(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Infallible> {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !shared.forgets {
        lock(&shared.received).push(Received {
            headers,
            body: body.clone(),
        });
    }
    if body.get("input").is_some() && lock(&shared.queue).is_empty() {
        return Ok(vectors::of(&body));
    }
    let mut answering = Answering {
        shared: Arc::clone(&shared),
        out: false,
    };
    let queued = lock(&shared.queue).pop_front();
    let script = queued.or_else(|| shared.answer.as_ref().map(|answer| answer(&body)));
    let script = script.unwrap_or_else(|| Script::error(500, "the test has no script left"));
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    if let Head::Stream = script.head
        && is_true(&body, "/stream")
    {
        return Ok(stream(script, &body, answering));
    }
    answering.out = !matches!(script.head, Head::Hang);
    Ok(match script.head {
        Head::Stream => whole(&script, &body).into_response(),
        Head::Refuse {
            status,
            headers,
            body,
        } => refuse(status, &headers, body),
        Head::Hang => std::future::pending().await,
        // Ends the task of this connection, and with it the connection, without a message.
        Head::Reset => std::panic::resume_unwind(Box::new("the script resets the connection")),
    })
}

/// Whether the request says `true` at this place.
fn is_true(request: &Value, pointer: &str) -> bool {
    request
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

fn refuse(status: StatusCode, headers: &[(&'static str, String)], body: String) -> Response {
    let mut response = (status, [("content-type", "application/json")], body).into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}

fn stream(script: Script, request: &Value, answering: Answering) -> Response {
    let body = Body::from_stream(events(script, request, answering));
    (
        [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
        ],
        body,
    )
        .into_response()
}

/// The parts as server-sent events, each when the gate lets it through.
fn events(
    script: Script,
    request: &Value,
    answering: Answering,
) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let mut parts = script.parts;
    let model = request.get("model").cloned().unwrap_or_default();
    let ends = matches!(parts.last(), Some(Part::Delta(..)));
    if ends && is_true(request, "/stream_options/include_usage") {
        let mut usage = chunk(&model, &json!([]));
        if let Some(usage) = usage.as_object_mut() {
            usage.insert("usage".to_owned(), usage_of(script.usage));
        }
        parts.push(Part::Raw(format!("data: {usage}\n\n")));
    }
    if ends {
        parts.push(Part::Raw("data: [DONE]\n\n".to_owned()));
    }
    let gate = script.gate;
    let mut left = parts.len();
    let mut answering = Some(answering);
    futures::stream::iter(parts).then(move |part| {
        let (gate, model) = (gate.clone(), model.clone());
        left -= 1;
        // Held back with the last part, and by the stream until then.
        let last = answering.take_if(|_| left == 0);
        async move {
            if let Some(gate) = &gate {
                gate.pass().await;
            }
            if !matches!(part, Part::Hang)
                && let Some(mut answering) = last
            {
                answering.out = true;
            }
            match part {
                Part::Delta(delta, finish_reason) => {
                    let choice =
                        json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]);
                    Ok(Bytes::from(format!("data: {}\n\n", chunk(&model, &choice))))
                }
                Part::Raw(bytes) => Ok(Bytes::from(bytes)),
                Part::Cut => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                Part::Hang => std::future::pending().await,
            }
        }
    })
}

fn chunk(model: &Value, choices: &Value) -> Value {
    json!({
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "choices": choices,
    })
}

fn usage_of((prompt, completion): (u32, u32)) -> Value {
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    })
}

/// The answer to a request that did not ask for a stream: the parts put together.
fn whole(script: &Script, request: &Value) -> Json<Value> {
    let mut text = String::new();
    let mut calls: Vec<(Value, String)> = Vec::new();
    let mut finish = None;
    for part in &script.parts {
        let Part::Delta(delta, reason) = part else {
            continue;
        };
        finish = finish.or(*reason);
        text.push_str(
            delta
                .get("content")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        if let Some(piece) = delta.pointer("/tool_calls/0") {
            put_together(&mut calls, piece);
        }
    }
    let calls = calls.into_iter().map(|(head, arguments)| {
        let function = json!({ "name": head.pointer("/function/name"), "arguments": arguments });
        json!({ "id": head.get("id"), "type": "function", "function": function })
    });
    let calls: Vec<Value> = calls.collect();
    let message = if calls.is_empty() {
        json!({ "role": "assistant", "content": text })
    } else {
        json!({ "role": "assistant", "content": null, "tool_calls": calls })
    };
    Json(json!({
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.get("model"),
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
        "usage": usage_of(script.usage),
    }))
}

/// Adds a piece to the call it belongs to; a piece of an unknown call begins it.
fn put_together(calls: &mut Vec<(Value, String)>, piece: &Value) {
    let index = piece.get("index").and_then(Value::as_u64);
    let index = index
        .and_then(|index| usize::try_from(index).ok())
        .unwrap_or(calls.len());
    let arguments = piece
        .pointer("/function/arguments")
        .and_then(Value::as_str)
        .unwrap_or("");
    match calls.get_mut(index) {
        Some((_, so_far)) => so_far.push_str(arguments),
        None => calls.push((piece.clone(), arguments.to_owned())),
    }
}
