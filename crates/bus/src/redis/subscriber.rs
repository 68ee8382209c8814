//! The one connection on which an instance hears announcements, shared by all that listen.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::aio::{PubSubSink, PubSubStream};
use ::redis::{Msg, RedisResult};
use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Backoff, Server};

/// Announcements that wait for one listener; beyond them it reads what it missed by itself.
const WAITING: usize = 512;
/// Subscriptions made in one command.
const COMMANDS: usize = 256;
/// How often the connection is asked whether it still lives.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long an answer on it may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a listener hears.
#[derive(Debug)]
pub(super) enum Event {
    /// It listens from here on; what came before has to be read.
    Resync,
    /// An announcement.
    Message(Bytes),
}

/// A listener's queue.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<VecDeque<Event>>,
    filled: Notify,
}

impl Inbox {
    fn push(&self, event: Event) {
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= WAITING {
                waiting.clear();
                waiting.push_back(Event::Resync);
            } else {
                waiting.push_back(event);
            }
        }
        self.filled.notify_one();
    }

    async fn next(&self) -> Event {
        loop {
            let event = self.waiting.lock().pop_front();
            if let Some(event) = event {
                return event;
            }
            self.filled.notified().await;
        }
    }
}

/// One listener; stops listening when dropped.
pub(super) struct Subscription {
    channel: String,
    id: u64,
    inbox: Arc<Inbox>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Subscription {
    /// The next event, however long it takes.
    pub(super) async fn next(&self) -> Event {
        self.inbox.next().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let leave = Command::Leave {
            channel: std::mem::take(&mut self.channel),
            id: self.id,
        };
        // Nobody receives it once the bus is closed, and nobody needs to.
        let _ = self.commands.send(leave);
    }
}

enum Command {
    Join {
        channel: String,
        id: u64,
        inbox: Arc<Inbox>,
    },
    Leave {
        channel: String,
        id: u64,
    },
}

/// Makes subscriptions; connects when the first is made.
pub(super) struct Subscriber {
    server: Arc<Server>,
    closed: CancellationToken,
    tasks: TaskTracker,
    commands: OnceLock<mpsc::UnboundedSender<Command>>,
    ids: AtomicU64,
}

impl Subscriber {
    pub(super) fn new(server: Arc<Server>, closed: CancellationToken, tasks: TaskTracker) -> Self {
        Self {
            server,
            closed,
            tasks,
            commands: OnceLock::new(),
            ids: AtomicU64::new(0),
        }
    }

    /// Listens on a channel. The first event is [`Event::Resync`], once the server has confirmed.
    pub(super) fn subscribe(&self, channel: String) -> Subscription {
        let commands = self.commands.get_or_init(|| self.start()).clone();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let inbox = Arc::new(Inbox::default());
        let join = Command::Join {
            channel: channel.clone(),
            id,
            inbox: Arc::clone(&inbox),
        };
        // After closing nobody receives it, and the streams end by themselves.
        let _ = commands.send(join);
        Subscription {
            channel,
            id,
            inbox,
            commands,
        }
    }

    fn start(&self) -> mpsc::UnboundedSender<Command> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let switchboard = Switchboard {
            server: Arc::clone(&self.server),
            commands: receiver,
            listeners: HashMap::new(),
        };
        let closed = self.closed.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = closed.cancelled() => {}
                () = switchboard.run() => {}
            }
        });
        sender
    }
}

/// The task behind the connection. Ends when nobody can subscribe any more.
struct Switchboard {
    server: Arc<Server>,
    commands: mpsc::UnboundedReceiver<Command>,
    listeners: HashMap<String, Vec<(u64, Arc<Inbox>)>>,
}

/// Why a session on one connection ended.
enum Ended {
    Broken(String),
    Unwanted,
}

impl Switchboard {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut reported = false;
        loop {
            let reason = match self.server.dial_pubsub().await {
                Ok(connection) => {
                    let (sink, stream) = connection.split();
                    backoff.reset();
                    reported = false;
                    match self.session(sink, stream).await {
                        Ended::Unwanted => return,
                        Ended::Broken(reason) => reason,
                    }
                }
                Err(fault) => fault.into_error(&self.server.address).to_string(),
            };
            if self.commands.is_closed() && self.commands.is_empty() {
                return;
            }
            if !reported {
                reported = true;
                tracing::warn!(%reason, "redis subscriber lost its connection; trying for ever");
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    async fn session(&mut self, mut sink: PubSubSink, mut stream: PubSubStream) -> Ended {
        let known: Vec<String> = self.listeners.keys().cloned().collect();
        if !known.is_empty()
            && let Err(reason) = confirmed(sink.subscribe(known)).await
        {
            return Ended::Broken(reason);
        }
        for (_, inbox) in self.listeners.values().flatten() {
            inbox.push(Event::Resync);
        }
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut batch = Vec::with_capacity(COMMANDS);
        loop {
            let outcome = tokio::select! {
                message = stream.next() => match message {
                    Some(message) => { self.dispatch(&message); Ok(()) }
                    None => Err("the server ended it".to_owned()),
                },
                count = self.commands.recv_many(&mut batch, COMMANDS) => {
                    if count == 0 {
                        return Ended::Unwanted;
                    }
                    self.apply(&mut sink, batch.drain(..)).await
                }
                _ = ping.tick() => confirmed(sink.ping::<::redis::Value>()).await.map(drop),
            };
            if let Err(reason) = outcome {
                return Ended::Broken(reason);
            }
        }
    }

    fn dispatch(&self, message: &Msg) {
        let Some(listeners) = self.listeners.get(message.get_channel_name()) else {
            return;
        };
        let payload = Bytes::copy_from_slice(message.get_payload_bytes());
        for (_, inbox) in listeners {
            inbox.push(Event::Message(payload.clone()));
        }
    }

    async fn apply(
        &mut self,
        sink: &mut PubSubSink,
        batch: impl Iterator<Item = Command>,
    ) -> Result<(), String> {
        let mut added = Vec::new();
        let mut joined = Vec::new();
        let mut left = Vec::new();
        for command in batch {
            match command {
                Command::Join { channel, id, inbox } => {
                    let listeners = self.listeners.entry(channel.clone()).or_default();
                    if listeners.is_empty() {
                        left.retain(|name| *name != channel);
                        added.push(channel);
                    }
                    listeners.push((id, Arc::clone(&inbox)));
                    joined.push(inbox);
                }
                Command::Leave { channel, id } => {
                    let Some(listeners) = self.listeners.get_mut(&channel) else {
                        continue;
                    };
                    listeners.retain(|(known, _)| *known != id);
                    if listeners.is_empty() {
                        self.listeners.remove(&channel);
                        left.push(channel);
                    }
                }
            }
        }
        added.retain(|channel| !left.contains(channel));
        if !left.is_empty() {
            confirmed(sink.unsubscribe(left)).await?;
        }
        if !added.is_empty() {
            confirmed(sink.subscribe(added)).await?;
        }
        for inbox in joined {
            inbox.push(Event::Resync);
        }
        Ok(())
    }
}

/// An answer within its time.
async fn confirmed<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the server does not answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_is_too_slow_is_told_to_read_for_itself() {
        let inbox = Inbox::default();
        for _ in 0..=WAITING {
            inbox.push(Event::Message(Bytes::new()));
        }
        assert!(matches!(inbox.next().await, Event::Resync));
        assert!(inbox.waiting.lock().is_empty());
    }
}
