//! What the fake server answers to one request.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// A call the model asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id of the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: JSON, or what a model may write instead of JSON.
    pub arguments: String,
}

impl ToolCall {
    /// A call with these parts.
    #[must_use]
    pub fn new(id: &str, name: &str, arguments: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }
}

/// One piece of a streamed answer.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// The `delta` of a chunk, and why the answer ends if it does.
    Delta(Value, Option<&'static str>),
    /// These bytes, as they are.
    Raw(String),
    /// The connection ends here.
    Cut,
    /// Nothing more ever comes, and the connection stays.
    Hang,
}

/// What is sent before, or instead of, the parts.
#[derive(Clone, Debug)]
pub(super) enum Head {
    /// 200 and the parts.
    Stream,
    /// This answer and no parts.
    Refuse {
        status: StatusCode,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// No byte at all: the connection stays open.
    Hang,
    /// No byte at all: the connection is closed.
    Reset,
}

/// What the server does with one request.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) head: Head,
    pub(super) parts: Vec<Part>,
    pub(super) gate: Option<Gate>,
    pub(super) delay: Duration,
    pub(super) usage: (u32, u32),
}

impl Script {
    /// An answer with this text, in one chunk per word.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::tokens(text.split_inclusive(' '))
    }

    /// An answer with exactly these chunks of text.
    #[must_use]
    pub fn tokens<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let deltas = tokens.into_iter().map(|token| json!({ "content": token }));
        Self::of_deltas(deltas, "stop")
    }

    /// An answer that asks for these calls. The name comes with the first chunk of each call, the
    /// arguments in chunks of `size` characters; chunks of different calls take turns, as parallel
    /// calls do on the wire.
    #[must_use]
    pub fn tool_calls(calls: &[ToolCall], size: usize) -> Self {
        let heads = calls.iter().enumerate().map(|(index, call)| {
            let function = json!({ "name": call.name, "arguments": "" });
            json!({ "index": index, "id": call.id, "type": "function", "function": function })
        });
        let mut chunks: Vec<Value> = heads.collect();
        let characters: Vec<Vec<char>> = calls
            .iter()
            .map(|call| call.arguments.chars().collect())
            .collect();
        let longest = characters.iter().map(Vec::len).max().unwrap_or(0);
        let size = size.max(1);
        for start in (0..longest).step_by(size) {
            for (index, arguments) in characters.iter().enumerate() {
                let piece: String = arguments.iter().skip(start).take(size).collect();
                if !piece.is_empty() {
                    chunks.push(json!({ "index": index, "function": { "arguments": piece } }));
                }
            }
        }
        let deltas = chunks
            .into_iter()
            .map(|chunk| json!({ "tool_calls": [chunk] }));
        Self::of_deltas(deltas, "tool_calls")
    }

    /// An answer made of these `delta` objects, ending for this reason.
    #[must_use]
    pub fn of_deltas(deltas: impl IntoIterator<Item = Value>, finish_reason: &'static str) -> Self {
        let mut parts: Vec<Part> = deltas
            .into_iter()
            .map(|delta| Part::Delta(delta, None))
            .collect();
        parts.push(Part::Delta(json!({}), Some(finish_reason)));
        Self::with(Head::Stream, parts)
    }

    /// An error answer with an `OpenAI` error object.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({ "error": { "message": message, "type": "error", "code": null } });
        Self::refuse(status, body.to_string())
    }

    /// 429 with `Retry-After`, in seconds.
    #[must_use]
    pub fn rate_limited(retry_after: u32) -> Self {
        let mut script = Self::error(429, "Rate limit reached");
        if let Head::Refuse { headers, .. } = &mut script.head {
            headers.push(("retry-after", retry_after.to_string()));
        }
        script
    }

    /// Any answer that is not a stream, as it is.
    #[must_use]
    pub fn refuse(status: u16, body: String) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::with(
            Head::Refuse {
                status,
                headers: Vec::new(),
                body,
            },
            Vec::new(),
        )
    }

    /// Takes the request and never answers.
    #[must_use]
    pub fn hang() -> Self {
        Self::with(Head::Hang, Vec::new())
    }

    /// Takes the request and closes the connection without a byte.
    #[must_use]
    pub fn reset() -> Self {
        Self::with(Head::Reset, Vec::new())
    }

    /// 200 with these bytes in place of events.
    #[must_use]
    pub fn garbage(bytes: &str) -> Self {
        Self::with(Head::Stream, vec![Part::Raw(bytes.to_owned())])
    }

    const fn with(head: Head, parts: Vec<Part>) -> Self {
        Self {
            head,
            parts,
            gate: None,
            delay: Duration::ZERO,
            usage: (11, 7),
        }
    }

    /// Breaks the connection after the first `chunks` chunks.
    #[must_use]
    pub fn cut_after(mut self, chunks: usize) -> Self {
        self.parts.truncate(chunks);
        self.parts.push(Part::Cut);
        self
    }

    /// Falls silent after the first `chunks` chunks, with the connection open.
    #[must_use]
    pub fn hang_after(mut self, chunks: usize) -> Self {
        self.parts.truncate(chunks);
        self.parts.push(Part::Hang);
        self
    }

    /// Puts these bytes, as they are, after the first `chunks` chunks.
    #[must_use]
    pub fn raw_after(mut self, chunks: usize, bytes: &str) -> Self {
        let at = chunks.min(self.parts.len());
        self.parts.insert(at, Part::Raw(bytes.to_owned()));
        self
    }

    /// Reports these numbers of prompt and completion tokens.
    #[must_use]
    pub const fn usage(mut self, prompt: u32, completion: u32) -> Self {
        self.usage = (prompt, completion);
        self
    }

    /// Waits this long before the first byte.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends each part only when the gate lets it through.
    #[must_use]
    pub fn gated(mut self) -> (Self, Gate) {
        let gate = Gate(Arc::new(Semaphore::new(0)));
        self.gate = Some(gate.clone());
        (self, gate)
    }
}

/// Lets the parts of a script through, so that a test can see each arrive before the next is sent.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// Lets `parts` more parts through.
    pub fn open(&self, parts: usize) {
        self.0.add_permits(parts);
    }

    /// Lets everything through from now on.
    pub fn open_all(&self) {
        self.0.close();
    }

    pub(super) async fn pass(&self) {
        // An error means that the gate is open for good.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}
