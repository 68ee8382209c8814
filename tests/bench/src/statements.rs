//! Counts the statements that reach `PostgreSQL`: a proxy that passes every byte on and reads along.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How often each statement was executed, by who asked and what it says.
pub(crate) type Counts = BTreeMap<(String, String), u64>;

/// The proxy. Ends when dropped.
pub(crate) struct Counter {
    port: u16,
    counts: Arc<Mutex<Counts>>,
    _tasks: JoinSet<()>,
}

impl Counter {
    /// Stands before the server on this port.
    pub(crate) async fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, Arc::clone(&counts)));
        Ok(Self {
            port,
            counts,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}

async fn accept(listener: TcpListener, server: u16, counts: Arc<Mutex<Counts>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let reader = Reader::new(Arc::clone(&counts));
        connections.spawn(async move {
            // A connection that breaks is seen at its two ends.
            let _ = pass_on(client, server, reader).await;
        });
    }
}

async fn pass_on(client: TcpStream, server: u16, reader: Reader) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut ways = JoinSet::new();
    ways.spawn(pump(from_client, to_server, Some(reader)));
    ways.spawn(pump(from_server, to_client, None));
    // Both ways end with the first of them.
    ways.join_next().await.context("nothing to wait for")??
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut reader: Option<Reader>,
) -> Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        let part = bytes.get(..count).unwrap_or_default();
        if part.is_empty() {
            return Ok(());
        }
        if let Some(reader) = &mut reader {
            reader.read(part);
        }
        to.write_all(part).await?;
    }
}

/// Codes that stand where a version would: requests for encryption, after which the client begins
/// again.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// Reads what one client sends.
struct Reader {
    counts: Arc<Mutex<Counts>>,
    buffer: Vec<u8>,
    /// Who asks; unknown before the connection has begun.
    who: Option<String>,
    /// Prepared statements by name, and what each says.
    prepared: HashMap<String, String>,
    bound: String,
}

impl Reader {
    fn new(counts: Arc<Mutex<Counts>>) -> Self {
        Self {
            counts,
            buffer: Vec::new(),
            who: None,
            prepared: HashMap::new(),
            bound: String::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        // Messages begin with their kind, but for the first.
        while let Some(head) = self.buffer.get(..4 + usize::from(self.who.is_some())) {
            let Some(length) = head.last_chunk::<4>() else {
                return;
            };
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let end = head.len().saturating_sub(4).saturating_add(length);
            if self.buffer.len() < end.max(head.len()) {
                return;
            }
            let (kind, from) = (head.first().copied().unwrap_or_default(), head.len());
            let message: Vec<u8> = self.buffer.drain(..end.max(from)).skip(from).collect();
            match &self.who {
                None => self.begin(&message),
                Some(who) => {
                    let who = who.clone();
                    self.message(who, kind, &message);
                }
            }
        }
    }

    fn begin(&mut self, message: &[u8]) {
        let code = message.first_chunk::<4>().copied().map(u32::from_be_bytes);
        if code.is_some_and(|code| ENCRYPTION.contains(&code)) {
            return;
        }
        let words: Vec<&[u8]> = message.split(|byte| *byte == 0).collect();
        let named = words.iter().position(|word| *word == b"application_name");
        let name = named.and_then(|at| words.get(at + 1));
        self.who = Some(name.map_or_else(String::new, |name| text(name)));
    }

    fn message(&mut self, who: String, kind: u8, message: &[u8]) {
        let mut words = message.split(|byte| *byte == 0).map(text);
        let (first, second) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        match kind {
            b'P' => {
                self.prepared.insert(first, summary(&second));
            }
            b'B' => self.bound = self.prepared.get(&second).cloned().unwrap_or_default(),
            b'E' => self.count(who, self.bound.clone()),
            b'Q' => self.count(who, summary(&first)),
            _ => {}
        }
    }

    fn count(&self, who: String, what: String) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((who, what)).or_default() += 1;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A statement in two words: what it does, and to which table.
fn summary(sql: &str) -> String {
    let mut words = sql.split_whitespace();
    let verb = words.next().unwrap_or_default().to_uppercase();
    if sql.contains("set_config") {
        return "set_config".to_owned();
    }
    let before = match verb.as_str() {
        "INSERT" => "INTO",
        "SELECT" | "DELETE" => "FROM",
        "UPDATE" => return format!("{verb} {}", words.next().unwrap_or_default()),
        _ => return verb,
    };
    let mut rest = words.skip_while(|word| !word.eq_ignore_ascii_case(before));
    let table = rest.nth(1).unwrap_or_default();
    format!("{verb} {table}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], length.as_slice(), body].concat()
    }

    fn startup(body: &[u8]) -> Vec<u8> {
        message(0, body)[1..].to_vec()
    }

    #[test]
    fn statements_are_counted_however_the_bytes_arrive() {
        let asked = [
            startup(&80_877_103_u32.to_be_bytes()),
            startup(b"\0\x03\0\0user\0me\0application_name\0nexus-x\0\0"),
            message(b'Q', b"BEGIN\0"),
            message(b'P', b"s1\0INSERT INTO journal (a) VALUES ($1)\0\0\0"),
            message(b'B', b"\0s1\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'B', b"\0s1\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ]
        .concat();
        for size in [1, 7, asked.len()] {
            let counts: Arc<Mutex<Counts>> = Arc::default();
            let mut reader = Reader::new(Arc::clone(&counts));
            asked.chunks(size).for_each(|part| reader.read(part));
            let counts = counts.lock().unwrap().clone();
            let expected = [("BEGIN", 1), ("INSERT journal", 2)]
                .map(|(what, count)| (("nexus-x".to_owned(), what.to_owned()), count));
            assert_eq!(counts, Counts::from(expected), "{size} bytes at a time");
        }
    }

    #[test]
    fn a_statement_is_told_by_its_table() {
        let summaries = [
            ("SELECT a, b FROM inbox WHERE x", "SELECT inbox"),
            ("DELETE FROM dispatch WHERE x", "DELETE dispatch"),
            ("UPDATE dispatch SET x", "UPDATE dispatch"),
            ("SELECT set_config('app.org_id', $1, true)", "set_config"),
            ("commit", "COMMIT"),
        ];
        for (sql, expected) in summaries {
            assert_eq!(summary(sql), expected);
        }
    }
}
