//! Upstreams, and a proxy, that quote what they were sent; the path says how.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The headers in which secrets come.
const QUOTED: &[&str] = &[
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "x-session",
    "proxy-authorization",
];

/// Ends when dropped.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<Head>>>,
    _serving: JoinSet<()>,
}

/// The beginning of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) target: String,
    headers: BTreeMap<String, String>,
}

impl Head {
    /// All secrets that came with it, as they came.
    pub(crate) fn quoted(&self) -> String {
        let values = QUOTED.iter().filter_map(|name| self.headers.get(*name));
        values.map(String::as_str).collect::<Vec<_>>().join(" and ")
    }

    /// The key alone.
    fn key(&self) -> &str {
        let value = self.headers.get("authorization");
        let value = value.map(String::as_str).unwrap_or_default();
        value.strip_prefix("Bearer ").unwrap_or(value)
    }

    /// What is wanted of this server: the first part of the path.
    fn place(&self) -> &str {
        let mut parts = self.target.split('/');
        match parts.next() {
            Some("") => parts.next().unwrap_or_default(),
            // As a proxy is asked: a whole address, or a host.
            _ => "proxy",
        }
    }
}

impl Upstream {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let heads = Arc::<Mutex<Vec<Head>>>::default();
        let seen = Arc::clone(&heads);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                // A client that hangs up, or speaks TLS, ends its connection and nothing else.
                connections.spawn(async move { drop(serve(stream, &seen).await) });
            }
        });
        Ok(Self {
            port,
            heads,
            _serving: serving,
        })
    }

    /// What has been asked so far.
    pub(crate) fn heads(&self) -> Vec<Head> {
        let heads = self.heads.lock();
        heads.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(stream: TcpStream, seen: &Mutex<Vec<Head>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let head = read(&mut stream).await?;
    let answer = answer(&head);
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head);
    stream.get_mut().write_all(answer.as_bytes()).await?;
    stream.get_mut().shutdown().await?;
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> Result<Head> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let target = line.split(' ').nth(1).context("no HTTP")?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        anyhow::ensure!(stream.read_line(&mut line).await? > 0, "closed");
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length");
    let length = length.map_or(Ok(0), |length| length.parse())?;
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(Head { target, headers })
}

fn answer(head: &Head) -> String {
    let (quoted, key) = (head.quoted(), head.key());
    let complaint = json!({"error": {"message": format!("Incorrect API key provided: {quoted}."),
        "type": "invalid_request_error", "code": "invalid_api_key"}});
    match head.place() {
        "well" if head.target.ends_with("/models") => whole(200, "", &json!({"data": []})),
        "well" => stream(&[says("All is "), says("well."), end()]),
        "refuses" => whole(401, "", &complaint),
        "failing" => {
            let headers = format!("x-debug: {quoted}\r\nset-cookie: key={key}\r\n");
            whole(
                500,
                &headers,
                &json!({"request": {"headers": quoted}, "ok": false}),
            )
        }
        "plain" => text(503, "", &format!("no upstream for {quoted}\nkey\n{key}")),
        "moved" => {
            let escaped = in_address(key);
            let lower = escaped.replace("%2F", "%2f").replace("%2B", "%2b");
            let lower = lower.replace("%3D", "%3d");
            let address = format!("/elsewhere?raw={key}&key={escaped}&again={lower}");
            let headers = format!("location: {address}\r\n");
            text(302, &headers, &format!("<a href=\"{address}\">moved</a>"))
        }
        "broken" => {
            let body = complaint.to_string();
            let at = body.find(key).unwrap_or_default() + key.len().saturating_sub(3);
            let part = body.get(..at).unwrap_or_default();
            format!("HTTP/1.1 500 No\r\ncontent-length: 9999\r\n\r\n{part}")
        }
        "midway" => stream(&[says("All is "), says("w")]),
        "complains" => stream(&[says("All "), complaint.to_string()]),
        "garbled" => stream(&[json!(quoted).to_string()]),
        "limited" => whole(429, "retry-after: 0\r\n", &complaint),
        "telling" => {
            let (first, second) = key.split_at(key.len() / 2);
            stream(&[
                says("Mine is "),
                says(first),
                says(second),
                says(key),
                end(),
            ])
        }
        "telling-midway" => stream(&[says(&format!("Mine is {key}, and"))]),
        _ => text(
            407,
            "proxy-authenticate: Basic\r\n",
            &format!("not with {quoted}"),
        ),
    }
}

fn says(text: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {"content": text}}]}).to_string()
}

fn end() -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string()
}

/// Ends with its last event: whether the answer does too is for the events to say.
fn stream(events: &[String]) -> String {
    let events: String = events
        .iter()
        .map(|data| format!("data: {data}\n\n"))
        .collect();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
    )
}

fn whole(status: u16, headers: &str, body: &Value) -> String {
    let headers = format!("content-type: application/json\r\n{headers}");
    text(status, &headers, &body.to_string())
}

fn text(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

/// As a form sends it.
fn in_address(key: &str) -> String {
    key.replace('/', "%2F")
        .replace('+', "%2B")
        .replace('=', "%3D")
}
